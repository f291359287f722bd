import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import { mergeCommon } from "../../../src/compiler/passes/cse.ts";
import { eliminateDead } from "../../../src/compiler/passes/dce.ts";
import { foldConstants } from "../../../src/compiler/passes/fold.ts";
import { hoistInvariants } from "../../../src/compiler/passes/hoist.ts";
import { inlineCalls } from "../../../src/compiler/passes/inline.ts";
import type { Pass } from "../../../src/compiler/passes/pipeline.ts";
import { rewrite } from "../../../src/compiler/passes/rewrite.ts";
import { simplify } from "../../../src/compiler/passes/simplify.ts";
import { parse } from "../../../src/dsl/program/parse.ts";
import { print } from "../../../src/dsl/program/print.ts";
import { nestedPrograms } from "../../../src/dsl/program/program.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import { verify } from "../../../src/dsl/program/verify.ts";
import { captureSite, recordSite, rawSite } from "../../../src/dsl/trace/callsite.ts";
import { difference } from "../../support/programs.ts";
import { arbitraryRun } from "../../support/random-program.ts";

/** Equal texts: nothing may happen. */
function becomes(pass: Pass, before: string, after = before): void {
  expect(print(verify(pass(parse(`program ${before}`))))).toBe(print(parse(`program ${after}`)));
}
const foldAndClean: Pass = (p: Program) => eliminateDead(foldConstants(p));

describe("constant folding", () => {
  it("evaluates equations of constants", () => {
    becomes(
      foldAndClean,
      `() { %0: f32[2] = constant shape=[2] dtype=f32 values=[1,2] %1: f32[2] = constant shape=[2] dtype=f32 values=[3,inf] %2: f32[2] = add %0 %1 return %2 }`,
      `() { %0: f32[2] = constant shape=[2] dtype=f32 values=[4,inf] return %0 }`,
    );
  });

  it("keeps uniform tensors of any size uniform", () => {
    becomes(
      foldAndClean,
      `() { %0: f32[1000,1000] = constant shape=[1000,1000] dtype=f32 values=2 %1: f32[1000,1000] = sqrt %0 %2: f32[1000,1000] = mul %1 %1 %3: bool[1000,1000] = less %0 %2 return %3 }`,
      `() { %0: bool[1000,1000] = constant shape=[1000,1000] dtype=bool values=1 return %0 }`,
    );
  });

  it("writes lists of equal values as one value, and -0 as itself", () => {
    becomes(
      foldConstants,
      `() { %0: i32[3] = constant shape=[3] dtype=i32 values=[7,7,7] return %0 }`,
      `() { %0: i32[3] = constant shape=[3] dtype=i32 values=7 return %0 }`,
    );
    becomes(
      foldAndClean,
      `() { %0: f32[2] = constant shape=[2] dtype=f32 values=[0,nan] %1: f32[2] = neg %0 return %1 }`,
      `() { %0: f32[2] = constant shape=[2] dtype=f32 values=[-0,nan] return %0 }`,
    );
    becomes(foldConstants, `() { %0: f32[2] = constant shape=[2] dtype=f32 values=[-0,0] return %0 }`);
  });

  it("leaves large tables and iota to the target", () => {
    const list = Array.from({ length: 65 }, (_, i) => i).join(",");
    becomes(
      foldConstants,
      `() { %0: f32[65] = constant shape=[65] dtype=f32 values=[${list}] %1: f32[65] = exp %0 return %1 }`,
    );
    becomes(
      foldConstants,
      `() { %0: f32[3] = iota shape=[3] dtype=f32 axis=0 %1: f32[3] = exp %0 return %1 }`,
    );
  });

  it("folds a cast only when it does not round", () => {
    const cast = (from: string, value: string, to: string): string =>
      `() { %0: ${from}[] = constant shape=[] dtype=${from} values=${value} %1: ${to}[] = cast dtype=${to} %0 return %1 }`;
    becomes(foldConstants, cast("f32", "0.1", "f16"));
    becomes(foldConstants, cast("f32", "65536", "f16"));
    becomes(foldConstants, cast("i32", "16777217", "f32"));
    becomes(
      foldAndClean,
      cast("f32", "0.5", "f16"),
      `() { %0: f16[] = constant shape=[] dtype=f16 values=0.5 return %0 }`,
    );
    becomes(
      foldAndClean,
      cast("f32", "2.9", "i32"),
      `() { %0: i32[] = constant shape=[] dtype=i32 values=2 return %0 }`,
    );
  });

  it("makes constants of tensors without elements", () => {
    becomes(
      foldAndClean,
      `(%0: f32[0,2]) { %1: f32[0,2] = exp %0 return %1 }`,
      `(%0: f32[0,2]) { %1: f32[0,2] = constant shape=[0,2] dtype=f32 values=0 return %1 }`,
    );
  });
});

