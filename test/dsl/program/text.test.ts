import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hashProgram, hashText } from "../../../src/dsl/program/hash.ts";
import { ParseError, parse } from "../../../src/dsl/program/parse.ts";
import { print } from "../../../src/dsl/program/print.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import { verify } from "../../../src/dsl/program/verify.ts";
import { program } from "../../support/programs.ts";
import { arbitraryProgram } from "../../support/random-program.ts";

const example = `program (%0: f32[3,4], %1: f32[]) {
  %2: f32[3,4] = broadcast shape=[3,4] dims=[] %1
  %3: f32[3,4] = mul %0 %2
  return %3
}
`;

const nested = `program (%0: f32[2], %1: f32[5,2]) {
  %2: f32[2], %3: f32[5,2] = scan length=5 consts=0 carry=1 reverse=false body=(%0: f32[2], %1: f32[2]) {
    %2: f32[2] = constant shape=[2] dtype=f32 values=[-0,1e-7]
    %3: f32[2] = remat policy=dots body=(%0: f32[2]) {
      return %0
    } %2
    %4: f32[2] = add %0 %3
    return %4 %1
  } %0 %1
  %4: f32[2,3] = constant shape=[2,3] dtype=f32 values=[inf,-inf,nan,1e+300,-1.5,0]
  return %2 %3 %4
}
`;

/** The same program with variables numbered backwards and unused entries in the type table. */
function renumbered(p: Program): Program {
  const n = p.types.length;
  const to = (id: number): number => 2 * (n - id);
  const types = Array.from(
    { length: 2 * n + 1 },
    (_, i) => p.types[n - i / 2] ?? { shape: [9], dtype: "bool" as const },
  );
  const equations = p.equations.map((equation) => ({
    ...equation,
    inputs: equation.inputs.map(to),
    outputs: equation.outputs.map(to),
  }));
  return {
    inputs: p.inputs.map(to),
    equations,
    outputs: p.outputs.map(to),
    types,
  };
}

describe("print", () => {
  it("writes programs readably", () => {
    const p = program(["f32[3,4]", "f32[]"], (w, x, y) => [
      w.one("mul", [x, w.one("broadcast", [y], { shape: [3, 4], dims: [] })], {}),
    ]);
    expect(print(p)).toBe(example);
  });

  it("numbers variables in order of definition", () => {
    expect(print(renumbered(parse(nested)))).toBe(nested);
  });

  it("writes parameters in one order", () => {
    const a: Program = {
      inputs: [],
      equations: [{ op: "iota", inputs: [], outputs: [0], params: { axis: 0, dtype: "f32", shape: [2] } }],
      outputs: [0],
      types: [{ shape: [2], dtype: "f32" }],
    };
    expect(print(a)).toContain("iota shape=[2] dtype=f32 axis=0");
  });
});

