/**
 * The distribution over tokens made sharper, before its expected point is taken: by a temperature, and by leaving out what is unlikely.
 * It changes the logits and nothing else, so it is the same on states of the vocabulary and on projected ones.
 *
 * Consumed by sampling. Guidance in points leaves no distribution: shape the denoisers that it is made of.
 */
import {
  add,
  cast,
  cumsum,
  div,
  expandDims,
  greaterEqual,
  less,
  max,
  mul,
  neg,
  softmax,
  sort,
  sub,
  where,
} from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import type { TwoTimeDenoiser } from "../two-time.ts";
import { logitsNeeded } from "./sampled-denoiser.ts";

export interface PosteriorOptions {
  /** A positive number, or a scalar of the program; below 1 sharper, 1 by default. */
  readonly temperature?: number | Tensor;
  /**
   * Tokens are kept in the order of their probability until they have this much together, in (0, 1]; 1, all, by default. Tokens as
   * probable as the last one that is kept are kept. At the temperature above.
   */
  readonly topP?: number | Tensor;
}

/** The logit of what is left out: its probability is 0 also in f32, and nothing overflows. */
const OUT = -1e30;

/** Logits of the smallest set of most probable tokens that have the probability p together. */
function nucleus(logits: Tensor, p: number | Tensor): Tensor {
  const probabilities = softmax(logits);
  const descending = neg(sort(neg(probabilities), 2).values);
  const before = sub(cumsum(descending, 2), descending);
  // Of the kept, which come first, the least probable; the first is kept always.
  const kept = cast(less(before, p), "f32");
  const least: Tensor = neg(max(neg(add(mul(descending, kept), mul(sub(1, kept), 2))), 2));
  return where(greaterEqual(probabilities, expandDims(least, 2)), logits, OUT) as Tensor;
}

/**
 * A denoiser whose distribution is shaped.
 * @throws RangeError unless the temperature is positive and top-p in (0, 1]
 * @throws TypeError when the denoiser has no distribution over tokens
 */
export function shaped(
  denoiser: TwoTimeDenoiser,
  { temperature = 1, topP = 1 }: PosteriorOptions,
): TwoTimeDenoiser {
  if (typeof temperature === "number" && !(temperature > 0 && Number.isFinite(temperature)))
    throw new RangeError(`A temperature is a positive number, got ${temperature}.`);
  if (typeof topP === "number" && !(topP > 0 && topP <= 1))
    throw new RangeError(`Top-p is a probability in (0, 1], got ${topP}.`);
  const plain = logitsNeeded("A temperature or top-p", denoiser);
  const logits: typeof plain = (x, s, t) => {
    const warm: Tensor = temperature === 1 ? plain(x, s, t) : div(plain(x, s, t), temperature);
    return topP === 1 ? warm : nucleus(warm, topP);
  };
  return {
    interpolant: denoiser.interpolant,
    point: (value) => denoiser.point(value),
    logits,
    denoiser: (x, s, t) => softmax(logits(x, s, t)),
  };
}