describe("common subexpressions", () => {
  it("merges equal equations and what follows from them, and knows commutative ops", () => {
    becomes(
      (p) => eliminateDead(mergeCommon(p)),
      `(%0: f32[], %1: f32[]) { %2: f32[] = add %0 %1 %3: f32[] = add %1 %0 %4: f32[] = exp %2 %5: f32[] = exp %3 %6: f32[] = sub %4 %5 return %6 }`,
      `(%0: f32[], %1: f32[]) { %2: f32[] = add %0 %1 %3: f32[] = exp %2 %4: f32[] = sub %3 %3 return %4 }`,
    );
  });

  it("keeps what differs in order, parameters or nested programs", () => {
    becomes(
      mergeCommon,
      `(%0: f32[], %1: f32[]) { %2: f32[] = sub %0 %1 %3: f32[] = sub %1 %0 return %2 %3 }`,
    );
    becomes(
      mergeCommon,
      `(%0: f32[2,2]) { %1: f32[2] = reduceSum axes=[0] %0 %2: f32[2] = reduceSum axes=[1] %0 return %1 %2 }`,
    );
    const call = (op: string): string =>
      `remat policy=dots body=(%0: f32[]) { %1: f32[] = ${op} %0 return %1 } %0`;
    becomes(
      mergeCommon,
      `(%0: f32[]) { %1: f32[] = ${call("exp")} %2: f32[] = ${call("sin")} return %1 %2 }`,
    );
    becomes(
      mergeCommon,
      `(%0: f32[]) { %1: f32[] = ${call("exp")} %2: f32[] = ${call("exp")} return %1 %2 }`,
      `(%0: f32[]) { %1: f32[] = ${call("exp")} return %1 %1 }`,
    );
  });

  it("does not share with a remat what is computed outside", () => {
    becomes(
      mergeCommon,
      `(%0: f32[]) { %1: f32[] = exp %0 %2: f32[] = remat policy=nothing body=(%0: f32[]) { %1: f32[] = exp %0 return %1 } %0 return %1 %2 }`,
    );
  });
});

