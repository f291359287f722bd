import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OPS } from "../../../src/dsl/ops/index.ts";
import { PARAMS } from "../../../src/dsl/program/params.ts";
import type { AnyEquation, Program } from "../../../src/dsl/program/program.ts";
import { VerifyError, verify } from "../../../src/dsl/program/verify.ts";
import { program } from "../../support/programs.ts";
import { arbitraryProgram } from "../../support/random-program.ts";

const pair = { shape: [2], dtype: "f32" } as const;
const good: Program = program(["f32[2]", "f32[2]"], (w, x, y) => [
  w.one("mul", [w.one("add", [x, y], {}), y], {}),
]);

/** The message for a program that need not be well-typed TypeScript. */
function refusal(broken: unknown): string {
  try {
    verify(broken as Program);
  } catch (error) {
    if (error instanceof VerifyError) return error.message;
    throw error;
  }
  return "accepted";
}

/** `good` with its second equation changed. */
const changed = (change: Record<string, unknown>): unknown => ({
  ...good,
  equations: [good.equations[0], { ...good.equations[1], ...change }],
});
const single = (equation: Record<string, unknown>): unknown => ({
  inputs: [0],
  equations: [{ inputs: [0], outputs: [1], params: {}, ...equation }],
  outputs: [1],
  types: [pair, pair],
});

