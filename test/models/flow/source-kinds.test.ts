/** Sources whose coordinates are not alike, or depend on each other: what they draw, their moments and densities, and what they refuse. */
import { describe, expect, it } from "vitest";
import { slice, squeeze, stack, sub } from "../../../src/dsl/index.ts";
import type { random, Tensor } from "../../../src/dsl/index.ts";
import { corpusOracle } from "../../../src/models/flow/oracle.ts";
import { perKey } from "../../../src/models/flow/samplers/world.ts";
import { dirichlet } from "../../../src/models/flow/source-dirichlet.ts";
import {
  maskedGaussian,
  maskToken,
  middleOfSimplex,
  pointMass,
} from "../../../src/models/flow/source-masked.ts";
import { uniformOnSphere } from "../../../src/models/flow/source-sphere.ts";
import { deviationOf, gaussian, momentsOf } from "../../../src/models/flow/source.ts";
import type { Source } from "../../../src/models/flow/source.ts";
import { distance, evaluate, floats, list, words } from "../../support/evaluate.ts";

const DRAWS = 6000;

/** Draws [DRAWS][dim]. */
function drawn(source: Source, dim: number): readonly (readonly number[])[] {
  const values = list(
    evaluate({ key: words([2], [3, 14]) }, ({ key }) =>
      source.sample(key as Tensor<[2], "u32">, [DRAWS / 2, 2, dim]),
    ),
  );
  return Array.from({ length: DRAWS }, (_, i) => values.slice(i * dim, (i + 1) * dim));
}

const density = ({ logDensity }: Source, x: readonly number[]): number =>
  list(evaluate({ x: floats([1, 1, x.length], x) }, (i) => logDensity?.(i.x) as Tensor))[0] ?? NaN;

describe.each([
  ["Dirichlet of concentration 1", dirichlet(), 3],
  ["Dirichlet of concentration 4", dirichlet({ concentration: 4 }), 5],
  ["sphere of radius 2", uniformOnSphere({ radius: 2 }), 4],
  ["Gaussian around a token's mask", maskedGaussian({ mask: maskToken(1), scale: 0.3 }), 3],
  ["point mass", pointMass(), 4],
] as const)("%s", (_name, source, dim) => {
  const rows = drawn(source, dim);

  it("has its mean and variance at every coordinate", () => {
    const [means, variances] = [momentsOf(source.mean, dim), momentsOf(source.variance, dim)];
    means.forEach((mean, i) => {
      const rest = rows.map((row) => (row[i] ?? NaN) - mean);
      const squares = rest.map((x) => x ** 2);
      const average = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / DRAWS;
      const error = (values: readonly number[]): number =>
        Math.sqrt((average(values.map((x) => x ** 2)) - average(values) ** 2) / DRAWS);
      expect(Math.abs(average(rest))).toBeLessThanOrEqual(4.5 * error(rest) + 1e-12);
      expect(Math.abs(average(squares) - (variances[i] ?? NaN))).toBeLessThanOrEqual(
        4.5 * error(squares) + 1e-12,
      );
    });
    expect(deviationOf(source, dim)).toBeCloseTo(Math.sqrt(variances.reduce((a, b) => a + b, 0) / dim), 12);
  });

  it("is drawn with a key per sample as with each key alone", () => {
    const keys = words([2, 2], [3, 14, 1, 59]);
    const { each, alone } = evaluate({ keys }, (i) => ({
      each: perKey((key) => source.sample(key, [2, dim]), i.keys),
      alone: stack(
        [0, 1].map((row) =>
          source.sample(squeeze(slice(i.keys, 0, row, row + 1), 0) as random.Key, [2, dim]),
        ),
      ),
    }));
    expect(each.shape).toEqual([2, 2, dim]);
    expect(distance(each.data, alone.data)).toBe(0);
  });
});

