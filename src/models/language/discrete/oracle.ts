/**
 * The exact reverse of a process on a finite corpus, by enumeration: which sequence a noised text comes from, p(k | x_t) ∝ π_k Π_ℓ
 * q(x_t^ℓ | y_k^ℓ), and everything that a network of a discrete diffusion learns, which follows from it.
 *
 * Consumed by tests and examples: losses and samplers of the baselines are checked against it before anything is trained.
 */
import { add, constant, div, einsum, expandDims, mul, oneHot, softmax, sub, sum } from "../../../dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../dsl/index.ts";
import { checkCorpus } from "../../flow/corpus.ts";
import type { Corpus } from "../../flow/corpus.ts";
import { perState } from "../../flow/interpolant.ts";
import { finiteLog } from "./process.ts";
import type { TokenProcess } from "./process.ts";

/** Noised tokens are [batch, length] i32, levels [batch]; distributions [batch, length, vocab]. */
export interface TokenOracle {
  readonly length: number;
  /** −log of the probability of each sequence of the corpus, in nats. */
  readonly nll: readonly number[];
  /** p(k | x_t), [batch, sequences]. Where no sequence can have led to x_t it says nothing. */
  sequences(noised: Tensor, alpha: Tensor): Tensor;
  /** p(x^ℓ = · | x_t), the distribution of the clean token given all of x_t. */
  denoiser(noised: Tensor, alpha: Tensor): Tensor;
  /**
   * p(x^ℓ = · | x_t but for x_t^ℓ), given the other places alone: what a process's posterior and bounds take for x_θ to be exact. For a
   * masked token of the absorbing process the two are the same.
   */
  fromOthers(noised: Tensor, alpha: Tensor): Tensor;
  /** p_t(y)/p_t(x_t) for every y that differs from x_t in one place. */
  ratios(noised: Tensor, alpha: Tensor): Tensor;
}

/**
 * The oracle of a corpus under a process.
 * @throws RangeError as checkCorpus does, and when the process has another vocabulary
 */
export function tokenOracle({ vocab, sequences, weights }: Corpus, process: TokenProcess): TokenOracle {
  const length = checkCorpus({ vocab, sequences, weights });
  const count = sequences.length;
  if (vocab !== process.vocab)
    throw new RangeError(`The corpus has ${vocab} tokens, and the process ${process.vocab}.`);
  const total = weights?.reduce((sum, w) => sum + w, 0) ?? count;
  const nll = sequences.map((_, k) => Math.log(total / (weights?.[k] ?? 1)));

  const corpus = (): Tensor => oneHot(constant(sequences.flat(), [count, length], "i32"), vocab);
  const hot = (tokens: Tensor): Tensor => oneHot(tokens as Tensor<readonly number[], "i32">, vocab);
  const prior = (): Tensor =>
    constant(
      nll.map((x) => -x),
      [count],
    );
  /** 1 where two places differ. */
  const others = (): Tensor =>
    constant(
      Array.from({ length: length ** 2 }, (_, i) => Number(Math.floor(i / length) !== i % length)),
      [length, length],
    );

  /** log q(x_t^ℓ | y_k^ℓ), [batch, sequences, length]. */
  function logLikelihoods(noised: Tensor, alpha: Tensor): Tensor {
    const now = hot(noised);
    const matches: Tensor = einsum("b l v, k l v -> b k l", now, corpus());
    const chance: Tensor = einsum("b l v, v -> b l", now, constant([...process.stationary], [vocab]));
    const kept = perState(alpha);
    return finiteLog(add(mul(kept, matches), mul(sub(1, kept), expandDims(chance, 1))));
  }
  /** log π_k + Σ over the other places of log q(x_t | y_k), [batch, sequences, length]. */
  const withoutOne = (likelihoods: Tensor): Tensor =>
    add(einsum("b k m, m l -> b k l", likelihoods, others()), expandDims(prior(), 1));
  const fromOthers = (noised: Tensor, alpha: Tensor): Tensor =>
    einsum(
      "b k l, k l v -> b l v",
      softmax(withoutOne(logLikelihoods(noised, alpha)), 1) as Tensor,
      corpus(),
    );
  const posterior = (noised: Tensor, alpha: Tensor): Tensor =>
    softmax(add(sum(logLikelihoods(noised, alpha), 2), prior()) as Tensor);

  return {
    length,
    nll,
    sequences: posterior,
    denoiser: (noised, alpha) => einsum("b k, k l v -> b l v", posterior(noised, alpha), corpus()),
    fromOthers,
    ratios(noised, alpha) {
      // p_t of the text with v in a place, but for what all v have in common.
      const law = process.marginal(fromOthers(noised, alpha), alpha);
      return div(law, sum(mul(law, hot(noised)) as Tensor, 2, { keepDims: true }));
    },
  };
}
