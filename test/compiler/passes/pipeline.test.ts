import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import { PASSES, optimize } from "../../../src/compiler/passes/pipeline.ts";
import type { Pass } from "../../../src/compiler/passes/pipeline.ts";
import { hashProgram } from "../../../src/dsl/program/hash.ts";
import { formatType, inputTypes, outputTypes } from "../../../src/dsl/program/program.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import { print } from "../../../src/dsl/program/print.ts";
import { verify } from "../../../src/dsl/program/verify.ts";
import { difference, program } from "../../support/programs.ts";
import { arbitraryRun } from "../../support/random-program.ts";
import type { RandomProgramOptions } from "../../support/random-program.ts";

const signature = (p: Program): string =>
  `${inputTypes(p).map(formatType).join(",")} -> ${outputTypes(p).map(formatType).join(",")}`;

const KINDS: Record<string, RandomProgramOptions> = {
  "any values, NaN and -0 included": { maxEquations: 12, nesting: 2 },
  "bounded values": { maxEquations: 12, nesting: 2, bounded: true },
  "loops and branches": {
    maxEquations: 6,
    nesting: 2,
    ops: ["scan", "while", "cond", "remat", "add", "neg", "constant", "mul", "slice", "not"],
  },
  "views and constants": {
    maxEquations: 14,
    ops: [
      "constant",
      "broadcast",
      "reshape",
      "transpose",
      "slice",
      "pad",
      "concat",
      "add",
      "mul",
      "sub",
      "neg",
      "cast",
      "select",
      "reduceMax",
      "and",
      "or",
      "xor",
    ],
  },
};

/** Passes promise the same bits, so the tolerance is 0. */
function keepsEverything(pass: Pass, numRuns: number): void {
  for (const options of Object.values(KINDS)) {
    fc.assert(
      fc.property(arbitraryRun(options), ({ program: before, inputs }) => {
        const text = print(before);
        const after = verify(pass(before));
        expect(signature(after)).toBe(signature(before));
        expect(difference(interpret(after, inputs), interpret(before, inputs))).toBeUndefined();
        expect(print(before)).toBe(text);
      }),
      { numRuns },
    );
  }
}

describe("every pass keeps values, types and its input", () => {
  for (const [name, pass] of Object.entries(PASSES)) {
    it(name, () => keepsEverything(pass, 100));
  }
  it("the pipeline", () => keepsEverything((p) => optimize(p, { verify: true }), 100));
});

describe("optimize", () => {
  it("reaches a fixpoint", () => {
    fc.assert(
      fc.property(arbitraryRun({ maxEquations: 12, nesting: 2 }), ({ program: before }) => {
        const once = optimize(before);
        expect(print(optimize(once))).toBe(print(once));
      }),
      { numRuns: 150 },
    );
  });

  it("does not depend on how variables are numbered", () => {
    const a: Program = program(["f32[2]"], (w, x) => [w.one("add", [x, x], {})]);
    const b: Program = {
      inputs: [5],
      equations: [{ op: "add", inputs: [5, 5], outputs: [1], params: {} }],
      outputs: [1],
      types: [] as never,
    };
    const types = Array.from({ length: 6 }, () => ({ shape: [2], dtype: "f32" as const }));
    expect(hashProgram(optimize({ ...b, types }))).toBe(hashProgram(optimize(a)));
  });

  it("traces every pass by name", () => {
    const seen: string[] = [];
    optimize(
      program(["f32[2]"], (w, x) => [w.one("neg", [w.one("neg", [x], {})], {})]),
      { trace: (name) => seen.push(name) },
    );
    expect(seen.slice(0, 5)).toEqual(["simplify", "fold", "cse", "hoist", "dce"]);
  });

  it("combines the passes", () => {
    const body = program(["f32[2]", "f32[2]", "f32[2]"], (w, c, carry, x) => {
      const one = w.one("constant", [], { shape: [2], dtype: "f32", values: 1 });
      const two = w.one("add", [one, one], {});
      const scaled = w.one("mul", [w.one("exp", [c], {}), two], {});
      return [
        carry,
        w.one("mul", [w.one("add", [x, scaled], {}), w.one("sub", [two, one], {})], {}),
        w.one("log", [x], {}),
      ];
    });
    const before = program(["f32[2]", "f32[2]", "f32[4,2]"], (w, c, init, xs) => {
      const [carry, ys] = w.all("scan", [c, init, xs], {
        body,
        length: 4,
        consts: 1,
        carry: 1,
        reverse: false,
      });
      return [carry as number, ys as number];
    });
    expect(print(optimize(before, { verify: true }))).toBe(`program (%0: f32[2], %1: f32[2], %2: f32[4,2]) {
  %3: f32[2] = constant shape=[2] dtype=f32 values=2
  %4: f32[2] = exp %0
  %5: f32[2] = mul %4 %3
  %6: f32[4,2] = scan length=4 consts=1 carry=0 reverse=false body=(%0: f32[2], %1: f32[2]) {
    %2: f32[2] = add %1 %0
    return %2
  } %5 %2
  return %1 %6
}
`);
  });
});
