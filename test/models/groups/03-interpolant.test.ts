/** Groups 3 and 4, the interpolant and its fields, and the loss whose minimizer they are: numbers of algebra.ts, the exact flow of a corpus, draws. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { add, broadcastTo, constant, div, exp, expandDims, gather, grad, log, logSumExp, mean, mul, neg, onesLike, random, square, sub, sum, zerosLike } from "../../../src/dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../src/dsl/index.ts";
import { flowMapCoefficients, noiseFromDenoiser, scoreFromDenoiser, velocityFromDenoiser } from "../../../src/models/flow/algebra.ts"; // prettier-ignore
import type { StateDenoiser } from "../../../src/models/flow/algebra.ts";
import {
  expectedNoise,
  flowMap,
  interpolate,
  perRow,
  score,
  velocity,
} from "../../../src/models/flow/fields.ts";
import { corpusOracle } from "../../../src/models/flow/oracle.ts";
import { column, cuts, deviation, distance, floats, largest, list, numbers, openTargets } from "./support.ts";

const [ROWS, LENGTH, VOCAB] = [8, 2, 5];
const SIZE = LENGTH * VOCAB;
const states = numbers(ROWS * SIZE, -3, 3).map((data) => floats([ROWS, LENGTH, VOCAB], data));
const zeros = floats([ROWS, LENGTH, VOCAB], new Float64Array(ROWS * SIZE));
const zeroTimes = column(Array<number>(ROWS).fill(0));

const corpus = { vocab: VOCAB, sequences: [[0, 1], [2, 3], [4, 1], [2, 2]], weights: [4, 3, 2, 1] }; // prettier-ignore
const oracle = corpusOracle(corpus);
const clean = corpus.sequences.map((y) =>
  y.flatMap((id) => Array.from({ length: VOCAB }, (_, v) => Number(v === id))),
);
const oneHotSequences = (): Tensor => constant(clean.flat(), [4, LENGTH, VOCAB]);
const COUNT = 20_000;
/** Sequences of the corpus, [COUNT, LENGTH, VOCAB]. */
const drawnTexts = (key: random.Key): Tensor =>
  gather(
    oneHotSequences(),
    random.categorical(
      key,
      broadcastTo(constant(corpus.weights.map(Math.log), [4]), [COUNT, 4]) as Tensor<[number, number], "f32">,
    ),
  );

