/**
 * The judge: an n-gram language model with interpolated, modified Kneser-Ney smoothing (Kneser and Ney 1995;
 * Chen and Goodman 1999). Trained on text that the judged models never saw, it gives every
 * sequence a probability; the exponential of the mean negative log-probability of a token is the generative
 * perplexity. It is small, fast and exact to define, and it is no large neural model: it sees `order` tokens
 * and no further.
 * Consumed by the evaluation. To add another judge, give it the same `scoreBlocks`.
 *
 * Convention for the ends of a sequence: samples are windows cut out of a packed stream, so nothing is known
 * of what stood before them and no begin mark is assumed. Token i is scored by the Kneser-Ney model of order
 * min(i + 1, order), whose context is the min(i, order - 1) tokens before it. Models of all orders share
 * their lower levels; each one's highest level uses occurrence counts and all others continuation counts.
 */

import { countNgrams, findNgram, type NgramLevel } from "./ngram-counts.ts";

/** What a level knows of its parents as contexts, once for occurrence and once for continuation counts. */
interface Smoothing {
  /** Subtracted from counts of 1, of 2, and of 3 or more. */
  readonly discounts: readonly [number, number, number];
  /** Sum of the counts of the tokens that follow a context; 0 where there are none. */
  readonly totals: Float64Array;
  /** The share of a context's probability that the discounts freed, and the next lower order distributes. */
  readonly freed: Float64Array;
}

interface Level {
  readonly ngrams: NgramLevel;
  readonly byOccurrence: Smoothing;
  /** `null` at the highest level. */
  readonly byContinuation: Smoothing | null;
}

/** A trained model: plain data. `levels[k]` holds the n-grams of k + 1 tokens. */
export interface KneserNeyModel {
  readonly order: number;
  readonly vocabularySize: number;
  readonly levels: readonly Level[];
}

export interface KneserNeyOptions {
  /** Longest n-gram: 5 is good for words, 7 for characters. */
  readonly order: number;
  readonly vocabularySize: number;
}

/**
 * Trains on token streams; no n-gram spans two of them.
 *
 * @param streams token ids in [0, vocabularySize), at least one token in all
 * @throws RangeError for an empty text, an order that is no whole number >= 1, or an id outside the
 * vocabulary
 */
export function trainKneserNey(streams: readonly Int32Array[], options: KneserNeyOptions): KneserNeyModel {
  const { order, vocabularySize } = options;
  if (!(Number.isInteger(order) && order >= 1)) {
    throw new RangeError(
      `the order of an n-gram model must be a whole number of at least 1, but is ${order}`,
    );
  }
  if (streams.every((stream) => stream.length === 0)) {
    throw new RangeError("an n-gram model needs at least one token to train on");
  }
  const counted = countNgrams(streams, order, vocabularySize);
  const levels = counted.map((ngrams, k) => {
    const contexts = k === 0 ? 1 : (counted[k - 1]?.size ?? 0);
    return {
      ngrams,
      byOccurrence: smoothing(ngrams, ngrams.occurrences, contexts),
      byContinuation: k === order - 1 ? null : smoothing(ngrams, ngrams.continuations, contexts),
    };
  });
  return { order, vocabularySize, levels };
}

/**
 * The natural-log probability of every token, each given the tokens before it in its own row.
 *
 * @param tokens ids, shape [count, length], row after row
 * @returns shape [count, length]; finite everywhere
 * @throws RangeError for an id outside the vocabulary, or a token count that is no multiple of `length`
 */
export function scoreBlocks(model: KneserNeyModel, tokens: Int32Array, length: number): Float64Array {
  if (!(Number.isInteger(length) && length >= 1) || tokens.length % length !== 0) {
    throw new RangeError(`${tokens.length} tokens cannot be cut into rows of ${length}`);
  }
  const scores = new Float64Array(tokens.length);
  const history = new Int32Array(model.order + 1);
  tokens.forEach((token, i) => {
    if (!(token >= 0 && token < model.vocabularySize)) {
      throw new RangeError(`token id ${token} is outside the judge's vocabulary of ${model.vocabularySize}`);
    }
    const known = Math.min(i % length, model.order - 1);
    scores[i] = Math.log(probability(model, history, known, token));
    advance(model, history, known, token);
  });
  return scores;
}

/**
 * The distribution of the token after `context`, of which the last `order - 1` tokens count.
 *
 * @returns shape [vocabularySize], positive, summing to 1
 */
