/**
 * What objectives and samplers know of a flow map: a two-time denoiser ψ_{s,t}(x), from which the map, the drift and their derivatives
 * follow by the interpolant. A network is one (see flow-map.ts), and so is the exact map of a corpus (see oracle-map.ts): what
 * trains the first is checked on the second.
 */
import { add, div, equal, jvp, mul, onesLike, sub, where } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { perState, pointAt } from "./interpolant.ts";
import type { Interpolant, Point } from "./interpolant.ts";
import { jump, moved, wronskian } from "./jump.ts";

/** A time of every row, [batch]: of the interpolant, on the clock, and the clock's rate dτ/dt there. */
export interface Time {
  readonly t: Tensor;
  readonly tau: Tensor;
  readonly rate: Tensor;
}

/**
 * A two-time denoiser. States are [batch, length, dim]. Its values are distributions over tokens, [batch, length, vocab], or points
 * of the state space; `point` says which state a value stands for. It is linear, so identities may be stated in either.
 */
export interface TwoTimeDenoiser {
  readonly interpolant: Interpolant;
  /** ψ_{s,t}(x) for s <= t; at s = t the denoiser D_t(x). */
  denoiser(x: Tensor, s: Time, t: Time): Tensor;
  /** The state of a value, [batch, length, dim]: the value itself, or the expected state of a distribution. */
  point(value: Tensor): Tensor;
  /** Logits of ψ_{s,t}(x), where it is a distribution over tokens, up to a constant per token. */
  logits?(x: Tensor, s: Time, t: Time): Tensor;
}

/** A denoiser D_t(x), of the same kind of values, and its logits where they are distributions over tokens. */
export interface OneTimeDenoiser {
  denoiser(x: Tensor, t: Time): Tensor;
  logits?(x: Tensor, t: Time): Tensor;
}

/** The denoiser that a two-time denoiser has on its diagonal. */
export function diagonalOf(map: TwoTimeDenoiser): OneTimeDenoiser {
  return {
    denoiser: (x, t) => map.denoiser(x, t, t),
    ...(map.logits === undefined ? {} : { logits: (x: Tensor, t: Time) => map.logits?.(x, t, t) as Tensor }), // defined: asked above
  };
}

const pointOf = (map: Pick<TwoTimeDenoiser, "interpolant">, time: Time): Point =>
  pointAt(map.interpolant, time.t);

/** X_{s,t}(x). */
export const arrive = (map: TwoTimeDenoiser, x: Tensor, s: Time, t: Time): Tensor =>
  moved(x, map.point(map.denoiser(x, s, t)), jump(pointOf(map, s), pointOf(map, t)));

/**
 * The drift b_t(x) = (α̇/α) x + (β̇ − βα̇/α) D, where D is the state of a denoiser's value at (x, t). For t < 1; a token that is finished
 * before has none.
 */
export function drift(interpolant: Interpolant, x: Tensor, denoised: Tensor, time: Time): Tensor {
  const point = pointAt(interpolant, time.t);
  const finished = equal(point.alpha, 0);
  const noise = where(finished, 1, point.alpha) as Tensor;
  const weight = (rate: Tensor): Tensor => perState(where(finished, 0, div(rate, noise)) as Tensor);
  return add(mul(weight(point.alphaRate), x), mul(weight(wronskian(point)), denoised));
}

/** The time a little later: what a function of a time is differentiated by. On the clock it moves at the clock's rate. */
const shifted = (time: Time, by: Tensor): Time => ({
  t: add(time.t, by),
  tau: add(time.tau, mul(time.rate, by)),
  rate: time.rate,
});

/** f and ∂f/∂t at a time. */
export function byTime<R>(f: (time: Time) => R, time: Time): { readonly value: R; readonly tangent: R } {
  const start: Tensor = sub(time.t, time.t);
  return jvp((by: Tensor) => f(shifted(time, by)), [start], [onesLike(start)]);
}

/** f and its derivative (∂_s + v·∇) f at (x, s): along a path that passes x at time s with velocity v. */
export function alongPath<R>(
  f: (x: Tensor, time: Time) => R,
  x: Tensor,
  time: Time,
  velocity: Tensor,
): { readonly value: R; readonly tangent: R } {
  const start: Tensor = sub(time.t, time.t);
  return jvp((at: Tensor, by: Tensor) => f(at, shifted(time, by)), [x, start], [velocity, onesLike(start)]);
}
