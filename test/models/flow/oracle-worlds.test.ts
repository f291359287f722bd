/**
 * The oracle in other worlds than FLM's: sources, scales, embeddings, and times per token, against the posterior summed over sequences
 * on plain numbers; its score against differences of the log-density; refusals.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { constant, sub } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { convert } from "../../../src/models/flow/quantities.ts";
import { linear, pointAt } from "../../../src/models/flow/interpolant.ts";
import { corpusOracle } from "../../../src/models/flow/oracle.ts";
import type { OracleOptions } from "../../../src/models/flow/oracle.ts";
import { gaussian, logistic, uniform } from "../../../src/models/flow/source.ts";
import { distance, evaluate, floats, list } from "../../support/evaluate.ts";

const SEQUENCES = [[0, 1], [2, 0], [1, 1], [2, 2]] as const; // prettier-ignore
const WEIGHTS = [4, 1, 2, 1];
const CORPUS = { vocab: 3, sequences: SEQUENCES, weights: WEIGHTS };
const ONE_HOT = [0, 1, 2].map((i) => [0, 1, 2].map((j) => Number(i === j)));
const EMBEDDING = [
  [1, 0.2],
  [-0.4, 0.9],
  [0.1, -1.1],
];

/** log density of one coordinate, up to a constant. */
type LogDensity = (x: number) => number;
const normal =
  (scale: number): LogDensity =>
  (x) =>
    -0.5 * (x / scale) ** 2;
const logisticDensity: LogDensity = (x) => {
  const z = (x * Math.PI) / Math.sqrt(3);
  return -z - 2 * Math.log1p(Math.exp(-z));
};

/** log of π_k Π p((x − β c)/α) for every sequence; α and β per token. */
function joint(
  x: readonly number[],
  alpha: readonly number[],
  beta: readonly number[],
  table: readonly (readonly number[])[],
  log: LogDensity,
): number[] {
  const dim = table[0]?.length ?? 0;
  return SEQUENCES.map((sequence, k) => {
    let total = Math.log((WEIGHTS[k] as number) / 8);
    sequence.forEach((token, l) => {
      for (let d = 0; d < dim; d++) {
        const [a, b] = [alpha[l] as number, beta[l] as number];
        total += log(((x[l * dim + d] as number) - b * (table[token]?.[d] as number)) / a);
      }
    });
    return total;
  });
}

const worlds: readonly (readonly [string, OracleOptions, readonly (readonly number[])[], LogDensity])[] = [
  ["FLM's", {}, ONE_HOT, normal(1)],
  ["noise of scale 0.7", { source: gaussian({ scale: 0.7 }) }, ONE_HOT, normal(0.7)],
  ["embedded tokens", { embedding: EMBEDDING }, EMBEDDING, normal(1)],
  [
    "embedded tokens, noise of scale 2",
    { embedding: EMBEDDING, source: gaussian({ scale: 2 }) },
    EMBEDDING,
    normal(2),
  ],
  ["logistic noise", { source: logistic() }, ONE_HOT, logisticDensity],
  [
    "embedded tokens, logistic noise",
    { embedding: EMBEDDING, source: logistic() },
    EMBEDDING,
    logisticDensity,
  ],
];

