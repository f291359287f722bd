/** What is predicted, and conversions: round trips, the formulas of FLM, velocity as a derivative, the score as a gradient. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { add, div, grad, jvp, mul, neg, onesLike, square, sub, sum } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { expectedNoise, score, velocity } from "../../../src/models/flow/fields.ts";
import {
  linear,
  mixed,
  perState,
  pointAt,
  trigonometric,
  variancePreservingLinear,
} from "../../../src/models/flow/interpolant.ts";
import { convert, endpoints } from "../../../src/models/flow/quantities.ts";
import type { Quantity } from "../../../src/models/flow/quantities.ts";
import { distance, evaluate, floats } from "../../support/evaluate.ts";

const QUANTITIES: readonly Quantity[] = ["clean point", "noise", "velocity", "score"];
const SHAPE = [3, 2, 2] as const;
const numbers = (count: number, min: number, max: number) =>
  fc.array(fc.double({ min, max, noNaN: true }), { minLength: count, maxLength: count });
/** Noise, clean points, and times away from the ends, where some quantities say nothing. */
const cases = fc.record({
  x0: numbers(12, -3, 3).map((values) => floats(SHAPE, values)),
  x1: numbers(12, -3, 3).map((values) => floats(SHAPE, values)),
  t: numbers(3, 0.05, 0.95).map((values) => floats([3], values)),
});
const property = (runs: number, holds: (inputs: fcValue<typeof cases>) => void): void =>
  fc.assert(fc.property(cases, holds), { numRuns: runs });
type fcValue<A> = A extends fc.Arbitrary<infer T> ? T : never;

describe.each([linear, trigonometric, variancePreservingLinear])(
  "on the $name interpolant",
  (interpolant) => {
    it.each(QUANTITIES.flatMap((from) => QUANTITIES.map((to) => [from, to] as const)))(
      "%s to %s and back is the same, and so are the endpoints",
      (from, to) => {
        property(3, (inputs) => {
          const result = evaluate(inputs, ({ x0, x1, t }) => {
            const point = pointAt(interpolant, t);
            const state = mixed(point, x0, x1);
            const value = convert(x1, "clean point", from, state, point, 0.7);
            const other = convert(value, from, to, state, point, 0.7);
            return {
              value,
              back: convert(other, to, from, state, point, 0.7),
              ends: endpoints(other, to, state, point, 0.7),
            };
          });
          expect(distance(result.back.data, result.value.data)).toBeLessThan(1e-8);
          expect(distance(result.ends.noise.data, inputs.x0.data)).toBeLessThan(1e-9);
          expect(distance(result.ends.clean.data, inputs.x1.data)).toBeLessThan(1e-9);
        });
      },
    );

    it("the velocity of known endpoints is the derivative of their state along t", () => {
      property(5, (inputs) => {
        const { moving, converted } = evaluate(inputs, ({ x0, x1, t }) => {
          const along = jvp((now: Tensor) => mixed(pointAt(interpolant, now), x0, x1), [t], [onesLike(t)]);
          return {
            moving: along.tangent,
            converted: convert(x0, "noise", "velocity", along.value, pointAt(interpolant, t)),
          };
        });
        expect(distance(moving.data, converted.data)).toBeLessThan(1e-9);
      });
    });

    it("the score is the gradient of the log-density, for Gaussian noise N(0, σ²) and Gaussian data N(μ, s²)", () => {
      const [sigma, mean, spread] = [0.7, 0.4, 1.3];
      property(5, (inputs) => {
        const result = evaluate(inputs, ({ x0: x, t }) => {
          const point = pointAt(interpolant, t);
          const [alpha, beta] = [perState(point.alpha), perState(point.beta)];
          const variance: Tensor = add(square(mul(alpha, sigma)), square(mul(beta, spread)));
          const centred = (at: Tensor): Tensor => sub(at, mul(beta, mean));
          const logDensity = (at: Tensor): Tensor<[]> =>
            neg(sum(div(square(centred(at)), mul(variance, 2)) as Tensor)) as Tensor<[]>;
          const clean: Tensor = add(mean, div(mul(mul(beta, spread ** 2), centred(x)), variance));
          return {
            score: convert(clean, "clean point", "score", x, point, sigma),
            gradient: grad(logDensity)(x),
          };
        });
        expect(distance(result.score.data, result.gradient.data)).toBeLessThan(1e-10);
      });
    });
  },
);

describe("on the straight line", () => {
  it("conversions of the denoiser are FLM's formulas, in flow/fields.ts", () => {
    property(10, (inputs) => {
      const result = evaluate(inputs, ({ x0: x, x1: D, t }) => {
        const point = pointAt(linear, t);
        const as = (to: Quantity): Tensor => convert(D, "clean point", to, x, point);
        return {
          velocity: [as("velocity"), velocity(x, D, t)],
          noise: [as("noise"), expectedNoise(x, D, t)],
          score: [as("score"), score(x, D, t)],
        } as const;
      });
      for (const [mine, known] of [result.velocity, result.noise, result.score])
        expect(distance(mine.data, known.data)).toBeLessThan(1e-9);
    });
  });

  it("times may be per token", () => {
    const t = floats([3, 2], [0.1, 0.9, 0.3, 0.6, 0.5, 0.2]);
    property(3, ({ x0, x1 }) => {
      const { clean } = evaluate({ x0, x1, t }, ({ x0: noise, x1: data, t: at }) => {
        const point = pointAt(trigonometric, at);
        const state = mixed(point, noise, data);
        return {
          clean: convert(
            convert(noise, "noise", "velocity", state, point),
            "velocity",
            "clean point",
            state,
            point,
          ),
        };
      });
      expect(distance(clean.data, x1.data)).toBeLessThan(1e-9);
    });
  });

  it("where two quantities are parallel, nothing finite is invented", () => {
    const inputs = { x: floats([1, 1, 2], [0.3, -1]), t: floats([1], [0]) };
    const { clean } = evaluate(inputs, ({ x, t }) => endpoints(x, "noise", x, pointAt(linear, t)));
    expect(Array.from(clean.data).some(Number.isFinite)).toBe(false);
  });
});
