/**
 * What the tests of the groups of identities share. A file opens every device once, compiles each of its programs once per device, and
 * gives many cases to one run, for on software adapters a new kernel takes long and a run does not. Numbers are exact in f32, so that
 * every device sees the same cases.
 */
import fc from "fast-check";
import { vi } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { distance, floats } from "../../support/evaluate.ts";

export { openTargets } from "../../support/targets.ts";
export { distance, floats, ints, list, words } from "../../support/evaluate.ts";

// Compiling for a software adapter takes seconds where many tests run at once.
vi.setConfig({ testTimeout: 120_000 });

/** Lists of numbers that f32 holds, and that no device flushes to zero. */
export const numbers = (count: number, min: number, max: number): fc.Arbitrary<number[]> =>
  fc
    .array(fc.double({ min, max, noNaN: true }), { minLength: count, maxLength: count })
    .map((values) => values.map((x) => (Math.abs(x) < 2 ** -100 ? 0 : Math.fround(x))));

export const column = (data: readonly number[]): ExactTensor => floats([data.length], data);

/** Largest |x|; NaN where there is one. */
export const largest = (tensor: ExactTensor): number =>
  Array.from(tensor.data).reduce(
    (most, x) => (Number.isNaN(x) || Math.abs(x) > most ? Math.abs(x) : most),
    0,
  );

/** Sums of rows of so many entries. */
export const rowSums = (tensor: ExactTensor, size: number): number[] =>
  Array.from({ length: tensor.data.length / size }, (_, i) =>
    Array.from(tensor.data.slice(i * size, (i + 1) * size)).reduce((a, b) => a + b, 0),
  );

/** Largest |a − b|/(1 + |b|): for values of very different sizes. @throws Error when lengths differ */
export const deviation = (actual: ArrayLike<number>, expected: ArrayLike<number>): number =>
  distance(
    Array.from(actual, (x, i) => x / (1 + Math.abs(expected[i] ?? NaN))),
    Array.from(expected, (x) => x / (1 + Math.abs(x))),
  );

/** Rows of times 0 <= s < a < b < t < 1, well apart: at least 1/50 from each other and from 1. */
export const cuts = (rows: number): fc.Arbitrary<{ readonly [K in "s" | "a" | "b" | "t"]: ExactTensor }> =>
  fc.array(numbers(5, 0.1, 1), { minLength: rows, maxLength: rows }).map((all) => {
    const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
    const at = (n: number): ExactTensor =>
      column(all.map((gaps) => Math.fround((sum(gaps.slice(0, n)) - 0.1) / sum(gaps))));
    return { s: at(1), a: at(2), b: at(3), t: at(4) };
  });
