/** A function of the language on plain numbers: what the interpreter computes, its derivative, and what is refused. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  abs, add, cast, clip, cos, div, erf, exp, expandDims, greater, jvp, less, log, maximum, minimum, mul, neg, onesLike, pow, rsqrt,
  scalarFunction, sigmoid, silu, sin, softplus, sqrt, square, stopGradient, sub, sum, broadcastTo, reshape, rem, sign, tanh, where, OpError,
} from "../../src/dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../src/dsl/index.ts";
import { evaluate, scalarOf } from "../support/evaluate.ts";

/** Functions that together use every kind of elementwise op. */
const FUNCTIONS: readonly (readonly [string, (x: Tensor) => Tensor])[] = [
  ["arithmetic", (x) => div(sub(mul(x, 3), square(x)), add(2, square(x)))],
  ["exp, log, sqrt", (x) => mul(log(add(1, exp(x))), rsqrt(add(1, sqrt(add(1, square(x))))))],
  ["circles", (x) => add(sin(mul(x, 2)), mul(cos(x), tanh(x)))],
  ["erf and sigmoid", (x) => sub(erf(x), sigmoid(neg(x)))],
  ["powers", (x) => pow(add(abs(x), 0.5), 2.5)],
  ["pieces", (x) => where(greater(x, 0.3), square(x), mul(x, 0.5)) as Tensor],
  ["bounds", (x) => add(clip(x, -0.6, 0.7), maximum(minimum(mul(x, 2), 1.1), -1.3))],
  ["a custom derivative", (x) => add(silu(x), softplus(mul(x, 3)))],
  ["integers", (x) => mul(cast(cast(mul(x, 10), "i32"), "f32"), x)],
  ["integers that saturate", (x) => mul(cast(cast(mul(x, 3e9), "u32"), "f32"), 1e-9)],
  ["remainder and sign", (x) => add(rem(mul(x, 7), 3), mul(sign(x), x))],
  ["shapes of one number", (x) => mul(reshape(expandDims(x, 0), []), broadcastTo(x, []))],
  ["what has no gradient", (x) => mul(stopGradient(x), x)],
];

describe("scalarFunction", () => {
  it.each(FUNCTIONS)("%s: value and derivative are the interpreter's (fast-check)", (_name, f) => {
    const plain = scalarFunction(f);
    fc.assert(
      fc.property(fc.double({ min: -2, max: 2, noNaN: true }), (x) => {
        const { value, tangent } = evaluate({ x: scalarOf(x) }, ({ x: at }) =>
          jvp((y: Tensor) => f(y), [at], [onesLike(at)]),
        );
        expect(plain(x)).toBe(value.data[0]);
        expect(plain.derivative(x)).toBe(tangent.data[0]);
      }),
      { numRuns: 25 },
    );
  });

  it.each(FUNCTIONS.slice(0, 5))("%s: the derivative is that of differences", (_name, f) => {
    const plain = scalarFunction(f);
    for (const x of [-1.3, -0.4, 0.2, 0.9]) {
      const h = 1e-4;
      const difference =
        (8 * (plain(x + h) - plain(x - h)) - (plain(x + 2 * h) - plain(x - 2 * h))) / (12 * h);
      expect(Math.abs(plain.derivative(x) - difference)).toBeLessThan(1e-10);
    }
  });

  it("works in double precision", () => {
    expect(scalarFunction((x) => sub(add(x, 1), 1))(1e-12)).toBe(1e-12 + 1 - 1);
    expect(scalarFunction((x) => exp(x))(1)).toBe(Math.E);
  });

  it("refuses what is no function of one number", () => {
    const many = scalarFunction((x) => sum(broadcastTo(x, [3])) as Tensor);
    expect(() => many(1)).toThrow(OpError);
    expect(() => many(1)).toThrow("is made of elementwise ops, and reduceSum is none");
    expect(() => scalarFunction((x) => broadcastTo(x, [2]))).toThrow("must return one f32 number, not ");
    expect(() => scalarFunction((x) => less(x, 1) as unknown as Tensor)).toThrow(
      "must return one f32 number, not ",
    );
  });
});