describe("verify", () => {
  it("accepts legal programs and returns them", () => {
    expect(verify(good)).toBe(good);
    fc.assert(
      fc.property(arbitraryProgram({ nesting: 2 }), (p) => verify(p) === p),
      { numRuns: 200 },
    );
  });

  it("names the equation and the rule", () => {
    expect(refusal(changed({ inputs: [2, 9] }))).toBe(
      "equation 1, `%3: f32[2] = mul %2 %9`: %9 is used before it is defined",
    );
    expect(refusal(changed({ inputs: [2, 3] }))).toBe(
      "equation 1, `%3: f32[2] = mul %2 %3`: %3 is used before it is defined",
    );
    expect(refusal(changed({ outputs: [2] }))).toBe(
      "equation 1, `%2: f32[2] = mul %2 %1`: %2 is defined twice",
    );
    expect(refusal(changed({ outputs: [4] }))).toContain("%4 has no entry in the type table of 4");
    expect(refusal(changed({ outputs: [] }))).toContain("mul has 1 outputs here, not 0");
    expect(refusal(changed({ op: "times" }))).toBe("equation 1, `times`: there is no such op");
    expect(refusal(changed({ inputs: [2] }))).toContain("mul takes 2 tensor(s), got 1");
    expect(refusal({ ...good, types: [pair, pair, pair, { shape: [3], dtype: "f32" }] })).toContain(
      "output 0 is declared f32[3], but is f32[2]",
    );
    expect(refusal({ ...good, types: [pair, pair, pair, { shape: [2], dtype: "f64" }] })).toContain(
      "is not a shape and a dtype",
    );
    expect(refusal({ ...good, types: [pair, pair, pair, { shape: [2.5], dtype: "f32" }] })).toContain(
      "is not a shape and a dtype",
    );
    expect(refusal({ ...good, outputs: [7] })).toBe("the program returns %7, which is not defined");
    expect(refusal({ ...good, inputs: [0, 0] })).toBe("in the program's inputs, %0 is defined twice");
    expect(refusal({ inputs: [], outputs: [], types: [] })).toContain("a program is a record of the lists");
  });

  it("wants plain JSON parameters of the right kinds", () => {
    expect(refusal(single({ op: "neg", params: { axis: 1 } }))).toContain("it has no parameter axis");
    expect(refusal(single({ op: "neg", params: undefined }))).toContain("it has no parameter record");
    expect(refusal(single({ op: "cast", params: undefined }))).toContain("it has no parameter record");
    expect(refusal(single({ op: "cast", params: {} }))).toContain("parameter dtype is missing");
    expect(refusal(single({ op: "cast", params: { dtype: "f64" } }))).toContain(
      'parameter dtype is "f64", expected dtype',
    );
    expect(refusal(single({ op: "reshape", params: { shape: [2, -0] } }))).toContain(
      "expected whole numbers",
    );
    expect(refusal(single({ op: "cumsum", params: { axis: 0, reverse: undefined } }))).toContain(
      "parameter reverse is undefined, expected boolean",
    );
    const attention = (change: object): unknown => ({
      inputs: [0],
      equations: [
        {
          op: "attention",
          inputs: [0, 0, 0],
          outputs: [1, 2],
          params: { scale: 1, softcap: 0, causal: false, ...change },
        },
      ],
      outputs: [1],
      types: [{ shape: [2, 2], dtype: "f32" }, { shape: [2, 2], dtype: "f32" }, pair],
    });
    expect(refusal(attention({}))).toBe("accepted");
    for (const scale of [NaN, Infinity, -0, "1", () => 1])
      expect(refusal(attention({ scale }))).toContain("parameter scale is");
  });

  it("checks the values of integer and bool constants", () => {
    const constant = (dtype: string, values: unknown): string =>
      refusal({
        inputs: [],
        equations: [{ op: "constant", inputs: [], outputs: [0], params: { shape: [2], dtype, values } }],
        outputs: [0],
        types: [{ shape: [2], dtype }],
      });
    expect(constant("f32", ["nan", "-0"])).toBe("accepted");
    expect(constant("f32", [NaN, 0])).toContain("parameter values is");
    expect(constant("f32", [1, 2, 3])).toContain("constant: 3 values for shape [2]");
    expect(constant("i32", 2 ** 31)).toContain("2147483648 is not a value of dtype i32");
    expect(constant("u32", [0, -1])).toContain("-1 is not a value of dtype u32");
    expect(constant("bool", 2)).toContain("2 is not a value of dtype bool");
    expect(constant("i32", [0, 0.5])).toContain("0.5 is not a value");
    expect(constant("i32", "-0")).toContain("-0 is not a value");
  });

  it("checks nested programs by themselves and says where they are", () => {
    const scan = (body: unknown): unknown => ({
      inputs: [0],
      equations: [
        {
          op: "scan",
          inputs: [0],
          outputs: [1],
          params: { body, length: 2, consts: 0, carry: 1, reverse: false },
        },
      ],
      outputs: [1],
      types: [pair, pair],
    });
    const body = program(["f32[2]"], (w, x) => [w.one("neg", [x], {})]);
    expect(refusal(scan(body))).toBe("accepted");
    // A variable of the outer program is not visible inside.
    expect(
      refusal(scan({ ...body, equations: [{ op: "neg", inputs: [5], outputs: [1], params: {} }] })),
    ).toBe(
      "in body of the scan in equation 0: equation 0, `%1: f32[2] = neg %5`: %5 is used before it is defined",
    );
    expect(refusal(scan({ ...body, outputs: [4] }))).toBe(
      "in body of the scan in equation 0: the program returns %4, which is not defined",
    );
    expect(refusal(scan({ ...body, outputs: [] }))).toContain(
      "scan: the body returns a carry (), expected (f32[2])",
    );
    expect(refusal(scan({ equations: [], types: [] }))).toContain("a program is a record of the lists");
    expect(refusal(scan(7))).toContain("parameter body is 7, expected program");
  });

  it("knows the parameters of every op", () => {
    expect(Object.keys(PARAMS).toSorted()).toEqual(Object.keys(OPS).toSorted());
  });

  it("refuses programs in which anything was changed at random", () => {
    // Swapping the types of two variables of different types must be noticed.
    fc.assert(
      fc.property(arbitraryProgram({ maxEquations: 6 }), fc.nat(), (p, n) => {
        const victims = p.equations.flatMap((equation: AnyEquation) => equation.outputs);
        const victim = victims[n % Math.max(1, victims.length)];
        fc.pre(victim !== undefined);
        const types = p.types.map((type, id) =>
          id === victim ? { ...type, shape: [...type.shape, 7] } : type,
        );
        expect(refusal({ ...p, types })).not.toBe("accepted");
      }),
      { numRuns: 100 },
    );
  });
});