describe.each(worlds)("%s", (_name, options, table, log) => {
  const oracle = corpusOracle(CORPUS, options);
  const dim = table[0]?.length ?? 0;
  const numbers = (count: number, min: number, max: number) =>
    fc.array(fc.double({ min, max, noNaN: true }), { minLength: count, maxLength: count });

  it.each([
    ["one time per row", 1],
    ["times per token", 2],
  ])("the posterior is the direct sum over sequences, %s (fast-check)", (_kind, times) => {
    fc.assert(
      fc.property(numbers(2 * dim, -2, 2), numbers(times, 0.1, 1), numbers(times, 0, 1), (x, alpha, beta) => {
        const shape = times === 1 ? [1] : [1, 2];
        const inputs = { x: floats([1, 2, dim], x), alpha: floats(shape, alpha), beta: floats(shape, beta) };
        const found = evaluate(inputs, (input) => ({
          posterior: oracle.posterior(input.x, input.alpha, input.beta),
          denoised: oracle.denoiserAt(input.x, input.alpha, input.beta),
          point: oracle.point(oracle.denoiserAt(input.x, input.alpha, input.beta)),
        }));
        const each = (values: readonly number[]): number[] => [values[0] as number, values.at(-1) as number];
        const logs = joint(x, each(alpha), each(beta), table, log);
        const most = Math.max(...logs);
        const total = logs.reduce((sum, value) => sum + Math.exp(value - most), 0);
        const posterior = logs.map((value) => Math.exp(value - most) / total);
        expect(distance(found.posterior.data, posterior)).toBeLessThan(1e-10);
        const denoised = [0, 1].flatMap((l) =>
          [0, 1, 2].map((v) =>
            SEQUENCES.reduce(
              (sum, sequence, k) => sum + (sequence[l] === v ? (posterior[k] as number) : 0),
              0,
            ),
          ),
        );
        expect(distance(found.denoised.data, denoised)).toBeLessThan(1e-10);
        const point = [0, 1].flatMap((l) =>
          Array.from({ length: dim }, (_, d) =>
            [0, 1, 2].reduce(
              (sum, v) => sum + (denoised[3 * l + v] as number) * (table[v]?.[d] as number),
              0,
            ),
          ),
        );
        expect(distance(found.point.data, point)).toBeLessThan(1e-10);
      }),
      { numRuns: 10 },
    );
  });

  if (options.source?.scale !== undefined || options.source === undefined) {
    it("the score is the slope of the log-density, and that which follows from the denoiser", () => {
      const scale = options.source?.scale ?? 1;
      const x = Array.from({ length: 2 * dim }, (_, i) => Math.sin(2 * i + 1));
      const t = 0.45;
      const inputs = { x: floats([1, 2, dim], x), t: floats([1], [t]) };
      const { score, gap } = evaluate(inputs, ({ x: state, t: at }) => {
        const clean = oracle.point(oracle.denoiser(state, at));
        const score = oracle.score(state, at);
        return {
          score,
          gap: sub(score, convert(clean, "clean point", "score", state, pointAt(linear, at), scale)),
        };
      });
      const logDensity = (i: number, h: number): number => {
        const moved = x.map((value, j) => value + (i === j ? h : 0));
        return Math.log(
          joint(moved, [1 - t, 1 - t], [t, t], table, log).reduce((sum, value) => sum + Math.exp(value), 0),
        );
      };
      const slopes = x.map((_, i) => (logDensity(i, 1e-5) - logDensity(i, -1e-5)) / 2e-5);
      expect(distance(score.data, slopes)).toBeLessThan(1e-8);
      expect(
        distance(
          list(gap),
          x.map(() => 0),
        ),
      ).toBeLessThan(1e-10);
    });
  }
});

describe("noise much larger, or tokens much nearer, than FLM's", () => {
  it.each<readonly [string, OracleOptions, number]>([
    ["noise of scale 100", { source: gaussian({ scale: 100 }) }, 100],
    ["tokens nearby", { embedding: EMBEDDING.map((row) => row.map((x) => x / 100)) }, 1],
  ])("%s: a jump to the data ends at one sequence, where two jumps end", (_name, options, size) => {
    const oracle = corpusOracle(CORPUS, options);
    const dim = options.embedding?.[0]?.length ?? 3;
    const x = Array.from({ length: 2 * dim }, (_, i) => size * Math.sin(3 * i + 1));
    const { whole, halves } = evaluate({ x: floats([1, 2, dim], x) }, ({ x: state }) => {
      const at = (t: number): Tensor => constant([t], [1]);
      const middle = oracle.flowMap(state, at(0), at(0.99));
      return {
        whole: oracle.twoTimeDenoiser(state, at(0), at(1)),
        halves: oracle.twoTimeDenoiser(middle, at(0.99), at(1)),
      };
    });
    for (const p of list(whole)) expect(Math.min(Math.abs(p), Math.abs(p - 1))).toBeLessThan(1e-6);
    expect(distance(whole.data, halves.data)).toBeLessThan(1e-6);
  });
});

describe("worlds that make no sense", () => {
  it.each<readonly [OracleOptions, string]>([
    [
      { source: uniform() },
      'The source "uniform" has no density, so the posterior of a corpus is not known.',
    ],
    [
      { embedding: [[1], [2]] },
      "An embedding has a row for each of the 3 tokens, all of one length, got 2 rows.",
    ],
    [{ embedding: [[1], [2, 3], [4]] }, "all of one length, got 3 rows"],
    [{ embedding: [[], [], []] }, "all of one length, got 3 rows"],
  ])("case %#", (options, message) => {
    expect(() => corpusOracle(CORPUS, options)).toThrow(message);
  });

  it("no score where the source is not Gaussian", () => {
    const oracle = corpusOracle(CORPUS, { source: logistic() });
    const inputs = { x: floats([1, 2, 3], [0, 0, 0, 0, 0, 0]), t: floats([1], [0.5]) };
    expect(() => evaluate(inputs, ({ x, t }) => oracle.score(x, t))).toThrow(
      'for Gaussian sources only, not "logistic"',
    );
  });
});