describe("parse", () => {
  it("reads what print writes", () => {
    expect(print(parse(example))).toBe(example);
    expect(print(parse(nested))).toBe(nested);
    expect(print(parse("program () { return }"))).toBe("program () {\n  return\n}\n");
  });

  it("reads every printed program back, legal and canonical", () => {
    fc.assert(
      fc.property(arbitraryProgram({ nesting: 2, maxEquations: 12 }), (p) => {
        const back = verify(parse(print(p)));
        expect(print(back)).toBe(print(p));
        // Programs made equation by equation are numbered in order: they come back as they were.
        expect(back).toEqual(p);
      }),
      { numRuns: 300 },
    );
  });

  it("ignores layout and comments", () => {
    expect(
      print(
        parse(
          "// a comment\nprogram(%7:f32[3,4],%3:f32[]){%1:f32[3,4]=broadcast shape=[3,4]dims=[]%3 // another\n%2:f32[3,4]=mul %7 %1 return %2}",
        ),
      ),
    ).toBe(example);
  });

  it("says what is wrong, and in which line", () => {
    const failing = (text: string): string => {
      try {
        parse(text);
      } catch (error) {
        if (error instanceof ParseError) return error.message;
        throw error;
      }
      return "no error";
    };
    expect(failing("")).toBe("line 1: expected program, found end of text");
    expect(failing("program (%0: f32[2]) {\n  %1: f32[2] = sine %0\n  return %1\n}")).toBe(
      "line 2: there is no op sine",
    );
    expect(failing("program (%0: f32[2]) {\n\n  %1: f32[3] = neg %0\n  return %1\n}")).toBe(
      "line 3: neg: output 0 is declared f32[3], but is f32[2]",
    );
    expect(failing("program (%0: f32[2]) {\n  %1: f32[2] = neg %2\n  return %1\n}")).toBe(
      "line 2: %2 is used before it is defined",
    );
    expect(failing("program (%0: f32[2]) {\n  %1: f32[2] = neg %1\n  return %1\n}")).toBe(
      "line 2: %1 is used before it is defined",
    );
    expect(failing("program (%0: f32[2], %0: f32[2]) { return }")).toBe("line 1: %0 is defined twice");
    expect(failing("program (%0: f64[2]) { return }")).toBe(
      "line 1: expected a type such as f32[2,3], found f64",
    );
    expect(failing("program (%0: f32[2]) {\n  %1: f32[1,2] = reshape %0\n return %1 }")).toBe(
      "line 2: reshape: parameter shape is missing",
    );
    expect(failing("program (%0: f32[2]) {\n  %1: f32[1,2] = reshape shape=2 %0\n return %1 }")).toBe(
      "line 2: reshape: parameter shape is 2, expected whole numbers",
    );
    expect(failing("program (%0: f32[2]) {\n  %1: f32[2] = neg axis=1 %0\n return %1 }")).toBe(
      "line 2: neg: it has no parameter axis",
    );
    expect(failing("program (%0: f32[2]) {\n  %1: f32[2], %2: f32[2] = neg %0\n return %1 }")).toBe(
      "line 2: neg: neg has 1 outputs here, not 2",
    );
    expect(failing("program () {\n  %0: u32[] = constant shape=[] dtype=u32 values=-1\n return %0 }")).toBe(
      "line 2: constant: -1 is not a value of dtype u32",
    );
    expect(failing("program (%0: f32[2]) {\n return %0\n")).toBe(
      "line 3: expected a variable such as %0, found end of text",
    );
    expect(failing("program (%0: f32[2]) { return %0 } program")).toBe(
      "line 1: expected end of text, found program",
    );
    expect(
      failing("program () {\n  %0: f32[] = constant shape=[] dtype=f32 values=1.5.2\n return %0 }"),
    ).toContain("line 2: ");
    expect(failing("program () {\n %0: f32[] remat\n return %0 }")).toBe("line 2: expected outputs = op …");
  });
});

describe("hash", () => {
  it("does not depend on numbering", () => {
    fc.assert(
      fc.property(arbitraryProgram({ nesting: 2 }), (p) => {
        expect(hashProgram(renumbered(p))).toBe(hashProgram(p));
      }),
      { numRuns: 100 },
    );
  });

  it("differs between different programs", () => {
    const texts = new Map<string, string>();
    fc.assert(
      fc.property(arbitraryProgram({ maxEquations: 4 }), (p) => {
        const [text, hash] = [print(p), hashProgram(p)];
        expect(hash).toMatch(/^[0-9a-f]{32}$/);
        expect(texts.get(hash) ?? text).toBe(text);
        texts.set(hash, text);
      }),
      { numRuns: 500 },
    );
    const value = (v: number): Program =>
      program([], (w) => [w.one("constant", [], { shape: [], dtype: "f32", values: v })]);
    const hashes = Array.from({ length: 5000 }, (_, i) => hashProgram(value(i)));
    expect(new Set(hashes).size).toBe(5000);
    // Every 32-bit lane must tell them apart nearly as well: 5000 values collide 0.003 times in 2³² by chance.
    for (const lane of [0, 8, 16, 24])
      expect(new Set(hashes.map((hash) => hash.slice(lane, lane + 8))).size).toBeGreaterThan(4998);
  });

  it("changes about half of its bits when one character changes", () => {
    const bits = (hash: string): string =>
      Array.from(hash, (digit) => parseInt(digit, 16).toString(2).padStart(4, "0")).join("");
    for (let i = 0; i < 100; i++) {
      const [a, b] = [
        bits(hashText(`${"x".repeat(i)}a${"y".repeat(100 - i)}`)),
        bits(hashText(`${"x".repeat(i)}b${"y".repeat(100 - i)}`)),
      ];
      const changed = Array.from(a).filter((bit, k) => bit !== b[k]).length;
      expect(changed).toBeGreaterThan(32);
      expect(changed).toBeLessThan(96);
    }
  });

  it("is stable", () => {
    expect(hashProgram(parse(example))).toBe(hashText(example));
  });
});
