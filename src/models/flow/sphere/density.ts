/**
 * The law of a state given its token, which is known exactly. x₀ is uniform on S^{d−1}, so its angle θ₀ to e has the density ∝
 * sin^{d−2} θ₀ and its direction around e is uniform. The great circle keeps the direction and leaves θ = (1 − κ) θ₀; so θ has the
 * density ∝ sin^{d−2}(θ/(1 − κ))/(1 − κ) for θ < (1 − κ)π, and per area of the sphere, in units of the uniform law,
 *
 *   p_t(x | e) = [sin(θ/(1 − κ))/sin θ]^{d−2} / (1 − κ),   0 beyond.
 *
 * Consumed by spherical-flow.ts; verify compares it with draws and with the velocity, by the continuity equation.
 */
import { add, div, less, log, maximum, mul, square, squeeze, sub, where } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { sineOver } from "./arc.ts";
import type { Arc } from "./arc.ts";

/**
 * log 0, of a state that its token cannot have. Finite: over a text the sum counts such tokens, and one that has the fewest is
 * most probable.
 */
const NEVER = -1e30;
/** Smallest 1 − κ that is divided by: by then a state tells its token to any precision. */
const CLOSEST = 1e-6;
/** Smallest sine whose logarithm is taken. */
const LEAST = 1e-30;

/** 1 − κ, kept away from 0. */
export const wayLeft = (kappa: Tensor): Tensor => maximum(sub(1, kappa), CLOSEST) as Tensor;

/**
 * log p_t(x | e) in units of the uniform law, [...], of the arc between x and e, [..., 1] on S^{d−1}.
 * @param left 1 − κ, of a shape that broadcasts
 */
export function logDensityOf({ squared, overSine }: Arc, left: Tensor, dimension: number): Tensor {
  const stretched: Tensor = div(squared, square(left) as Tensor);
  const inside = less(stretched, Math.PI ** 2);
  const sine = maximum(sineOver(where(inside, stretched, 0) as Tensor), LEAST) as Tensor;
  const ratio: Tensor = mul(add(log(sine) as Tensor, log(overSine) as Tensor), dimension - 2);
  const all: Tensor = sub(ratio, mul(log(left) as Tensor, dimension - 1));
  return squeeze(where(inside, all, NEVER) as Tensor, -1) as Tensor;
}
