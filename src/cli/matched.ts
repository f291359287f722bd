/**
 * Comparing two models at one entropy. Perplexity alone rewards text that repeats itself, so of two sets of samples the one with
 * less entropy draws its last step at the temperature that gives it the other's entropy; then their perplexities compare.
 *
 * Consumed by the evaluation of a run.
 */
import type { Decoder } from "../runtime/training/sampler.ts";
import type { ModelName } from "./report/data.ts";

/** Perplexity with its 95 % interval and mean unigram entropy of a set of samples. */
export interface Measured {
  readonly perplexity: number;
  readonly low: number;
  readonly high: number;
  readonly entropy: number;
}

/** One model's side of a comparison. */
export interface Side extends Measured {
  readonly model: ModelName;
  readonly steps: number;
  /** Temperature of the last step; 0 is the argmax. */
  readonly temperature: number;
}

/** Two models as they were drawn, and at (nearly) one entropy. */
export interface Comparison {
  readonly drawn: { readonly fmlm: Side; readonly flm: Side };
  readonly fmlm: Side;
  readonly flm: Side;
}

/** Entropies closer than this, in nats, count as equal. */
export const MATCHED = 0.02;

/** Temperatures searched, and bisections made. */
const HIGHEST = 2;
export const BISECTIONS = 8;

/**
 * The measure of a decoder's samples at the temperature at which their entropy is `entropy`, or as near as temperatures
 * up to 2 come. Entropy grows with the temperature, so bisection finds it.
 */
export async function atEntropy(
  decoder: Decoder,
  entropy: number,
  measure: (tokens: Int32Array) => Measured,
): Promise<Measured & { readonly temperature: number }> {
  let [low, high] = [0, HIGHEST];
  let best: (Measured & { readonly temperature: number }) | undefined;
  for (let i = 0; i < BISECTIONS; i++) {
    const temperature = (low + high) / 2;
    const found = { ...measure(await decoder.decode(temperature)), temperature };
    if (best === undefined || Math.abs(found.entropy - entropy) < Math.abs(best.entropy - entropy))
      best = found;
    if (Math.abs(found.entropy - entropy) < MATCHED / 4) break;
    if (found.entropy < entropy) low = temperature;
    else high = temperature;
  }
  return best as Measured & { readonly temperature: number }; // at least one bisection was made
}
