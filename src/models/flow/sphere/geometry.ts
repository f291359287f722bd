/**
 * The unit sphere S^{d−1}: its logarithm, its exponential map, great circles, and transport along them. Vectors lie on the last axis;
 * the others broadcast. States are [batch, length, d], one point of the sphere per token.
 *
 * Consumed by spherical-flow.ts, samplers, and verify, which holds each function against the others. A geometry is data of a flow, so that
 * another one (or a mistaken one, in tests) can take its place.
 */
import { add, div, einsum, less, matmul, maximum, mul, rsqrt, square, sub, sum, where } from "../../../dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../dsl/index.ts";
import { arc, cosineOf, sineOver } from "./arc.ts";
import type { Arc } from "./arc.ts";

export interface Geometry {
  /** The direction of vectors. */
  unit(x: Tensor): Tensor;
  /** The angle θ between unit vectors: θ² and θ/sin θ, [..., 1]. */
  arc(x: Tensor, y: Tensor): Arc;
  /**
   * log_x(y) = θ/sin θ (y − x cos θ): the tangent at x of the great circle to y, as long as that is. 0 for y = −x, where every direction
   * is as good.
   */
  log(x: Tensor, y: Tensor): Tensor;
  /** exp_x(v) = x cos|v| + v sin|v|/|v|: where the great circle from x with velocity v is at time 1. */
  exp(x: Tensor, v: Tensor): Tensor;
  /** The tangent v at x, moved along the great circle to y. */
  transport(v: Tensor, x: Tensor, y: Tensor): Tensor;
  /**
   * Σ_v p_v log_x(e_v) of a table [vocab, d] with weights [..., vocab]. By cosines, so that no [..., vocab, d] is written: within 2e-3 of the
   * antipode of a token, where its direction is lost in single precision, its log is shortened.
   */
  meanLog(x: Tensor, table: Tensor, weights: Tensor): Tensor;
}

const LAST = -1;
const over = (x: Tensor): Tensor => sum(x, [LAST], { keepDims: true }) as Tensor;

/** Smallest squared length that is divided by: 0 stays 0. */
const LEAST = 1e-30;
/** Rounding of 1 + cos θ in single precision, times some. */
const ROUNDING = 4e-6;

interface Chords {
  readonly q: Tensor;
  readonly p: Tensor;
  readonly difference: Tensor;
  readonly sum: Tensor;
}

function chords(x: Tensor, y: Tensor): Chords {
  const [difference, together] = [sub(y, x), add(y, x)] as readonly [Tensor, Tensor];
  return {
    q: over(square(difference) as Tensor),
    p: over(square(together) as Tensor),
    difference,
    sum: together,
  };
}

export const sphere: Geometry = {
  unit: (x) => mul(x, rsqrt(maximum(over(square(x) as Tensor), LEAST) as Tensor)),

  arc(x, y) {
    const { q, p } = chords(x, y);
    return arc(q, p);
  },

  log(x, y) {
    const { q, p, difference, sum: together } = chords(x, y);
    // y − x cos θ with cos θ = 1 − q/2 = p/2 − 1: of the two forms the one in which nothing cancels.
    const near: Tensor = add(difference, mul(x, mul(q, 1 / 2) as Tensor));
    const far: Tensor = sub(together, mul(x, mul(p, 1 / 2) as Tensor));
    return mul(where(less(q, p), near, far) as Tensor, arc(q, p).overSine);
  },

  exp(x, v) {
    const squared = over(square(v) as Tensor);
    return add(mul(x, cosineOf(squared)), mul(v, sineOver(squared)));
  },

  transport(v, x, y) {
    const together: Tensor = add(x, y);
    // v − ⟨y, v⟩/(1 + ⟨x, y⟩) (x + y).
    const half: Tensor = mul(over(square(together) as Tensor), 1 / 2);
    return sub(v, mul(together, div(over(mul(y, v)), maximum(half, LEAST) as Tensor)));
  },

  meanLog(x, table, weights) {
    const cosine: Tensor = einsum("b l d, v d -> b l v", x, table);
    const { overSine } = arc(sub(2, mul(cosine, 2)), add(2, mul(cosine, 2)), ROUNDING);
    const each: Tensor = mul(weights, overSine);
    return sub(matmul(each, table) as Tensor, mul(x, over(mul(each, cosine))));
  },
};

/** slerp(x, y, κ): the great circle from x to y at the share κ of its way; κ broadcasts. */
export const slerp = (geometry: Geometry, x: Tensor, y: Tensor, share: Tensor): Tensor =>
  geometry.exp(x, mul(geometry.log(x, y), share));
