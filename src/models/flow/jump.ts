/**
 * Jumps of a flow map in terms of its two-time denoiser: X_{s,t}(x) = Γ x + Ξ ψ_{s,t}(x), with Γ = α_t/α_s and Ξ = β_t − Γ β_s
 * (Discrete Flow Maps, arXiv:2604.09784, appendix A); and what the identities of flow maps are in terms of ψ. For the linear
 * interpolant these are the formulas of FMLM (arXiv:2602.16813), for example γ = (1−t)(u−s)/((1−u)(t−s)).
 *
 * Consumed by objectives, samplers and verify. Everything is [batch], or [batch, length] where times are per token.
 */
import { add, div, equal, mul, sub, where } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { perState } from "./interpolant.ts";
import type { Point } from "./interpolant.ts";

/** X = kept · x + jumped · ψ. */
export interface Jump {
  /** Γ = α_t/α_s. */
  readonly kept: Tensor;
  /** Ξ = β_t − Γ β_s. */
  readonly jumped: Tensor;
}

/** Where no noise is left (α_s = 0: at t = 1, and at tokens that are finished) nothing moves any more: Γ = 1, Ξ = 0. */
export function jump(from: Point, to: Point): Jump {
  const finished = equal(from.alpha, 0);
  const kept = where(finished, 1, div(to.alpha, where(finished, 1, from.alpha))) as Tensor;
  return { kept, jumped: where(finished, 0, sub(to.beta, mul(kept, from.beta))) as Tensor };
}

/** X_{s,t}(x) from ψ_{s,t}(x), states [batch, length, dim]. */
export const moved = (state: Tensor, denoised: Tensor, { kept, jumped }: Jump): Tensor =>
  add(mul(perState(kept), state), mul(perState(jumped), denoised));

/** ψ_{s,t}(x) from X_{s,t}(x): the inverse of `moved`, for s < t. */
export const denoisedOf = (state: Tensor, arrived: Tensor, { kept, jumped }: Jump): Tensor =>
  div(sub(arrived, mul(perState(kept), state)), perState(jumped));

/** αβ̇ − βα̇: the rate of β/α times α², positive. */
export const wronskian = ({ alpha, beta, alphaRate, betaRate }: Point): Tensor =>
  sub(mul(alpha, betaRate), mul(beta, alphaRate));

/**
 * The weights of ψ_{s,t}(x) = first · ψ_{s,u}(x) + second · ψ_{u,t}(X_{s,u}(x)): Γ_{u,t} Ξ_{s,u}/Ξ_{s,t} and Ξ_{u,t}/Ξ_{s,t}, which are
 * not negative and sum to 1. At s = t, where both denoisers are one, 1 and 0.
 */
export function semigroupWeights(
  s: Point,
  u: Point,
  t: Point,
): { readonly first: Tensor; readonly second: Tensor } {
  const whole = jump(s, t).jumped;
  const [near, far] = [jump(s, u), jump(u, t)];
  const still = equal(whole, 0);
  const safe = where(still, 1, whole) as Tensor;
  return {
    first: where(still, 1, div(mul(far.kept, near.jumped), safe)) as Tensor,
    second: where(still, 0, div(far.jumped, safe)) as Tensor,
  };
}

/**
 * c of the Lagrangian identity ψ_{s,t}(x) = D_t(X_{s,t}(x)) − c ∂_t ψ_{s,t}(x): Ξ/λ_t with λ = β̇ − βα̇/α. For the linear interpolant
 * (t−s)(1−t)/(1−s). 0 for a token that has not begun, or is finished: its ψ does not change with t.
 */
export function lagrangianWeight(s: Point, t: Point): Tensor {
  const rate = wronskian(t);
  const still = equal(rate, 0);
  return where(still, 0, div(mul(jump(s, t).jumped, t.alpha), where(still, 1, rate))) as Tensor;
}

/**
 * k of the Eulerian identity ψ_{s,t}(x) = D_s(x) + k (∂_s + b_s·∇) ψ_{s,t}(x): Ξ/(Γ λ_s). For the linear interpolant
 * (t−s)(1−s)/(1−t), infinite at t = 1, and for a token that waits at s, of which the identity says nothing.
 */
export function eulerianWeight(s: Point, t: Point): Tensor {
  const { kept, jumped } = jump(s, t);
  return div(mul(jumped, s.alpha), mul(kept, wronskian(s)));
}
