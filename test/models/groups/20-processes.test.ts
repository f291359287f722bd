/**
 * Group 20, the algebra of the discrete baselines: marginals and reverse steps of the uniform-state (Duo) and the absorbing process (MDLM,
 * D3PM), SUBS, SEDD's score entropy and analytic step, and how their losses relate. What they say of a corpus is in 20-oracle.test.ts.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import {
  add,
  div,
  exp,
  expandDims,
  full,
  log,
  mul,
  oneHot,
  onesLike,
  softmax,
  sub,
  sum,
} from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { absorbing, maskedBound, subs } from "../../../src/models/language/discrete/absorbing.ts";
import { stepDivergence } from "../../../src/models/language/discrete/process.ts";
import type { TokenProcess } from "../../../src/models/language/discrete/process.ts";
import { absorbingRatios, absorbingScoreLoss, analyticStep, scoreEntropy } from "../../../src/models/language/discrete/score.ts"; // prettier-ignore
import { uniform, uniformBound } from "../../../src/models/language/discrete/uniform.ts";
import { column, distance, floats, ints, largest, list, numbers, openTargets, rowSums } from "./support.ts";

const [ROWS, LENGTH, VOCAB, MASK] = [8, 2, 5, 3];
const SIZE = ROWS * LENGTH * VOCAB;
const PLACES = ROWS * LENGTH;

const tokensOf = (ids: readonly number[]) =>
  fc
    .array(fc.constantFrom(...ids), { minLength: PLACES, maxLength: PLACES })
    .map((data) => ints([ROWS, LENGTH], data));
/** Levels α_t <= α_s, away from 0 and 1, and rates. */
const levels = fc
  .record({ low: numbers(ROWS, 0.05, 0.9), up: numbers(ROWS, 0.05, 0.9), rate: numbers(ROWS, -2, -0.2) })
  .map(({ low, up, rate }) => ({
    alphaT: column(low),
    alphaS: column(low.map((a, i) => Math.fround(a + (up[i] ?? 0) * (0.98 - a)))),
    rate: column(rate),
  }));
const casesOf = (ids: readonly number[]) =>
  fc.record({
    tokens: tokensOf(ids),
    noised: tokensOf([0, 1, 2, 3, 4]),
    logits: numbers(SIZE, -3, 3).map((data) => floats([ROWS, LENGTH, VOCAB], data)),
    scores: numbers(SIZE, -3, 3).map((data) => floats([ROWS, LENGTH, VOCAB], data)),
    levels,
  });
type Case = ReturnType<typeof casesOf> extends fc.Arbitrary<infer T> ? T : never;

const hot = (tokens: Tensor): Tensor => oneHot(tokens as Tensor<readonly number[], "i32">, VOCAB);
type Traced = {
  readonly tokens: Tensor;
  readonly noised: Tensor;
  readonly logits: Tensor;
  readonly scores: Tensor;
  readonly levels: { readonly alphaT: Tensor; readonly alphaS: Tensor; readonly rate: Tensor };
};

/** What holds for every process, of a batch of cases. */
function shared(process: TokenProcess, { tokens, noised, logits, levels: { alphaT, alphaS } }: Traced) {
  const clean = hot(tokens);
  const predicted: Tensor = softmax(logits);
  const step = { noised, alphaT, alphaS };
  const now = process.marginal(clean, alphaT);
  /** Σ over x_t of q(x_s | x_t, x) q(x_t | x). */
  const iterated = Array.from({ length: VOCAB }, (_, v): Tensor => {
    const at = full([ROWS, LENGTH], v, "i32");
    return mul(
      process.posterior({ ...step, clean, noised: at }),
      sum(mul(now, hot(at)) as Tensor, 2, { keepDims: true }),
    );
  }).reduce((a, b): Tensor => add(a, b));
  return {
    ofPrediction: process.posterior({ ...step, clean: predicted }),
    predicted,
    iterated: sub(iterated, process.marginal(clean, alphaS)) as Tensor,
    // In two steps, the second of which starts from the law after the first.
    inTwo: sub(process.marginal(process.marginal(clean, alphaS), div(alphaT, alphaS)), now) as Tensor,
    last: process.posterior({ ...step, clean, alphaS: onesLike(alphaS) as Tensor }),
    divergence: stepDivergence(process, { ...step, clean }, predicted),
    noDivergence: stepDivergence(process, { ...step, clean: predicted }, predicted),
  };
}

