// The tracer itself: which program an equation lands in, what is captured, what is written down again.
import { describe, expect, it } from "vitest";
import { print } from "../../../src/dsl/program/print.ts";
import type { TensorType } from "../../../src/dsl/program/program.ts";
import { verify } from "../../../src/dsl/program/verify.ts";
import { emitOne, traceFlat } from "../../../src/dsl/trace/builder.ts";
import type { Traced, TracedTensor } from "../../../src/dsl/trace/builder.ts";
import * as prim from "../../../src/dsl/trace/prim.ts";

const pair: TensorType = { shape: [2], dtype: "f32" };

describe("captures", () => {
  it("become inputs in front of the explicit ones, once each", () => {
    let inner: Traced | undefined;
    traceFlat([pair, pair], ([x, y]) => {
      inner = traceFlat([pair], ([z]) => [
        prim.add(
          prim.add(z as TracedTensor, y as TracedTensor),
          prim.mul(y as TracedTensor, x as TracedTensor),
        ),
      ]);
      expect(inner.captures).toEqual([y, x]);
      return [];
    });
    expect(print(verify((inner as Traced).program))).toContain(
      "program (%0: f32[2], %1: f32[2], %2: f32[2]) {\n  %3: f32[2] = add %2 %0",
    );
  });

  it("pass through the levels between", () => {
    const outer = traceFlat([pair], ([x]) => {
      const middle = traceFlat([], () => {
        const inner = traceFlat([], () => [prim.neg(x as TracedTensor)]);
        expect(inner.captures).toHaveLength(1);
        expect(inner.captures[0]).not.toBe(x);
        return inner.captures;
      });
      expect(middle.captures).toEqual([x]);
      return [];
    });
    expect(outer.captures).toEqual([]);
  });

  it("of uniform constants are copies, of tables are not, but in a hoisting program", () => {
    traceFlat([], () => {
      const [two, ramp] = [prim.fill(2, pair), prim.iota([2], "f32", 0)];
      const uniform = traceFlat([pair], ([z]) => [prim.mul(prim.mul(z as TracedTensor, two), ramp)]);
      expect(uniform.captures).toEqual([]);
      expect(uniform.program.equations.map(({ op }) => op)).toEqual(["constant", "mul", "iota", "mul"]);
      const table = emitOne("constant", [], { ...pair, values: [1, 2] });
      const multiply = ([z]: readonly TracedTensor[]): TracedTensor[] => [prim.mul(z as TracedTensor, table)];
      expect(traceFlat([pair], multiply).captures).toEqual([table]);
      expect(traceFlat([pair], multiply, { hoists: true }).captures).toEqual([]);
      return [];
    });
  });
});

describe("hoisting", () => {
  it("keeps only what depends on the program's own inputs; the rest goes below", () => {
    let linear: Traced | undefined;
    const outer = traceFlat([pair], ([x]) => {
      linear = traceFlat([pair], ([dot]) => [prim.mul(dot as TracedTensor, prim.cos(x as TracedTensor))], {
        hoists: true,
      });
      return linear.captures;
    });
    expect(outer.program.equations.map(({ op }) => op)).toEqual(["cos"]);
    expect((linear as Traced).program.equations.map(({ op }) => op)).toEqual(["mul"]);
  });

  it("a program traced inside captures what lies below directly, so that its call can be hoisted", () => {
    const outer = traceFlat([pair], ([x]) => {
      const linear = traceFlat(
        [pair],
        ([dot]) => {
          const body = traceFlat([], () => [prim.sin(x as TracedTensor)]);
          expect(body.captures).toEqual([x]);
          const [called] = prim.replay(body.program, body.captures);
          return [prim.mul(dot as TracedTensor, called as TracedTensor)];
        },
        { hoists: true },
      );
      expect(linear.program.equations.map(({ op }) => op)).toEqual(["mul"]);
      return linear.captures;
    });
    expect(outer.program.equations.map(({ op }) => op)).toEqual(["sin"]);
  });
});
