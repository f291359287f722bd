// The algebra of flows and flow maps as coefficients: every field (velocity, denoiser, score, noise) and
// every update (jump, Euler step, renoising step) is a linear combination of the state, a denoiser and fresh
// noise, and these functions give its coefficients for numbers s <= u <= t in [0, 1] (t = 0 noise, t = 1
// data).
//
// Consumed by objectives, samplers and verify, which apply the coefficients to tensors. Names: D_t(x) is the
// one-time denoiser, delta_{s,t}(x) the two-time denoiser, X_{s,t}(x) the flow map, v_{s,t}(x) the average
// velocity. To add an identity, return its coefficients under the names of the fields they multiply.

/** `result = state * x + denoiser * delta`. */
export interface StateDenoiser {
  readonly state: number;
  readonly denoiser: number;
}

function requireOrdered(names: string, ...times: readonly number[]): void {
  const ordered = times.every((time, i) => time >= (i === 0 ? 0 : (times[i - 1] ?? 0)) && time <= 1);
  if (!ordered) {
    throw new RangeError(`Times must satisfy 0 <= ${names} <= 1, got ${times.join(", ")}.`);
  }
}

function requireBeforeData(name: string, time: number): void {
  if (!(time >= 0 && time < 1)) {
    throw new RangeError(`This coefficient divides by 1 - ${name}: it needs 0 <= ${name} < 1, got ${time}.`);
  }
}

/**
 * `X_{s,t}(x) = state * x + denoiser * delta_{s,t}(x)`; the two sum to 1. At s = t it is the identity, at t =
 * 1 it is the denoiser.
 *
 * @throws RangeError unless 0 <= s <= t <= 1
 */
export function flowMapCoefficients(s: number, t: number): StateDenoiser {
  requireOrdered("s <= t", s, t);
  // Includes s = t = 1, where the quotient is 0/0 and the map is the identity.
  if (s === t) return { state: 1, denoiser: 0 };
  return { state: (1 - t) / (1 - s), denoiser: (t - s) / (1 - s) };
}

/**
 * `delta_{s,t}(x) = state * x + flowMap * X_{s,t}(x)`: the inverse of {@link flowMapCoefficients}.
 *
 * @throws RangeError unless 0 <= s < t <= 1 (at s = t the map says nothing about the denoiser)
 */
export function denoiserFromFlowMap(
  s: number,
  t: number,
): { readonly state: number; readonly flowMap: number } {
  requireOrdered("s < t", s, t);
  if (s === t) throw new RangeError(`X_{s,s} is the identity and determines no denoiser; s = t = ${s}.`);
  return { state: -(1 - t) / (t - s), flowMap: (1 - s) / (t - s) };
}

/**
 * `v_{s,t}(x) = state * x + denoiser * delta_{s,t}(x)`, the average velocity over [s, t], for every t > s;
 * with the one-time denoiser it is the instantaneous velocity `b_s(x) = (D_s(x) - x) / (1 - s)`.
 *
 * @throws RangeError unless 0 <= s < 1
 */
export function velocityFromDenoiser(s: number): StateDenoiser {
  requireBeforeData("s", s);
  return { state: -1 / (1 - s), denoiser: 1 / (1 - s) };
}

/** `delta_{s,t}(x) = state * x + velocity * v_{s,t}(x)`. Throws RangeError unless 0 <= s <= 1. */
export function denoiserFromVelocity(s: number): { readonly state: number; readonly velocity: number } {
  requireOrdered("s", s);
  return { state: 1, velocity: 1 - s };
}

/** `X_{s,t}(x) = state * x + velocity * v_{s,t}(x)`. Throws RangeError unless 0 <= s <= t <= 1. */
export function flowMapFromVelocity(
  s: number,
  t: number,
): { readonly state: number; readonly velocity: number } {
  requireOrdered("s <= t", s, t);
  return { state: 1, velocity: t - s };
}

/**
 * Score of the marginal at t for a Gaussian source: `grad log p_t(x) = state * x + denoiser * D_t(x)`.
 *
 * @throws RangeError unless 0 <= t < 1
 */
export function scoreFromDenoiser(t: number): StateDenoiser {
  requireBeforeData("t", t);
  return { state: -1 / (1 - t) ** 2, denoiser: t / (1 - t) ** 2 };
}

/**
 * Expected source noise: `E[x_0 | I_t = x] = state * x + denoiser * D_t(x)`.
 *
 * @throws RangeError unless 0 <= t < 1
 */
export function noiseFromDenoiser(t: number): StateDenoiser {
  requireBeforeData("t", t);
  return { state: 1 / (1 - t), denoiser: -t / (1 - t) };
}

/**
 * The semigroup weight `gamma = (1 - t)(u - s) / ((1 - u)(t - s))` of
 * `delta_{s,t}(x) = gamma delta_{s,u}(x) + (1 - gamma) delta_{u,t}(X_{s,u}(x))`, in [0, 1].
 *
 * Limits: 1 at u = t (also at s = u = t, where both denoisers are the same), 0 at u = s and at t = 1.
 *
 * @param floor added to the denominator (1 - u)(t - s); 0 is exact, 1e-8 reproduces the published code
 * @throws RangeError unless 0 <= s <= u <= t <= 1
 */
