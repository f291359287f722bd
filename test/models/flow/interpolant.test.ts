/** Interpolants: what the ones here are, that rates are derivatives, and which declarations are refused. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { add, cos, exp, jvp, mul, onesLike, sin, square, sub } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import {
  interpolant,
  linear,
  mixed,
  perState,
  pointAt,
  trigonometric,
  variancePreserving,
  variancePreservingLinear,
} from "../../../src/models/flow/interpolant.ts";
import { distance, evaluate, floats, list } from "../../support/evaluate.ts";

const TIMES = [0, 0.1, 0.35, 0.5, 0.8, 0.99];
const t = floats([TIMES.length], TIMES);
const quadratic = interpolant({ name: "quadratic", alpha: (x) => square(sub(1, x)), beta: (x) => square(x) });

describe.each([
  ["linear", linear, (x: number) => [1 - x, x, -1, 1]],
  [
    "trigonometric",
    trigonometric,
    (x: number) => {
      const [c, s] = [Math.cos((Math.PI / 2) * x), Math.sin((Math.PI / 2) * x)];
      return [c, s, (-Math.PI / 2) * s, (Math.PI / 2) * c];
    },
  ],
  [
    "variance-preserving",
    variancePreservingLinear,
    (x: number) => [Math.sqrt(1 - x * x), x, -x / Math.sqrt(1 - x * x), 1],
  ],
  ["quadratic", quadratic, (x: number) => [(1 - x) ** 2, x * x, 2 * (x - 1), 2 * x]],
] as const)("%s", (_name, declared, known) => {
  it("has the coefficients and rates that its formula says", () => {
    const point = evaluate({ t }, ({ t: at }) => pointAt(declared, at));
    const columns = [point.alpha, point.beta, point.alphaRate, point.betaRate].map(list);
    TIMES.forEach((time, i) =>
      expect(
        distance(
          columns.map((column) => column[i] as number),
          known(time),
        ),
      ).toBeLessThan(1e-13),
    );
  });

  it("leaves no noise at t = 1 and no data at t = 0, exactly", () => {
    const { alpha, beta } = evaluate({ t: floats([2], [0, 1]) }, ({ t: at }) => ({
      alpha: declared.alpha(at),
      beta: declared.beta(at),
    }));
    expect([list(alpha), list(beta)]).toEqual([
      [1, 0],
      [0, 1],
    ]);
  });

  it("İ_t = α̇ x₀ + β̇ x₁ is the derivative of states along t (fast-check)", () => {
    const numbers = (count: number, min: number, max: number) =>
      fc.array(fc.double({ min, max, noNaN: true }), { minLength: count, maxLength: count });
    fc.assert(
      fc.property(numbers(12, -3, 3), numbers(12, -3, 3), numbers(2, 0, 0.99), (noise, clean, times) => {
        const inputs = { x0: floats([2, 2, 3], noise), x1: floats([2, 2, 3], clean), t: floats([2], times) };
        const { moving, rate } = evaluate(inputs, ({ x0, x1, t: at }) => {
          const { alphaRate, betaRate } = pointAt(declared, at);
          const state = (now: Tensor): Tensor => mixed(pointAt(declared, now), x0, x1);
          return {
            moving: jvp(state, [at], [onesLike(at)]).tangent,
            rate: add(mul(perState(alphaRate), x0), mul(perState(betaRate), x1)),
          };
        });
        expect(distance(moving.data, rate.data)).toBeLessThan(1e-12);
      }),
      { numRuns: 10 },
    );
  });
});

describe("interpolant() refuses", () => {
  const alpha = (x: Tensor): Tensor => sub(1, x);
  const beta = (x: Tensor): Tensor => x;
  it.each([
    [
      "noise left at t = 1",
      { alpha: (x: Tensor) => exp(mul(x, -3)), beta },
      "needs α(1) = 0: the weight of the noise is 0.0497",
    ],
    [
      "noise that is not there at t = 0",
      { alpha: (x: Tensor) => mul(alpha(x), 0.9), beta },
      "needs α(0) = 1",
    ],
    [
      "data at t = 0",
      { alpha, beta: (x: Tensor) => mul(add(x, 1), 0.5) },
      "needs β(0) = 0: the weight of the data is 0.5",
    ],
    ["half of the data at t = 1", { alpha, beta: (x: Tensor) => mul(x, 0.5) }, "needs β(1) = 1"],
    [
      "data that turns back",
      { alpha, beta: (x: Tensor) => sub(x, mul(sin(mul(x, 2 * Math.PI)), 0.5)) },
      "needs β to rise all the way: β(0) = 0",
    ],
    [
      "noise that turns back",
      { alpha: (x: Tensor) => square(cos(mul(x, 1.5 * Math.PI))), beta },
      "needs α to fall all the way",
    ],
    ["α and β exchanged", { alpha: beta, beta: alpha }, 'The interpolant "mine" needs α(0) = 1'],
  ])("%s", (_what, declared, message) => {
    const declare = (): unknown => interpolant({ name: "mine", ...declared });
    expect(declare).toThrow(RangeError);
    expect(declare).toThrow(message);
  });

  it("a variance-preserving one whose β is none", () => {
    expect(() => variancePreserving("mine", (x) => mul(x, 0.9))).toThrow(
      'The interpolant "mine" needs α(1) = 0',
    );
  });
});