type Shared = Readonly<Record<keyof ReturnType<typeof shared>, ExactTensor>>;

/** q(x_s | x_t, x) = q(x_t | x_s) q(x_s | x)/q(x_t | x) by plain numbers, for all rows. */
function byBayes(process: TokenProcess, inputs: Case, predicted: readonly number[]): number[] {
  const { alphaT, alphaS } = inputs.levels;
  return Array.from({ length: PLACES }, (_, place) => {
    const row = Math.floor(place / LENGTH);
    const [t, s] = [alphaT.data[row] ?? NaN, alphaS.data[row] ?? NaN];
    const xt = inputs.noised.data[place] ?? NaN;
    const pi = (v: number): number => process.stationary[v] ?? NaN;
    const joint = Array.from({ length: VOCAB }, (_, v) => {
      const law = s * (predicted[place * VOCAB + v] ?? NaN) + (1 - s) * pi(v);
      return law * ((t / s) * Number(v === xt) + (1 - t / s) * pi(xt));
    });
    const total = joint.reduce((a, b) => a + b, 0);
    return joint.map((p) => p / total);
  }).flat();
}

const like = (): Case => {
  const [state] = fc.sample(casesOf([0, 1, 2]), 1);
  if (state === undefined) throw new Error("no case");
  return state;
};