export function semigroupWeight(s: number, u: number, t: number, floor = 0): number {
  requireOrdered("s <= u <= t", s, u, t);
  if (floor > 0) return ((1 - t) * (u - s)) / ((1 - u) * (t - s) + floor);
  if (u === t) return 1;
  // Two quotients, each at most 1: their product cannot leave [0, 1], whatever is rounded.
  return ((1 - t) / (1 - u)) * ((u - s) / (t - s));
}

/**
 * `1 - gamma = (t - u)(1 - s) / ((1 - u)(t - s))`, without the cancellation of subtracting {@link
 * semigroupWeight} from 1 when u is near t.
 *
 * @throws RangeError unless 0 <= s <= u <= t <= 1
 */
export function semigroupComplement(s: number, u: number, t: number): number {
  requireOrdered("s <= u <= t", s, u, t);
  if (u === t) return 0;
  return Math.min(1, ((t - u) / (t - s)) * ((1 - s) / (1 - u)));
}

/**
 * The Euler step from t to next in convex form, `z <- (1 - a) z + a D_t(z)`, `a = (next - t) / (1 - t)`; a =
 * 1 at next = 1, and 0 for a step of no length.
 *
 * @param floor added to 1 - t; 0 is exact, 1e-5 reproduces the published FLM sampler (whose last step is
 *   nevertheless a = 1)
 * @throws RangeError unless 0 <= t <= next <= 1
 */
export function eulerWeight(t: number, next: number, floor = 0): number {
  requireOrdered("t <= next", t, next);
  if (t === next) return 0;
  return (next - t) / (1 - t + floor);
}

/** One step of the gamma-sampler: `z <- state * z + denoiser * delta_{time, target}(z) + noise * epsilon`. */
export interface GammaStep {
  /** The time the flow map jumps to, at or beyond the step's end; the network sees the clock's tau of it. */
  readonly target: number;
  /** Noise level 1 - target reached by the jump. */
  readonly sigmaTarget: number;
  /** Noise level 1 - next to which the step renoises. */
  readonly sigma: number;
  readonly state: number;
  readonly denoiser: number;
  readonly noise: number;
}

/**
 * Coefficients of FMLM's stochastic sampler (arXiv:2602.16813): jump past the next time, to noise level
 * `sigma sqrt(1 - gamma^2)`, then renoise to level sigma = 1 - next. The signal coefficient is then exactly
 * `next` and the noise variance `(1 - next)^2`. gamma = 0 is the flow map, gamma = 1 restarts from fresh
 * noise each step.
 *
 * @param options.time current time, below next
 * @param options.next end of the step
 * @param options.gamma stochasticity in [0, 1]
 * @throws RangeError for times out of order or gamma outside [0, 1]
 */
export function gammaSamplerCoefficients({
  time,
  next,
  gamma,
}: {
  readonly time: number;
  readonly next: number;
  readonly gamma: number;
}): GammaStep {
  requireOrdered("time <= next", time, next);
  if (!(gamma >= 0 && gamma <= 1)) {
    throw new RangeError(`The sampler's gamma is a share of renewed noise in [0, 1], got ${gamma}.`);
  }
  const sigma = 1 - next;
  const sigmaTarget = sigma * Math.sqrt((1 - gamma) * (1 + gamma));
  // Never before the step's end: 1 - (1 - next) would round, below `next` at times.
  const target = Math.max(next, 1 - sigmaTarget);
  const jump = flowMapCoefficients(time, target);
  return {
    target,
    sigmaTarget,
    sigma,
    state: jump.state,
    denoiser: jump.denoiser + (sigmaTarget - sigma),
    noise: gamma * sigma,
  };
}

/**
 * Drift of a general interpolant `I_t = alpha x_0 + beta x_1`: `b_t(x) = state * x + denoiser * D_t(x)` with
 * `state = alpha'/alpha`, `denoiser = beta' - beta alpha'/alpha` (Discrete Flow Maps, arXiv:2604.09784,
 * appendix A).
 *
 * @param options values of alpha and beta at t and their time derivatives; alpha > 0
 * @throws RangeError if alpha is not positive
 */
export function interpolantDrift({
  alpha,
  beta,
  alphaRate,
  betaRate,
}: {
  readonly alpha: number;
  readonly beta: number;
  readonly alphaRate: number;
  readonly betaRate: number;
}): StateDenoiser {
  if (!(alpha > 0)) {
    throw new RangeError(
      `The drift divides by the noise coefficient alpha, which must be positive, got ${alpha}.`,
    );
  }
  const state = alphaRate / alpha;
  return { state, denoiser: betaRate - beta * state };
}

/**
 * Flow map of a general interpolant: `X_{s,t}(x) = state * x + denoiser * psi_{s,t}(x)` with
 * `state = alpha_t / alpha_s`, `denoiser = beta_t - state * beta_s`, psi the two-time denoiser.
 *
 * @param from alpha and beta at s; alpha > 0
 * @param to alpha and beta at t
 * @throws RangeError if alpha at s is not positive
 */
export function interpolantJump(
  from: { readonly alpha: number; readonly beta: number },
  to: { readonly alpha: number; readonly beta: number },
): StateDenoiser {
  if (!(from.alpha > 0)) {
    throw new RangeError(
      `A jump divides by the source time's noise coefficient alpha, which is ${from.alpha}.`,
    );
  }
  const state = to.alpha / from.alpha;
  return { state, denoiser: to.beta - state * from.beta };
}
