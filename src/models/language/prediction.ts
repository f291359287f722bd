/**
 * What a network predicts of the clean tokens, as losses and samplers ask for it: cross-entropies, the expected state, the most
 * probable tokens, draws. There are two kinds of the same values: a written one holds logits [batch, length, vocab]
 * (written-prediction.ts); a streamed one computes them part by part whenever something is asked (streamed-prediction.ts).
 * Which it is depends on the network; `predict` in denoiser.ts makes either.
 *
 * Consumed by flm.ts, fmlm.ts and sampler.ts. To ask for something new: a method here, and both kinds.
 */
import { add, broadcastTo, expandDims, mul, nn, oneHot, softcap, softmax, sub } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { semigroup } from "../flow/fields.ts";
import type { Network } from "../networks/network.ts";

/** The distribution of the clean token at every position of a batch. */
export interface Prediction {
  /** Capped logits [batch, length, vocab], written down. */
  logits(): Tensor;
  /** The probabilities [batch, length, vocab], written down. */
  probabilities(): Tensor;
  /** The state of the distribution, [batch, length, dim]: the expected clean state. */
  expected(): Tensor;
  /** The most probable tokens [batch, length] i32, and their probabilities [batch, length]. */
  mode(): { readonly tokens: Tensor; readonly confidence: Tensor };
  /** Tokens [batch, length] i32 drawn at a temperature (a scalar) by inverting the distribution function at uniforms [batch, length]. */
  draw(temperature: Tensor, uniforms: Tensor): Tensor;
  /** −log p of tokens [batch, length] i32, in nats. */
  tokenLoss(tokens: Tensor): Tensor;
  /** The distribution as what another prediction of the same kind learns from. */
  asTarget(): Target;
  /** Cross-entropy [batch, length] from targets that are the batch's rows one after the other. No gradient reaches the targets. */
  crossEntropy(targets: readonly Target[]): Tensor;
}

/** Distributions of rows of a batch: written down [rows, length, vocab], as tokens [rows, length], or as softmaxes whose sum they are. */
export type Target =
  | { readonly probabilities: Tensor }
  | { readonly tokens: Tensor }
  | { readonly softmaxes: readonly nn.SoftmaxTarget[] };

/** Tokens [rows, length] as the target of a network's predictions. */
export const tokenTarget = <P>(network: Network<P>, tokens: Tensor): Target =>
  network.vocabularyChunk === undefined ? { probabilities: oneHot(tokens, network.vocab) } : { tokens };

/** The semigroup identity: γ times the first target and 1 − γ times the second; γ [rows]. */
export function semigroupTarget(first: Target, second: Target, gamma: Tensor): Target {
  if (!("softmaxes" in first && "softmaxes" in second))
    return { probabilities: semigroup(writtenTarget(first), writtenTarget(second), gamma) };
  const shared = (part: nn.SoftmaxTarget, weight: Tensor): nn.SoftmaxTarget => {
    const share: Tensor = broadcastTo(expandDims(weight, 1), part.hidden.shape.slice(0, 2));
    return { ...part, share: part.share === undefined ? share : (mul(part.share, share) as Tensor) };
  };
  return {
    softmaxes: [
      ...first.softmaxes.map((part) => shared(part, gamma)),
      ...second.softmaxes.map((part) => shared(part, sub(1, gamma))),
    ],
  };
}

/** A target's probabilities [rows, length, vocab], written down. */
export function writtenTarget(target: Target, vocab = 0): Tensor {
  if ("probabilities" in target) return target.probabilities;
  if ("tokens" in target) return oneHot(target.tokens, vocab);
  const parts = target.softmaxes.map(({ params, hidden, softcap: cap = 0, share }): Tensor => {
    const plain: Tensor = nn.linear(params, hidden);
    const p: Tensor = softmax(cap > 0 ? softcap(plain, cap) : plain);
    return share === undefined ? p : mul(p, expandDims(share, 2));
  });
  return parts.reduce((a, b) => add(a, b));
}
