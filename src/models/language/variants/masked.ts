/**
 * Between masked diffusion and flows: every token begins at a mask state, which says the same of all tokens, and leaves it at a time of its
 * own. With noise around the mask it does so gradually, as in hybrids of discrete and continuous diffusion (CANDI among them);
 * without noise it does so at once, and that is masked diffusion. Sampled by drawing tokens
 * (`sampleEndpoints`). The order is part of the declaration, the same for every text; masked diffusion as published draws one for each.
 */
import { constant } from "../../../dsl/index.ts";
import { flow } from "../../flow/flow.ts";
import type { Flow } from "../../flow/flow.ts";
import { linear } from "../../flow/interpolant.ts";
import { anyOrder, atOnce, positioned } from "../../flow/schedule.ts";
import type { Schedule } from "../../flow/schedule.ts";
import { maskedGaussian, pointMass } from "../../flow/source-masked.ts";

export interface MaskedOptions {
  /** Tokens of a text. */
  readonly length: number;
  /** The place of every position in the order, from 0; by default every other position first, then those between. */
  readonly rank?: readonly number[];
}

const alternating = (length: number): readonly number[] =>
  Array.from({ length }, (_, i) => (i % 2 === 0 ? i / 2 : Math.ceil(length / 2) + (i - 1) / 2));

/** Tokens in an order of their own; `overlap` as in Ramps. */
function ordered({ length, rank = alternating(length) }: MaskedOptions, overlap: number): Schedule {
  // A place twice, or beyond the last, would be a token that is never finished, or one that nothing waits for.
  if (rank.toSorted((a, b) => a - b).some((place, i) => place !== i) || rank.length !== length)
    throw new RangeError(
      `The ranks of masked tokens are an order of ${length} positions, each number from 0 to ${length - 1} once, got ${rank.join(", ")}.`,
    );
  // A tensor of the program that asks, whichever it is.
  return (t, tokens) => anyOrder({ rank: constant(rank, [rank.length], "i32"), overlap })(t, tokens);
}

/**
 * Tokens one after another, each half-way when the next begins, from noise of a scale around the middle of the simplex.
 * @throws RangeError for ranks that are no order
 */
export const maskedHybrid = ({
  scale = 0.5,
  ...options
}: MaskedOptions & { readonly scale?: number }): Flow =>
  flow({
    name: "masked Gaussian hybrid",
    source: maskedGaussian({ scale }),
    interpolant: positioned(linear, ordered(options, 0.5), options),
  });

/** Tokens one by one, each at once. @throws RangeError for ranks that are no order */
export const maskedDiffusion = (options: MaskedOptions): Flow =>
  flow({
    name: "masked diffusion in order",
    source: pointMass(),
    interpolant: positioned(linear, atOnce(ordered(options, 0)), options),
  });
