/**
 * Infilling: tokens that are given at some places are held there. At every time the state of such a place is the interpolant's, α x₀ + β x₁
 * of the given token and the noise that the sample began with, and the answer has the token itself. A prefix is the special case of
 * the first places.
 *
 * Exact in every state space. By itself it lets the other places see a noisy view of the known ones, which is less than the conditional law:
 * noise that speaks strongly for another text may win. The conditional law has `conditionedOn` (reward.ts) as its denoiser, too.
 *
 * Consumed by sample.ts, adaptive.ts and sampling on the sphere.
 */
import { expandDims, greaterEqual, maximum, where } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { mixed } from "../interpolant.ts";
import type { Interpolant } from "../interpolant.ts";
import type { World } from "./world.ts";

/** What is known of a batch of samples. */
export interface Given {
  /** A state at times t [batch], with the known places where they must be then. */
  state(x: Tensor, t: Tensor): Tensor;
  /** Tokens, with the known ones. */
  tokens(tokens: Tensor): Tensor;
}

/** Nothing is known. */
const nothing: Given = { state: (x) => x, tokens: (tokens) => tokens };

/**
 * @param tokens [batch, length] i32, negative where nothing is given; absent when nothing is
 * @param noise what the samples began with, [batch, length, dim]
 */
export function given(
  tokens: Tensor | undefined,
  noise: Tensor,
  world: World,
  { alpha, beta }: Interpolant,
): Given {
  const { clean } = world;
  return kept(tokens, clean, (ends, t) => mixed({ alpha: alpha(t), beta: beta(t) }, noise, ends));
}

/**
 * The same for any path from noise to data.
 * @param clean states of tokens [batch, length]
 * @param path where states whose clean end is given are at times t
 */
export function kept(
  tokens: Tensor | undefined,
  clean: World["clean"],
  path: (clean: Tensor, t: Tensor) => Tensor,
): Given {
  if (tokens === undefined) return nothing;
  const known = greaterEqual(tokens, 0);
  const wide = expandDims(known, 2);
  const ends = clean(maximum(tokens, 0));
  return {
    state: (x, t) => where(wide, path(ends, t), x) as Tensor,
    tokens: (found) => where(known, tokens, found) as Tensor,
  };
}