describe.each(await openTargets())("on $name", ({ prepare, within }) => {
  describe("group 3: interpolant and fields", () => {
    it("I_0 = x₀, I_1 = x₁; coefficients are those of the numbers", async () => {
      const run = await prepare({ x: zeros, d: zeros, s: zeroTimes, t: zeroTimes }, ({ x, d, s, t }) => ({
        start: interpolate(x, d, zerosLike(s) as Tensor),
        end: interpolate(x, d, onesLike(s) as Tensor),
        flowMap: flowMap(x, d, s, t),
        velocity: velocity(x, d, s),
        score: score(x, d, s),
        noise: expectedNoise(x, d, s),
      }));
      await fc.assert(
        fc.asyncProperty(states, states, cuts(ROWS), async (x, d, { s, t }) => {
          const result = await run({ x, d, s, t });
          expect(distance(result.start.data, x.data)).toBe(0);
          expect(distance(result.end.data, d.data)).toBe(0);
          const expected = (of: (row: number) => StateDenoiser): number[] =>
            list(x).map((value, i) => {
              const { state, denoiser } = of(Math.floor(i / SIZE));
              return state * value + denoiser * (d.data[i] ?? NaN);
            });
          const time = (tensor: ExactTensor, row: number): number => tensor.data[row] ?? NaN;
          for (const [found, of, tolerance] of [
            [
              result.flowMap,
              (row: number) => flowMapCoefficients(time(s, row), time(t, row)),
              within(1e-11, 2e-5),
            ],
            [result.velocity, (row: number) => velocityFromDenoiser(time(s, row)), within(1e-10, 2e-5)],
            [result.score, (row: number) => scoreFromDenoiser(time(s, row)), within(1e-8, 5e-5)],
            [result.noise, (row: number) => noiseFromDenoiser(time(s, row)), within(1e-10, 2e-5)],
          ] as const)
            expect(deviation(found.data, expected(of))).toBeLessThan(tolerance);
        }),
        { numRuns: 30 },
      );
    });

    it("of a corpus: velocity E[x₁ − x₀ | I_t] and noise E[x₀ | I_t] by enumeration; the score is the slope of log p_t, and −noise/(1 − t)", async () => {
      const run = await prepare({ x: zeros, t: zeroTimes }, ({ x, t }) => {
        /** log Σ_k π_k N(x; t y_k, (1−t)²) but for a constant of x. */
        const logDensity = (state: Tensor): Tensor<[]> => {
          const gaps: Tensor = sub(
            expandDims(state, 1),
            mul(expandDims(perRow(t), 1), expandDims(oneHotSequences(), 0)),
          );
          const energy: Tensor = div(
            sum(square(gaps), [2, 3]),
            mul(expandDims(square(sub(1, t) as Tensor), 1), 2),
          );
          const prior = constant(corpus.weights.map((w) => Math.log(w / 10)), [4]); // prettier-ignore
          return sum(logSumExp(sub(prior, energy) as Tensor, 1));
        };
        return {
          velocity: oracle.velocity(x, t),
          noise: oracle.noise(x, t),
          score: oracle.score(x, t),
          slope: grad(logDensity)(x),
        };
      });
      await fc.assert(
        fc.asyncProperty(states, numbers(ROWS, 0, 0.9), async (x, t) => {
          const result = await run({ x, t: column(t) });
          const expected = t.map((time, row) => {
            const state = list(x).slice(row * SIZE, (row + 1) * SIZE);
            const candidates = clean.map((y, k) => {
              const noise = state.map((value, i) => (value - time * (y[i] ?? NaN)) / (1 - time));
              return {
                y,
                noise,
                log: Math.log(corpus.weights[k] ?? NaN) - noise.reduce((a, z) => a + z * z, 0) / 2,
              };
            });
            const top = Math.max(...candidates.map(({ log }) => log));
            const mass = candidates.reduce((a, { log }) => a + Math.exp(log - top), 0);
            return state.map((_, i) =>
              candidates.reduce(
                ([v, z], { y, noise, log }): readonly [number, number] => {
                  const p = Math.exp(log - top) / mass;
                  return [v + p * ((y[i] ?? NaN) - (noise[i] ?? NaN)), z + p * (noise[i] ?? NaN)];
                },
                [0, 0] as readonly [number, number],
              ),
            );
          });
          const scores = expected.flatMap((row, i) => row.map(([, z]) => -z / (1 - (t[i] ?? NaN))));
          const tolerance = within(1e-8, 3e-4);
          expect(deviation(result.velocity.data, expected.flat().map(([v]) => v))).toBeLessThan(tolerance); // prettier-ignore
          expect(deviation(result.noise.data, expected.flat().map(([, z]) => z))).toBeLessThan(tolerance); // prettier-ignore
          expect(deviation(result.score.data, scores)).toBeLessThan(tolerance);
          expect(deviation(result.slope.data, scores)).toBeLessThan(tolerance);
        }),
        { numRuns: 20 },
      );
    });

    it("E[I_t] = t E[x₁], Var[I_t | x₁] = (1 − t)², and x₁ − x₀ − b_t(I_t) is orthogonal to functions of I_t: by Monte Carlo", async () => {
      const t = 0.45;
      const run = await prepare({ t: column(Array<number>(COUNT).fill(t)) }, (inputs) => {
        const [which, noiseKey] = random.split(random.key(2026), 2);
        const texts = drawnTexts(which);
        const noise: Tensor = random.normal(noiseKey, [COUNT, LENGTH, VOCAB]);
        const state = interpolate(noise, texts, inputs.t);
        const rest: Tensor = sub(sub(texts, noise) as Tensor, oracle.velocity(state, inputs.t));
        const probes: readonly Tensor[] = [rest, mul(rest, state), mul(rest, exp(neg(square(state))))];
        const gap: Tensor = sub(state, mul(texts, t));
        return {
          mean: mean(gap, 0),
          variance: mean(square(gap), 0),
          probes: probes.map((probe) => ({ mean: mean(probe, 0), square: mean(square(probe), 0) })),
        };
      });
      const result = await run({ t: column(Array<number>(COUNT).fill(t)) });
      const sigma = (1 - t) / Math.sqrt(COUNT);
      for (const value of list(result.mean)) expect(Math.abs(value)).toBeLessThan(5 * sigma);
      for (const value of list(result.variance))
        expect(Math.abs(value / (1 - t) ** 2 - 1)).toBeLessThan(5 * Math.sqrt(2 / COUNT));
      for (const probe of result.probes) {
        list(probe.mean).forEach((value, i) => {
          const error = Math.sqrt(((probe.square.data[i] ?? NaN) - value ** 2) / COUNT);
          expect(Math.abs(value)).toBeLessThan(5 * error);
        });
      }
    });
  });

  describe("group 4: the minimizer of the cross-entropy", () => {
    it("at the posterior its gradient averages to 0", async () => {
      const run = await prepare({ scale: column(Array<number>(COUNT).fill(0.9)) }, ({ scale }) => {
        const [which, noiseKey, timeKey] = random.split(random.key(7), 3);
        const texts = drawnTexts(which);
        const times: Tensor = mul(random.uniform(timeKey, [COUNT]), scale);
        const state = interpolate(random.normal(noiseKey, [COUNT, LENGTH, VOCAB]), texts, times);
        const logits: Tensor = log(add(oracle.denoiser(state, times), 1e-30));
        const crossEntropy = (z: Tensor): Tensor<[]> =>
          sum(sub(logSumExp(z, 2), sum(mul(texts, z) as Tensor, 2)) as Tensor) as Tensor<[]>;
        const slope: Tensor = grad(crossEntropy)(logits);
        const probes: readonly Tensor[] = [slope, mul(slope, state)];
        return probes.map((probe) => ({ mean: mean(probe, 0), square: mean(square(probe), 0) }));
      });
      for (const { mean: average, square: squares } of await run({
        scale: column(Array<number>(COUNT).fill(0.9)),
      }))
        list(average).forEach((value, i) =>
          expect(Math.abs(value)).toBeLessThan(
            5 * Math.sqrt((squares.data[i] ?? NaN) / COUNT) + within(1e-12, 1e-6),
          ),
        );
    });

    it("cross-entropy minus entropy is the divergence, which is never negative", async () => {
      const run = await prepare({ p: zeros, q: zeros }, ({ p, q }) => {
        const [logP, logQ] = [p, q].map((x): Tensor => sub(x, expandDims(logSumExp(x, 2), 2))) as [
          Tensor,
          Tensor,
        ];
        const target: Tensor = exp(logP);
        const divergence: Tensor = sum(mul(target, sub(logP, logQ) as Tensor) as Tensor, 2);
        const crossEntropy = neg(sum(mul(target, logQ) as Tensor, 2));
        const entropy = neg(sum(mul(target, logP) as Tensor, 2));
        return { gap: sub(sub(crossEntropy, entropy), divergence) as Tensor, divergence };
      });
      await fc.assert(
        fc.asyncProperty(states, states, async (p, q) => {
          const { gap, divergence } = await run({ p, q });
          expect(largest(gap)).toBeLessThan(within(1e-12, 5e-6));
          expect(Math.min(...list(divergence))).toBeGreaterThanOrEqual(within(-1e-12, -2e-6));
        }),
        { numRuns: 30 },
      );
    });
  });
});
