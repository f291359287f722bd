/**
 * Noise around a mask state: what a token looks like of which nothing is known. With times per token (schedule.ts) tokens leave their
 * masks at times of their own, as in masked diffusion, but by way of noise (as hybrids of the two do, for example CANDI); without noise,
 * and at once, it is masked diffusion itself. Consumed as `models.sources`.
 */
import { partsOf } from "./declared-parts.ts";
import { add, mul, random, square, zeros } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { centred, momentOver, overState } from "./source.ts";
import type { Moment, Source } from "./source.ts";

/** A mask state: its value at each coordinate, by number or as a function of the coordinate and of how many there are. */
export type Mask = Moment;

/** The middle of the simplex: of one-hot states what says the same of every token, and needs no token of its own. */
export const middleOfSimplex: Mask = (_, dim) => 1 / dim;

/**
 * The one-hot state of a mask token of the vocabulary.
 * @throws RangeError unless the id is a whole number >= 0
 */
export function maskToken(id: number): Mask {
  // Any other number is no coordinate, and the state would be 0 without a word.
  if (!Number.isSafeInteger(id) || id < 0)
    throw new RangeError(`A mask token has an id, a whole number >= 0, got ${id}.`);
  return (coordinate) => Number(coordinate === id);
}

/** @throws RangeError for a value that is not finite */
function checked(mask: Mask): Mask {
  if (typeof mask === "number") {
    if (Number.isFinite(mask)) return mask;
    throw new RangeError(`A mask state has finite coordinates, got ${mask}.`);
  }
  return (coordinate, dim) => {
    const value = mask(coordinate, dim);
    if (Number.isFinite(value)) return value;
    throw new RangeError(
      `A mask state has finite coordinates, got ${value} at coordinate ${coordinate} of ${dim}.`,
    );
  };
}

/**
 * N(m, σ² I) around a mask state m.
 * @param options.mask by default the middle of the simplex
 * @throws RangeError unless σ is positive; as it is used, for a mask that is not finite
 */
export function maskedGaussian(options: { readonly mask?: Mask; readonly scale?: number } = {}): Source {
  const { mask = middleOfSimplex, scale = 1 } = partsOf("A Gaussian around a mask", options, [
    "mask",
    "scale",
  ]);
  if (!(scale > 0 && Number.isFinite(scale)))
    throw new RangeError(
      `A Gaussian around a mask needs a positive scale, got ${scale}: without noise it is pointMass(mask).`,
    );
  const mean = checked(mask);
  return {
    name: `Gaussian of scale ${scale} around a mask`,
    sample(key, shape) {
      const noise: Tensor = mul(random.normal(key, shape) as Tensor, scale);
      return add(noise, momentOver(mean, noise.shape.at(-1) ?? 0));
    },
    logDensity: (noise) => mul(overState(square(centred(noise, mean)) as Tensor), -1 / (2 * scale ** 2)),
    mean,
    variance: scale ** 2,
    scale,
  };
}

/**
 * The mask state itself, always. Nothing is random at the start, so no map of states can lead to more than one text: it is for tokens
 * with times of their own that change at once (`flows.atOnce`), since from the first moment on a line from the mask says which token it
 * leads to; and for samplers that draw tokens (`sampleEndpoints`).
 * @param mask by default the middle of the simplex
 * @throws RangeError as it is used, for a mask that is not finite
 */
export function pointMass(mask: Mask = middleOfSimplex): Source {
  const mean = checked(mask);
  return {
    name: "point mass",
    sample(_key, shape) {
      const state = zeros(shape) as Tensor;
      const dim = state.shape.at(-1) ?? 0;
      return add(state, momentOver(mean, dim));
    },
    mean,
    variance: 0,
    support: "point",
  };
}
