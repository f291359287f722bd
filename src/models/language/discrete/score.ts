/**
 * SEDD (Lou et al. 2024): a network of ratios p_t(y)/p_t(x_t) of noisy texts that differ in one token, learned by the score entropy. One
 * page: the entropy, the absorbing kind's parameterization, loss, exact ratios and analytic step.
 *
 * Consumed by training and sampling of score baselines and by tests.
 */
import { add, cast, div, equal, exp, expandDims, full, log, mul, oneHot, sub, sum, where } from "../../../dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../dsl/index.ts";
import { perState } from "../../flow/interpolant.ts";
import type { AbsorbingProcess } from "./absorbing.ts";
import { finiteLog, perToken } from "./process.ts";
import { noiseRate } from "./schedule.ts";
import type { NoiseLevel } from "./schedule.ts";

const hot = (tokens: Tensor, vocab: number): Tensor =>
  oneHot(tokens as Tensor<readonly number[], "i32">, vocab);

const maskColumn = ({ mask, vocab }: AbsorbingProcess): Tensor => hot(full([1], mask, "i32"), vocab);

/**
 * s − r log s + r (log r − 1) for every entry: the Bregman divergence of a score s from a ratio r >= 0. Never negative, and 0 where s = r;
 * at r = 0 it is s.
 */
export const scoreEntropy = (logScore: Tensor, ratio: Tensor): Tensor =>
  add(sub(exp(logScore), mul(ratio, logScore)), mul(ratio, sub(finiteLog(ratio), 1)));

/**
 * log s from a network's outputs [batch, length, vocab], scaled as published: outputs − log((1 − α)/α) − log(V − 1), and 0 for the token
 * that is there.
 */
export function absorbingScore(
  { vocab }: AbsorbingProcess,
  outputs: Tensor,
  noised: Tensor,
  alpha: Tensor,
): Tensor {
  const scale: Tensor = add(log(div(sub(1, alpha), alpha)), Math.log(vocab - 1));
  return where(equal(hot(noised, vocab), 1), 0, sub(outputs, perState(scale)));
}

/**
 * The denoising score entropy of masked tokens, [batch, length]: dσ/dt Σ_{y ≠ m} of the score entropy against the ratio given the clean
 * token, q = α/(1 − α) for y = x and 0 for other y. Its expectation over x_t, integrated over t, bounds −log p(x).
 */
export function absorbingScoreLoss(
  process: AbsorbingProcess,
  logScore: Tensor,
  { tokens, noised, level }: { readonly tokens: Tensor; readonly noised: Tensor; readonly level: NoiseLevel },
): Tensor {
  const { alpha } = level;
  const masked = equal(noised, process.mask);
  const ratio: Tensor = mul(perState(div(alpha, sub(1, alpha)) as Tensor), hot(tokens, process.vocab));
  // Scores of other tokens play no part. At α = 1, where nothing is masked, they are infinite, and so would be what they pass on.
  const scores: Tensor = where(expandDims(masked, 2) as Tensor<readonly number[], "bool">, logScore, 0);
  const others: Tensor = mul(sub(1, maskColumn(process)), scoreEntropy(scores, ratio));
  const total: Tensor = mul(perToken(noiseRate(level)), sum(others, 2));
  return where(masked, total, 0);
}

/**
 * The ratios p_t(y)/p_t(x_t) that follow from the distribution of the clean token given x_t: α/(1 − α) p_y for a mask, and for a token
 * that is there (1 − α)/α for the mask. Ratios of other tokens for a token that is there, which the process never asks for, are given as 0.
 */
export function absorbingRatios(
  process: AbsorbingProcess,
  clean: Tensor,
  noised: Tensor,
  alpha: Tensor,
): Tensor {
  const odds = perState(div(alpha, sub(1, alpha)) as Tensor);
  const [here, mask] = [hot(noised, process.vocab), maskColumn(process)];
  const ofMask: Tensor = mul(odds, clean);
  const ofToken: Tensor = div(mask, odds);
  const masked = expandDims(equal(noised, process.mask), 2) as Tensor<readonly number[], "bool">;
  return where(equal(here, 1), 1, where(masked, ofMask, ofToken) as Tensor);
}

/**
 * The weights [batch, length, vocab] of SEDD's analytic (Tweedie) step from α_t to α_s: e^{Δσ} = α_s/α_t times the score, less what then
 * is too much on the mask, times the probability that the step's noise leads to x_t. They sum to 1; a score that is too large makes the
 * weight of the mask negative. With exact ratios it is the step of the absorbing process.
 */
export function analyticStep(
  process: AbsorbingProcess,
  score: Tensor,
  { noised, alphaS, alphaT }: { readonly noised: Tensor; readonly alphaS: Tensor; readonly alphaT: Tensor },
): Tensor {
  const growth = perState(div(alphaS, alphaT) as Tensor);
  const [here, mask] = [hot(noised, process.vocab), maskColumn(process)];
  const surplus: Tensor = mul(sub(1, growth), sum(score, 2, { keepDims: true }));
  const staggered: Tensor = add(mul(growth, score), mul(mask, surplus));
  const masked: Tensor = expandDims(cast(equal(noised, process.mask), "f32"), 2);
  const kept: Tensor = div(1, growth);
  const leading: Tensor = add(mul(kept, here), mul(masked, sub(1, kept)));
  return mul(staggered, leading);
}
