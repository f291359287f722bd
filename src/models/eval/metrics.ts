// Sample and likelihood metrics as pure functions on token ids and negative log-likelihoods: unigram entropy,
// distinct n-grams, perplexity aggregation, the positions that generative perplexity counts, bootstrap
// intervals.
//
// Consumed by the evaluation loop and the examples; a scorer (such as GPT-2) supplies the log-likelihoods. To
// add a metric, keep it a function of ids or of per-token numbers, and say in its docstring whether it is per
// sample or corpus level.

import { fold, uniforms } from "../flow/host-random.ts";
import type { Key } from "../flow/host-random.ts";

/** A negative log-likelihood summed over a number of tokens (a batch, a sample). */
export interface NllSum {
  /** Sum over the tokens, in nats. */
  readonly nll: number;
  /** How many tokens were summed. */
  readonly tokens: number;
}

/** Corpus-level likelihood. */
export interface Likelihood {
  readonly totalNll: number;
  readonly totalTokens: number;
  /** Nats per token. */
  readonly meanNll: number;
  /** `exp(meanNll)`. */
  readonly perplexity: number;
  /** Bits per token. */
  readonly bitsPerToken: number;
}

/** A percentile interval around an estimate. */
export interface Interval {
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Entropy, in nats, of the token histogram of one sample: 0 for a constant sample, log L if all L tokens
 * differ. Every position counts, special tokens included.
 *
 * @throws RangeError for an empty sample
 */
export function unigramEntropy(tokens: ArrayLike<number>): number {
  const length = tokens.length;
  if (length === 0)
    throw new RangeError("The entropy of a sample without tokens is undefined; pass at least one.");
  const counts = new Map<number, number>();
  for (const token of Array.from(tokens)) counts.set(token, (counts.get(token) ?? 0) + 1);
  let entropy = 0;
  for (const count of counts.values()) entropy += (count / length) * Math.log(length / count);
  return entropy;
}

/**
 * Unigram entropy of each sample, and the mean over samples (the "entropy" that is reported with generative
 * perplexity; low values mean repetition).
 *
 * @throws RangeError without samples
 */
export function sampleEntropy(samples: readonly ArrayLike<number>[]): {
  readonly perSample: readonly number[];
  readonly mean: number;
} {
  if (samples.length === 0) throw new RangeError("The mean entropy needs at least one sample, got none.");
  const perSample = samples.map(unigramEntropy);
  return { perSample, mean: mean(perSample) };
}

/**
 * Corpus-level distinct-n: different n-grams divided by all n-grams of all samples (n-grams do not cross
 * samples).
 *
 * @param n length of the n-grams, at least 1
 * @throws RangeError if n is not a positive whole number or no sample is that long
 */
export function distinctN(samples: readonly ArrayLike<number>[], n: number): number {
  if (!Number.isInteger(n) || n < 1)
    throw new RangeError(`distinct-n needs a whole n of at least 1, got ${n}.`);
  const seen = new Set<string>();
  let total = 0;
  for (const sample of samples) {
    const tokens = Array.from(sample);
    for (let i = 0; i + n <= tokens.length; i++) {
      seen.add(tokens.slice(i, i + n).join(","));
      total++;
    }
  }
  if (total === 0) throw new RangeError(`No sample holds ${n} tokens, so distinct-${n} is undefined.`);
  return seen.size / total;
}

/**
 * Token-weighted likelihood of a corpus: `exp(total nll / total tokens)`, which is not the mean of per-sample
 * perplexities.
 *
 * @param parts sums over batches or samples, in any split
 * @throws RangeError if no tokens were counted
 */
export function likelihood(parts: readonly NllSum[]): Likelihood {
  const totalNll = parts.reduce((sum, part) => sum + part.nll, 0);
  const totalTokens = parts.reduce((sum, part) => sum + part.tokens, 0);
  if (!(totalTokens > 0)) {
    throw new RangeError(
      `A likelihood needs at least one scored token, got ${totalTokens} in ${parts.length} parts.`,
    );
  }
  const meanNll = totalNll / totalTokens;
  return { totalNll, totalTokens, meanNll, perplexity: Math.exp(meanNll), bitsPerToken: meanNll / Math.LN2 };
}

/**
 * Which target positions 1 .. N-1 of a scorer's padded token ids count towards generative perplexity: every
 * token that is not the end-of-sequence (padding) token, and the first end-of-sequence token. Text after an
 * end-of-sequence token still counts; the first position is never scored.
 *
 * @param ids N token ids of the scorer
 * @param eos the scorer's end-of-sequence id, which is also its padding
 * @returns N-1 flags, for positions 1 .. N-1
 */
export function scoredPositions(ids: ArrayLike<number>, eos: number): boolean[] {
  const all = Array.from(ids);
  const firstEos = all.indexOf(eos);
  return all.slice(1).map((id, i) => id !== eos || i + 1 === firstEos);
}

/**
 * Percentile bootstrap interval of a statistic over items (samples, batches), resampled with replacement.
 *
 * @param options.items the observed items, at least one
 * @param options.statistic the estimate from a list of items (for perplexity: `(parts) =>
 *   likelihood(parts).perplexity`)
 * @param options.key random key; the same key gives the same interval
 * @param options.resamples number of resamples
 * @param options.level coverage, in (0, 1)
 * @throws RangeError without items, without resamples, or for a level outside (0, 1)
 */
export function bootstrapInterval<T>({
  items,
  statistic,
  key,
  resamples = 1000,
  level = 0.95,
}: {
  readonly items: readonly T[];
  readonly statistic: (items: readonly T[]) => number;
  readonly key: Key;
  readonly resamples?: number;
  readonly level?: number;
}): Interval {
  if (items.length === 0) throw new RangeError("A bootstrap interval needs at least one item, got none.");
  if (!Number.isInteger(resamples) || resamples < 1) {
    throw new RangeError(
      `A bootstrap interval needs a whole number of resamples of at least 1, got ${resamples}.`,
    );
  }
  if (!(level > 0 && level < 1))
    throw new RangeError(`The level of an interval lies in (0, 1), got ${level}.`);
  const estimates = Float64Array.from({ length: resamples }, (_, i) => {
    const picked: T[] = [];
    for (const draw of uniforms(fold(key, i), items.length)) {
      const item = items[Math.floor(draw * items.length)];
      // A draw is below 1, so the index exists; an item may itself be undefined only if T allows it.
      picked.push(item as T);
    }
    return statistic(picked);
  }).sort();
  // Linear interpolation between order statistics.
  const quantile = (q: number): number => {
    const place = q * (resamples - 1);
    const below = Math.floor(place);
    const low = estimates[below] ?? 0;
    return low + (place - below) * ((estimates[Math.min(below + 1, resamples - 1)] ?? 0) - low);
  };
  return { estimate: statistic(items), low: quantile((1 - level) / 2), high: quantile((1 + level) / 2) };
}
