// Distributions: moments and Kolmogorov-Smirnov distances at fixed seeds, ranges, and what happens at the
// ends of the words. A KS distance of n draws exceeds 1.95/√n with probability 1e-3; seeds are fixed, so no
// test fails by chance.

import { describe, expect, expectTypeOf, it } from "vitest";
import { random } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { erf } from "../../../src/dsl/numerics/erf.ts";
import type { Key } from "../../../src/dsl/random/index.ts";
import { traceFlat } from "../../../src/dsl/trace/builder.ts";
import { constants, distance, evaluate, floats, list } from "../../support/evaluate.ts";

const N = 20_001;
const draw = (seed: number, body: (key: Key) => Tensor): number[] =>
  list(constants(() => body(random.key(seed))));

/** sup |empirical distribution − cdf| · √n. */
function kolmogorov(values: readonly number[], cdf: (x: number) => number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  return Math.sqrt(n) * Math.max(...sorted.map((x, i) => Math.max((i + 1) / n - cdf(x), cdf(x) - i / n)));
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
const correlation = (a: readonly number[], b: readonly number[]): number =>
  mean(a.map((x, i) => x * (b[i] as number)));

describe("uniform", () => {
  it("fills [0, 1) evenly with multiples of 2^-24", () => {
    const values = draw(1, (key) => random.uniform(key, [N]));
    expect(kolmogorov(values, (x) => x)).toBeLessThan(1.95);
    expect(values.every((x) => x >= 0 && x < 1 && Number.isInteger(x * 2 ** 24))).toBe(true);
    expect(Math.abs(mean(values) - 0.5)).toBeLessThan(4 / Math.sqrt(12 * N));
  });

  it("is the top 24 bits of the words", () => {
    const words = draw(3, (key) => random.bits(key, [50]));
    expect(draw(3, (key) => random.uniform(key, [50]))).toEqual(words.map((word) => (word >>> 8) * 2 ** -24));
  });

  it("takes a range, which excludes its end also in f32", () => {
    const values = draw(2, (key) => random.uniform(key, [N], { low: -2, high: 6 }));
    expect(kolmogorov(values, (x) => (x + 2) / 8)).toBeLessThan(1.95);
    expect(Math.max(...values)).toBeLessThan(6);
    // Only two floats lie in this range; without care the larger draws would round up to its end.
    const narrow = draw(2, (key) => random.uniform(key, [100], { low: 1, high: 1 + 2 ** -22 }));
    expect(narrow.every((x) => x >= 1 && Math.fround(x) < 1 + 2 ** -22)).toBe(true);
    expect(() => draw(0, (key) => random.uniform(key, [1], { low: 1, high: 1 }))).toThrow(
      /low must be below high/,
    );
  });
});

describe("normal", () => {
  const values = draw(5, (key) => random.normal(key, [N]));

  it("is standard normal", () => {
    expect(kolmogorov(values, (x) => (1 + erf(x / Math.SQRT2)) / 2)).toBeLessThan(1.95);
    expect(Math.abs(mean(values))).toBeLessThan(4 / Math.sqrt(N));
    expect(Math.abs(mean(values.map((x) => x ** 2)) - 1)).toBeLessThan(4 * Math.sqrt(2 / N));
    expect(Math.abs(mean(values.map((x) => x ** 4)) - 3)).toBeLessThan(4 * Math.sqrt(96 / N));
  });

  it("has independent halves", () => {
    const half = (N + 1) / 2;
    const [cosines, sines] = [values.slice(0, half - 1), values.slice(half)];
    expect(Math.abs(correlation(cosines, sines))).toBeLessThan(4 / Math.sqrt(half));
    expect(
      Math.abs(
        correlation(
          cosines.map((x) => x * x - 1),
          sines.map((x) => x * x - 1),
        ),
      ),
    ).toBeLessThan(8 / Math.sqrt(half));
  });

  it("is Box and Muller's transformation of the words", () => {
    const words = draw(5, (key) => random.bits(key, [N + 1]));
    const half = (N + 1) / 2;
    const expected = Array.from({ length: N }, (_, i) => {
      const [first, second] = [words[i % half] as number, words[half + (i % half)] as number];
      const radius = Math.sqrt(-2 * Math.log((first + 0.5) / 2 ** 32));
      const angle = (2 * Math.PI * second) / 2 ** 32 - Math.PI;
      return radius * (i < half ? Math.cos(angle) : Math.sin(angle));
    });
    // The last block of an odd draw has 0 in place of its second counter, so number half − 1 is another one.
    expect(distance(values.slice(0, half - 1), expected.slice(0, half - 1))).toBeLessThan(1e-12);
    expect(distance(values.slice(half), expected.slice(half))).toBeLessThan(1e-12);
  });

  it("takes half as many logarithms, roots, cosines and sines as numbers", () => {
    const { program } = traceFlat([{ shape: [2], dtype: "u32" }], ([key]) => [
      random.normal(key as unknown as Key, [3, 4]) as never,
    ]);
    for (const op of ["log", "sqrt", "cos", "sin", "threefry"] as const) {
      const found = program.equations.filter((equation) => equation.op === op);
      expect(found.map((equation) => program.types[equation.outputs[0] as number]?.shape)).toEqual([[6]]);
    }
  });

  it("differs with the key, and repeats with it", () => {
    expect(draw(5, (key) => random.normal(key, [N]))).toEqual(values);
    const other = draw(6, (key) => random.normal(key, [N]));
    expect(Math.abs(correlation(values, other))).toBeLessThan(4 / Math.sqrt(N));
  });

  it("has the shape asked for, also for one and no number", () => {
    expect(constants(() => random.normal(random.key(0), [2, 3, 5])).shape).toEqual([2, 3, 5]);
    expect(constants(() => random.normal(random.key(0), [])).data.length).toBe(1);
    expect(constants(() => random.normal(random.key(0), [0, 4])).data.length).toBe(0);
    constants(() => {
      expectTypeOf(random.normal(random.key(0), [2, 3])).toEqualTypeOf<Tensor<[2, 3], "f32">>();
      return random.key(0);
    });
  });
});

describe("exponential and gumbel", () => {
  it("follow their distributions", () => {
    expect(
      kolmogorov(
        draw(7, (key) => random.exponential(key, [N])),
        (x) => 1 - Math.exp(-x),
      ),
    ).toBeLessThan(1.95);
    expect(
      kolmogorov(
        draw(8, (key) => random.gumbel(key, [N])),
        (x) => Math.exp(-Math.exp(-x)),
      ),
    ).toBeLessThan(1.95);
  });

  it("are the logarithms of the words to 1e-7, on both sides of the series", () => {
    const words = draw(9, (key) => random.bits(key, [N]));
    const expected = words.map((word) => -Math.log1p(-(word + 0.5) / 2 ** 32));
    const drawn = draw(9, (key) => random.exponential(key, [N]));
    expect(Math.max(...drawn.map((x, i) => Math.abs(x / (expected[i] as number) - 1)))).toBeLessThan(2e-7);
    expect(draw(9, (key) => random.gumbel(key, [N])).every(Number.isFinite)).toBe(true);
  });
});

describe("bernoulli", () => {
  it("has the frequency asked for; 0 is never and 1 always", () => {
    for (const p of [0, 0.1, 0.75, 1]) {
      const frequency = mean(draw(11, (key) => random.bernoulli(key, p, [N])));
      expect(Math.abs(frequency - p)).toBeLessThanOrEqual(4 * Math.sqrt((p * (1 - p)) / N));
    }
  });

  it("takes a tensor of probabilities", () => {
    const p = floats([3, 1], [0, 0.5, 1]);
    const drawn = evaluate({ p }, (x) =>
      random.bernoulli(random.key(4), x.p as Tensor<[3, 1], "f32">, [3, 4000]),
    );
    const rows = [0, 1, 2].map((row) => mean(list(drawn).slice(row * 4000, (row + 1) * 4000)));
    expect([rows[0], rows[2]]).toEqual([0, 1]);
    expect(Math.abs((rows[1] as number) - 0.5)).toBeLessThan(4 / Math.sqrt(4 * 4000));
    expect(
      evaluate({ p }, (x) => random.bernoulli(random.key(4), x.p as Tensor<[3, 1], "f32">)).shape,
    ).toEqual([3, 1]);
    expect(() =>
      evaluate({ p }, (x) => random.bernoulli(random.key(4), x.p as Tensor<[3, 1], "f32">, [4, 2])),
    ).toThrow(/do not line up/);
    expect(() => constants(() => random.bernoulli(random.key(4), 1.5, [2]))).toThrow(/no probability/);
  });
});