export function nextTokenDistribution(model: KneserNeyModel, context: ArrayLike<number>): Float64Array {
  const history = new Int32Array(model.order + 1);
  const used = Array.from(context).slice(Math.max(0, context.length - model.order + 1));
  used.forEach((token, i) => advance(model, history, i, token));
  return Float64Array.from({ length: model.vocabularySize }, (_, token) =>
    probability(model, history, used.length, token),
  );
}

/** exp of the mean negative log-probability: what `scoreBlocks` returned, as a perplexity per token. */
export function perplexity(logProbabilities: Float64Array): number {
  return Math.exp(-logProbabilities.reduce((sum, x) => sum + x, 0) / logProbabilities.length);
}

/**
 * Interpolation from the uniform distribution upwards:
 * P_k(w | c) = max(0, count(c w) - D) / total(c) + freed(c) · P_{k-1}(w | c without its first token),
 * where a context never seen passes the lower order on unchanged.
 *
 * @param history node of the last k tokens at [k], -1 where these were never seen; valid up to `known`
 */
function probability(model: KneserNeyModel, history: Int32Array, known: number, token: number): number {
  let p = 1 / model.vocabularySize;
  for (let k = 0; k <= known; k++) {
    const level = model.levels[k];
    const context = k === 0 ? 0 : (history[k] ?? -1);
    if (level === undefined || context < 0) break; // then no longer context was seen either
    const highest = k === known;
    const smoothed = highest || level.byContinuation === null ? level.byOccurrence : level.byContinuation;
    const total = smoothed.totals[context] ?? 0;
    if (total === 0) continue;
    const node = findNgram(level.ngrams, context, token);
    const counts = highest ? level.ngrams.occurrences : level.ngrams.continuations;
    const count = node < 0 ? 0 : (counts[node] ?? 0);
    p = (count - discount(smoothed.discounts, count)) / total + (smoothed.freed[context] ?? 0) * p;
  }
  return p;
}

/** Appends a token to the history: afterwards `history[k]` is valid for k up to known + 1. */
function advance(model: KneserNeyModel, history: Int32Array, known: number, token: number): void {
  let context = 0;
  for (let k = 0; k <= Math.min(known, model.order - 1); k++) {
    const level = model.levels[k];
    const next = history[k + 1] ?? -1;
    history[k + 1] = level === undefined || context < 0 ? -1 : findNgram(level.ngrams, context, token);
    context = next;
  }
}

function smoothing(ngrams: NgramLevel, counts: Int32Array, contexts: number): Smoothing {
  const discounts = estimateDiscounts(counts);
  const totals = new Float64Array(contexts);
  const freed = new Float64Array(contexts);
  for (let node = 0; node < ngrams.size; node++) {
    const context = ngrams.parent[node] ?? 0;
    const count = counts[node] ?? 0;
    totals[context] = (totals[context] ?? 0) + count;
    freed[context] = (freed[context] ?? 0) + discount(discounts, count);
  }
  for (let context = 0; context < contexts; context++) {
    const total = totals[context] ?? 0;
    if (total > 0) freed[context] = (freed[context] ?? 0) / total;
  }
  return { discounts, totals, freed };
}

function discount(discounts: readonly [number, number, number], count: number): number {
  if (count === 0) return 0;
  return count === 1 ? discounts[0] : count === 2 ? discounts[1] : discounts[2];
}

/**
 * The discounts of Chen and Goodman's modified Kneser-Ney smoothing: D_k = k - (k + 1) · Y · n_{k+1} / n_k for
 * k = 1, 2 and 3 (or more), with Y = n_1 / (n_1 + 2 n_2), where n_k is the number of n-grams with count k.
 * The estimate needs n_1 to n_4; where one is missing (a small text, or characters, all of which are frequent)
 * or the result is no discount in (0, k], one discount serves all counts: Y itself, or 0.75 where Y is no number
 * in (0, 1).
 */
function estimateDiscounts(counts: Int32Array): readonly [number, number, number] {
  const n = [0, 0, 0, 0, 0];
  for (const count of counts) if (count >= 1 && count <= 4) n[count] = (n[count] ?? 0) + 1;
  const [, n1 = 0, n2 = 0, n3 = 0, n4 = 0] = n;
  const y = n1 / (n1 + 2 * n2);
  const modified = [1 - (2 * y * n2) / n1, 2 - (3 * y * n3) / n2, 3 - (4 * y * n4) / n3] as const;
  if (n4 > 0 && modified.every((d, i) => d > 0 && d <= i + 1)) return modified;
  const single = y > 0 && y < 1 ? y : 0.75;
  return [single, single, single];
}