describe.each(await openTargets())("group 20 on $name", ({ prepare, within }) => {
  /** Laws that agree with Bayes' rule, with two steps of their own, and at the end with the clean token. */
  function expectShared(r: Shared, process: TokenProcess, inputs: Case): void {
    expect(distance(rowSums(r.ofPrediction, VOCAB), Array<number>(PLACES).fill(1))).toBeLessThan(
      within(1e-12, 2e-6),
    );
    expect(distance(r.ofPrediction.data, byBayes(process, inputs, list(r.predicted)))).toBeLessThan(
      within(1e-12, 2e-6),
    );
    expect(largest(r.iterated)).toBeLessThan(within(1e-12, 2e-6));
    expect(largest(r.inTwo)).toBeLessThan(within(1e-12, 2e-6));
    const clean = list(inputs.tokens).flatMap((id) =>
      Array.from({ length: VOCAB }, (_, v) => Number(v === id)),
    );
    expect(distance(r.last.data, clean)).toBeLessThan(within(1e-12, 2e-6));
    expect(Math.min(...list(r.divergence))).toBeGreaterThan(within(-1e-12, -1e-6));
  }

  it("uniform-state: posterior, marginals, and Duo's bound", async () => {
    const process = uniform({ vocab: VOCAB });
    const run = await prepare(like(), (inputs) => {
      const { tokens, noised, logits, levels: { alphaT, rate } } = inputs as Traced; // prettier-ignore
      const row = { tokens, noised, level: { alpha: alphaT, rate } };
      // A hundredth of the way to either end of α; dα/dt = rate, so that it takes that time.
      const change: Tensor = mul(mul(alphaT, sub(1, alphaT)), 0.01);
      const time: Tensor = expandDims(div(change, mul(rate, -1)) as Tensor, 1);
      const near = { noised, clean: hot(tokens), alphaT, alphaS: add(alphaT, change) as Tensor };
      return {
        ...shared(process, inputs as Traced),
        bound: uniformBound(process, softmax(logits), row),
        atTruth: uniformBound(process, hot(tokens), row),
        byStep: div(stepDivergence(process, near, softmax(logits)), time) as Tensor,
      };
    });
    await fc.assert(
      fc.asyncProperty(casesOf([0, 1, 2, 3, 4]), async (inputs) => {
        const r = await run(inputs);
        expectShared(r, process, inputs);
        expect(Math.min(...list(r.ofPrediction))).toBeGreaterThanOrEqual(0);
        expect(largest(r.noDivergence)).toBeLessThan(within(1e-12, 1e-6));
        expect(Math.min(...list(r.bound))).toBeGreaterThan(within(-1e-12, -1e-5));
        expect(largest(r.atTruth)).toBeLessThan(within(1e-11, 5e-5));
        // The bound is what the discrete-time term tends to; the difference is of the order of the step.
        list(r.bound).forEach((bound, i) =>
          expect(Math.abs((r.byStep.data[i] ?? NaN) - bound)).toBeLessThan(0.05 * bound + within(1e-3, 0.05)),
        );
      }),
      { numRuns: 12 },
    );
  });

  it("absorbing: posterior, marginals, SUBS, MDLM's bound, and the score entropy", async () => {
    const process = absorbing({ vocab: VOCAB, mask: MASK });
    const run = await prepare(like(), (inputs) => {
      const { tokens, noised, logits, scores, levels: { alphaT, alphaS, rate } } = inputs as Traced; // prettier-ignore
      const logProbabilities = subs(process, logits, noised);
      const clean: Tensor = exp(logProbabilities);
      const level = { alpha: alphaT, rate };
      const ratios = absorbingRatios(process, clean, noised, alphaT);
      const step = { noised, alphaT, alphaS };
      return {
        ...shared(process, inputs as Traced),
        subs: clean,
        bound: maskedBound(process, logProbabilities, { tokens, noised, level }),
        entropies: scoreEntropy(scores, exp(logits) as Tensor),
        atRatio: scoreEntropy(logits, exp(logits) as Tensor),
        atZero: sub(scoreEntropy(scores, mul(scores, 0) as Tensor), exp(scores)) as Tensor,
        scoreLoss: absorbingScoreLoss(process, log(add(ratios, 1e-30)) as Tensor, { tokens, noised, level }),
        analytic: sub(analyticStep(process, ratios, step), process.posterior({ ...step, clean })) as Tensor,
        anyScore: analyticStep(process, exp(scores) as Tensor, step),
      };
    });
    await fc.assert(
      fc.asyncProperty(casesOf([0, 1, 2, 4]), async (drawn) => {
        // A text that can be: every token is the clean one or the mask.
        const inputs: Case = {
          ...drawn,
          noised: ints([ROWS, LENGTH], list(drawn.noised).map((v, i) => (v < 3 ? MASK : (drawn.tokens.data[i] ?? 0)))), // prettier-ignore
        };
        const r = await run(inputs);
        expectShared(r, process, inputs);
        list(inputs.noised).forEach((xt, place) => {
          const row = list(r.subs).slice(place * VOCAB, (place + 1) * VOCAB);
          if (xt === MASK) expect(row[MASK]).toBe(0);
          else expect(row).toEqual(row.map((_, v) => Number(v === xt)));
          if (xt !== MASK) expect([r.bound.data[place], r.scoreLoss.data[place]]).toEqual([0, 0]);
        });
        expect(distance(rowSums(r.subs, VOCAB), Array<number>(PLACES).fill(1))).toBeLessThan(
          within(1e-12, 1e-6),
        );
        expect(Math.min(...list(r.bound))).toBeGreaterThanOrEqual(0);
        // Terms of up to e³ · 3 cancel in an entropy.
        expect(Math.min(...list(r.entropies))).toBeGreaterThan(within(-1e-12, -2e-5));
        expect(largest(r.atRatio)).toBeLessThan(within(1e-12, 2e-5));
        expect(largest(r.atZero)).toBeLessThan(within(1e-12, 1e-5));
        // The score of a distribution of the clean token has MDLM's loss.
        list(r.bound).forEach((bound, i) =>
          expect(Math.abs((r.scoreLoss.data[i] ?? NaN) - bound)).toBeLessThan(
            within(1e-9, 2e-4) * (1 + bound),
          ),
        );
        expect(largest(r.analytic)).toBeLessThan(within(1e-11, 2e-5));
        list(inputs.noised).forEach((xt, place) => {
          if (xt !== MASK) return;
          // Whatever the score, the weights of a step from a mask sum to e^Δσ s_m + (1 − e^Δσ) s_m, where s_m is 1.
          const own = Math.exp(inputs.scores.data[place * VOCAB + MASK] ?? NaN);
          const weights = list(r.anyScore).slice(place * VOCAB, (place + 1) * VOCAB);
          const scale = weights.reduce((a, b) => a + Math.abs(b), 1);
          expect(Math.abs(weights.reduce((a, b) => a + b, 0) - own)).toBeLessThan(
            within(1e-12, 1e-6) * scale,
          );
        });
      }),
      { numRuns: 12 },
    );
  });
});