describe("on the simplex", () => {
  it.each([1, 2, 3])("concentration %i draws distributions over tokens", (concentration) => {
    for (const row of drawn(dirichlet({ concentration }), 3)) {
      expect(Math.min(...row)).toBeGreaterThanOrEqual(0);
      expect(Math.abs(row.reduce((a, b) => a + b, 0) - 1)).toBeLessThan(1e-12);
    }
  });

  it("concentration 2 of two tokens is the law Beta(2, 2), concentration 1 of three is uniform", () => {
    const below = (source: Source, dim: number, at: number): number =>
      drawn(source, dim).filter(([x = NaN]) => x < at).length / DRAWS;
    for (const x of [0.2, 0.5, 0.8]) {
      const beta = 3 * x ** 2 - 2 * x ** 3;
      const slack = 4.5 * Math.sqrt((beta * (1 - beta)) / DRAWS);
      expect(Math.abs(below(dirichlet({ concentration: 2 }), 2, x) - beta)).toBeLessThan(slack);
      const flat = 1 - (1 - x) ** 2;
      expect(Math.abs(below(dirichlet(), 3, x) - flat)).toBeLessThan(
        4.5 * Math.sqrt((flat * (1 - flat)) / DRAWS),
      );
    }
  });

  it("has the density Π x^(k − 1), which is next to nothing where a coordinate is not positive", () => {
    const source = dirichlet({ concentration: 3 });
    expect(density(source, [0.2, 0.3, 0.5])).toBeCloseTo(2 * Math.log(0.2 * 0.3 * 0.5), 12);
    expect(density(source, [0.6, 0.5, -0.1])).toBeLessThan(-100);
    expect(dirichlet().logDensity).toBeUndefined();
  });

  it("rules out the texts that a state cannot come from", () => {
    const oracle = corpusOracle(
      { vocab: 2, sequences: [[0], [1]] },
      { source: dirichlet({ concentration: 2 }) },
    );
    // x = (1 − t) x₀ + t e_k at t = 1/4: from [0.1, 0.9] the first text would need noise that is negative; at [0.5, 0.5] both are as likely.
    const { denoised } = evaluate(
      { x: floats([2, 1, 2], [0.1, 0.9, 0.5, 0.5]), t: floats([2], [0.25, 0.25]) },
      ({ x, t }) => ({ denoised: oracle.denoiser(x, t) }),
    );
    expect(distance(denoised.data, [0, 1, 0.5, 0.5])).toBeLessThan(1e-12);
  });
});

it("on a sphere all noise has one length", () => {
  for (const row of drawn(uniformOnSphere({ radius: 1.5 }), 4))
    expect(Math.hypot(...row)).toBeCloseTo(1.5, 12);
});

describe("around a mask", () => {
  it("noise is the mask and Gaussian noise of the same key, and its limit the mask", () => {
    const { rest, plain, point } = evaluate({ key: words([2], [1, 2]) }, (i) => {
      const key = i.key as Tensor<[2], "u32">;
      const mask = pointMass(maskToken(2)).sample(key, [5, 2, 4]);
      return {
        rest: sub(maskedGaussian({ mask: maskToken(2), scale: 0.5 }).sample(key, [5, 2, 4]), mask),
        plain: gaussian({ scale: 0.5 }).sample(key, [5, 2, 4]),
        point: mask,
      };
    });
    expect(distance(rest.data, plain.data)).toBeLessThan(1e-15);
    expect(list(point)).toEqual(Array.from({ length: 40 }, (_, i) => Number(i % 4 === 2)));
  });

  it("the oracle's score is that of the shifted density", () => {
    // One text: p_t is N((1 − t) m + t e₁, (1 − t)² σ²).
    const [scale, t, x] = [0.5, 0.4, [0.3, 0.1, -0.2]] as const;
    const oracle = corpusOracle(
      { vocab: 3, sequences: [[1]] },
      { source: maskedGaussian({ mask: middleOfSimplex, scale }) },
    );
    const { score } = evaluate({ x: floats([1, 1, 3], x), t: floats([1], [t]) }, (i) => ({
      score: oracle.score(i.x, i.t),
    }));
    const expected = x.map(
      (value, i) => -(value - (1 - t) / 3 - t * Number(i === 1)) / ((1 - t) * scale) ** 2,
    );
    expect(distance(score.data, expected)).toBeLessThan(1e-12);
  });
});

describe("sources refuse", () => {
  it.each<readonly [() => unknown, string]>([
    [
      () => dirichlet({ concentration: 1.5 }),
      "A Dirichlet source is drawn by sums of exponentials, so its concentration is a whole number >= 1, got 1.5.",
    ],
    [() => uniformOnSphere({ radius: 0 }), "A source on a sphere needs a positive radius, got 0."],
    [
      () => maskedGaussian({ scale: 0 }),
      "A Gaussian around a mask needs a positive scale, got 0: without noise it is pointMass(mask).",
    ],
    [() => pointMass(NaN), "A mask state has finite coordinates, got NaN."],
    [
      () =>
        drawn(
          pointMass((i) => 1 / i),
          2,
        ),
      "A mask state has finite coordinates, got Infinity at coordinate 0 of 2.",
    ],
    [
      () =>
        corpusOracle(
          { vocab: 2, sequences: [[0]] },
          { source: dirichlet({ concentration: 3 }), embedding: [[1], [2]] },
        ),
      'The source "Dirichlet of concentration 3" is on the simplex of one-hot states, and rows of an embedding are on none.',
    ],
    [
      () => corpusOracle({ vocab: 2, sequences: [[0]] }, { source: pointMass() }),
      'The source "point mass" has no density, so the posterior of a corpus is not known.',
    ],
    [() => maskToken(-1), "A mask token has an id, a whole number >= 0, got -1."],
    [() => maskToken(1.5), "A mask token has an id, a whole number >= 0, got 1.5."],
  ])("case %#", (declare, message) => {
    expect(declare).toThrow(message);
  });
});