describe("dead code", () => {
  it("goes, but inputs stay", () => {
    becomes(
      eliminateDead,
      `(%0: f32[], %1: f32[]) { %2: f32[] = exp %1 %3: f32[] = neg %0 %4: f32[] = sin %2 return %3 }`,
      `(%0: f32[], %1: f32[]) { %2: f32[] = neg %0 return %2 }`,
    );
  });

  it("goes from scans: unused results, the carries only they need, unread consts and slices", () => {
    becomes(
      eliminateDead,
      `(%0: f32[], %1: f32[], %2: f32[4], %3: f32[4]) {
        %4: f32[], %5: f32[], %6: f32[], %7: f32[4], %8: f32[4] = scan length=4 consts=1 carry=3 reverse=true
          body=(%0: f32[], %1: f32[], %2: f32[], %3: f32[], %4: f32[], %5: f32[]) {
            %6: f32[] = add %1 %2 %7: f32[] = mul %2 %4 %8: f32[] = mul %3 %0 %9: f32[] = exp %5
            return %6 %7 %8 %7 %9
          } %0 %1 %1 %1 %2 %3
        return %4 }`,
      // The first carry needs the second, which needs the first slice; the third carry alone needed the const.
      `(%0: f32[], %1: f32[], %2: f32[4], %3: f32[4]) {
        %4: f32[], %5: f32[] = scan length=4 consts=0 carry=2 reverse=true
          body=(%0: f32[], %1: f32[], %2: f32[]) { %3: f32[] = add %0 %1 %4: f32[] = mul %1 %2 return %3 %4 } %1 %1 %2
        return %4 }`,
    );
  });

  it("goes from branches and calls", () => {
    becomes(
      eliminateDead,
      `(%0: bool[], %1: f32[], %2: f32[]) { %3: f32[], %4: f32[] = cond onTrue=(%0: f32[], %1: f32[]) { return %0 %1 } onFalse=(%0: f32[], %1: f32[]) { %2: f32[] = neg %1 %3: f32[] = exp %0 return %3 %2 } %0 %1 %2 return %3 }`,
      `(%0: bool[], %1: f32[], %2: f32[]) { %3: f32[] = cond onTrue=(%0: f32[]) { return %0 } onFalse=(%0: f32[]) { %1: f32[] = exp %0 return %1 } %0 %1 return %3 }`,
    );
    becomes(
      eliminateDead,
      `(%0: f32[], %1: f32[]) { %2: f32[], %3: f32[] = remat policy=nothing body=(%0: f32[], %1: f32[]) { %2: f32[] = exp %0 %3: f32[] = sin %1 return %2 %3 } %0 %1 return %3 }`,
      `(%0: f32[], %1: f32[]) { %2: f32[] = remat policy=nothing body=(%0: f32[]) { %1: f32[] = sin %0 return %1 } %1 return %2 }`,
    );
  });

  it("goes from while loops, except what the condition needs", () => {
    becomes(
      eliminateDead,
      `(%0: f32[], %1: f32[], %2: f32[]) {
        %3: f32[], %4: f32[], %5: f32[] = while conditionConsts=1 bodyConsts=1
          condition=(%0: f32[], %1: f32[], %2: f32[], %3: f32[]) { %4: bool[] = less %1 %0 return %4 }
          body=(%0: f32[], %1: f32[], %2: f32[], %3: f32[]) { %4: f32[] = mul %1 %1 %5: f32[] = exp %2 %6: f32[] = add %3 %0 return %4 %5 %6 } %0 %1 %2 %2 %2
        return %4 }`,
      `(%0: f32[], %1: f32[], %2: f32[]) {
        %3: f32[], %4: f32[] = while conditionConsts=1 bodyConsts=0
          condition=(%0: f32[], %1: f32[], %2: f32[]) { %3: bool[] = less %1 %0 return %3 }
          body=(%0: f32[], %1: f32[]) { %2: f32[] = mul %0 %0 %3: f32[] = exp %1 return %2 %3 } %0 %2 %2
        return %4 }`,
    );
  });

  it("leaves the signatures of custom rules", () => {
    becomes(
      eliminateDead,
      `(%0: f32[]) { %1: f32[], %2: f32[] = customJvp consts=0 body=(%0: f32[]) { %1: f32[] = exp %0 %2: f32[] = sin %0 return %0 %0 } rule=(%0: f32[], %1: f32[]) { return %0 %0 %1 %1 } %0 return %1 }`,
      `(%0: f32[]) { %1: f32[], %2: f32[] = customJvp consts=0 body=(%0: f32[]) { return %0 %0 } rule=(%0: f32[], %1: f32[]) { return %0 %0 %1 %1 } %0 return %1 }`,
    );
  });
});

describe("hoisting", () => {
  it("moves what depends on consts only, and leaves what is free", () => {
    becomes(
      (p) => eliminateDead(hoistInvariants(p)),
      `(%0: f32[2], %1: f32[3,2]) {
        %2: f32[2] = scan length=3 consts=1 carry=1 reverse=false
          body=(%0: f32[2], %1: f32[2], %2: f32[2]) {
            %3: f32[2] = exp %0 %4: f32[2] = constant shape=[2] dtype=f32 values=2 %5: f32[2] = mul %3 %4
            %6: f32[2,2] = broadcast shape=[2,2] dims=[0] %5 %7: f32[2] = reduceSum axes=[0] %6 %8: f32[2] = mul %1 %7 %9: f32[2] = mul %8 %4
            return %9
          } %0 %0 %1
        return %2 }`,
      `(%0: f32[2], %1: f32[3,2]) {
        %2: f32[2] = exp %0 %3: f32[2] = constant shape=[2] dtype=f32 values=2 %4: f32[2] = mul %2 %3
        %5: f32[2,2] = broadcast shape=[2,2] dims=[0] %4 %6: f32[2] = reduceSum axes=[0] %5
        %7: f32[2] = scan length=3 consts=1 carry=1 reverse=false
          body=(%0: f32[2], %1: f32[2]) { %2: f32[2] = constant shape=[2] dtype=f32 values=2 %3: f32[2] = mul %1 %0 %4: f32[2] = mul %3 %2 return %4 } %6 %0
        return %7 }`,
    );
  });

  it("hoists nothing that only spreads, depends on the carry, or runs once", () => {
    becomes(
      hoistInvariants,
      `(%0: f32[], %1: f32[2]) { %2: f32[2] = scan length=3 consts=1 carry=1 reverse=false body=(%0: f32[], %1: f32[2]) { %2: f32[2] = broadcast shape=[2] dims=[] %0 %3: f32[2] = mul %1 %2 return %3 } %0 %1 return %2 }`,
    );
    becomes(
      hoistInvariants,
      `(%0: f32[], %1: f32[]) { %2: f32[] = scan length=1 consts=1 carry=1 reverse=false body=(%0: f32[], %1: f32[]) { %2: f32[] = exp %0 %3: f32[] = mul %1 %2 return %3 } %0 %1 return %2 }`,
    );
  });

  it("moves equations through nested loops and out of while bodies", () => {
    const inner = `scan length=2 consts=1 carry=1 reverse=false body=(%0: f32[], %1: f32[]) { %2: f32[] = exp %0 %3: f32[] = mul %1 %2 return %3 }`;
    becomes(
      (p) => eliminateDead(hoistInvariants(p)),
      `(%0: f32[], %1: f32[]) { %2: f32[] = scan length=2 consts=1 carry=1 reverse=false body=(%0: f32[], %1: f32[]) { %2: f32[] = ${inner} %0 %1 return %2 } %0 %1 return %2 }`,
      `(%0: f32[], %1: f32[]) { %2: f32[] = exp %0 %3: f32[] = scan length=2 consts=1 carry=1 reverse=false body=(%0: f32[], %1: f32[]) {
        %2: f32[] = scan length=2 consts=1 carry=1 reverse=false body=(%0: f32[], %1: f32[]) { %2: f32[] = mul %1 %0 return %2 } %0 %1 return %2 } %2 %1 return %3 }`,
    );
    becomes(
      (p) => eliminateDead(hoistInvariants(p)),
      `(%0: f32[], %1: f32[]) { %2: f32[] = while conditionConsts=0 bodyConsts=1 condition=(%0: f32[]) { %1: bool[] = less %0 %0 return %1 } body=(%0: f32[], %1: f32[]) { %2: f32[] = exp %0 %3: f32[] = mul %1 %2 return %3 } %0 %1 return %2 }`,
      `(%0: f32[], %1: f32[]) { %2: f32[] = exp %0 %3: f32[] = while conditionConsts=0 bodyConsts=1 condition=(%0: f32[]) { %1: bool[] = less %0 %0 return %1 } body=(%0: f32[], %1: f32[]) { %2: f32[] = mul %1 %0 return %2 } %2 %1 return %3 }`,
    );
  });
});

describe("inlining calls", () => {
  const ops = (p: Program): string[] =>
    p.equations.flatMap((e) => [e.op, ...nestedPrograms(e).flatMap(([, nested]) => ops(nested))]);

  it("keeps values and leaves no rule for differentiation", () => {
    fc.assert(
      fc.property(arbitraryRun({ nesting: 2 }), fc.boolean(), ({ program, inputs }, remat) => {
        const plain = verify(inlineCalls(program, { remat }));
        const left = ["customJvp", "customVjp", "customTangent", "stopGradient", ...(remat ? ["remat"] : [])];
        expect(ops(plain).filter((op) => left.includes(op))).toEqual([]);
        expect(difference(interpret(plain, inputs), interpret(program, inputs))).toBeUndefined();
      }),
      { numRuns: 150 },
    );
  });

  it("keeps remat unless asked", () => {
    const call = `(%0: f32[]) { %1: f32[] = remat policy=nothing body=(%0: f32[]) { %1: f32[] = exp %0 return %1 } %0 return %1 }`;
    becomes(inlineCalls, call);
    becomes((p) => inlineCalls(p, { remat: true }), call, `(%0: f32[]) { %1: f32[] = exp %0 return %1 }`);
  });
});

describe("rewriting", () => {
  it("attributes new equations to the line that made the old ones", () => {
    const before = parse(
      "program (%0: f32[], %1: f32[]) { %2: f32[] = neg %1 %3: f32[] = add %0 %2 return %3 }",
    );
    const site = captureSite();
    recordSite(before.equations[1] as object, site);
    const after = eliminateDead(simplify(before));
    expect(after.equations.map(({ op }) => op)).toEqual(["sub"]);
    expect(rawSite(after.equations[0] as object)).toBe(site);
  });

  it("refuses a rule that changes a type", () => {
    const p = parse("program (%0: f32[2], %1: f32[3]) { %2: f32[2] = neg %0 return %2 }");
    expect(() => rewrite(p, () => [1])).toThrow("a rule for neg made f32[3] of f32[2]");
  });
});
