/**
 * The algebra of flows and flow maps on tensors: states and denoisers are [batch, length, dim], every row has times of its own,
 * [batch]. The same identities as coefficients of plain numbers are in algebra.ts.
 *
 * Consumed by losses, by the oracle and by tests. To add an identity, write it with `perRow` weights.
 */
import { add, div, expandDims, mul, sub } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";

/** A per-row number [batch] as [batch, 1, 1], to meet states [batch, length, dim]. */
export const perRow = (x: Tensor): Tensor => expandDims(expandDims(x, 1), 2);

/** x + w (y − x) = (1 − w) x + w y with a weight per row, [batch]. */
function mix(x: Tensor, y: Tensor, weight: Tensor): Tensor {
  const w = perRow(weight);
  return add(mul(sub(1, w), x), mul(w, y));
}

/** The linear interpolant I_t = (1 − t) x₀ + t x₁. */
export const interpolate = (noise: Tensor, clean: Tensor, t: Tensor): Tensor => mix(noise, clean, t);

/**
 * X_{s,t}(x) = (1−t)/(1−s) x + (t−s)/(1−s) δ: where the flow map takes a state, given δ_{s,t}(x). For s < 1.
 * @param floor added to 1 − s; 0 is exact, 1e-8 reproduces the published code
 */
export function flowMap(state: Tensor, denoised: Tensor, s: Tensor, t: Tensor, floor = 0): Tensor {
  const left = perRow(add(sub(1, s), floor));
  const kept = div(perRow(sub(1, t)), left);
  const jumped = div(perRow(sub(t, s)), left);
  return add(mul(kept, state), mul(jumped, denoised));
}

/** δ_{s,t}(x) from where the flow map takes x: the inverse of {@link flowMap}. For s < t. */
export function denoiserOfFlowMap(state: Tensor, moved: Tensor, s: Tensor, t: Tensor): Tensor {
  const [left, jump] = [perRow(sub(1, s)), perRow(sub(t, s))];
  return div(sub(mul(left, moved), mul(perRow(sub(1, t)), state)), jump);
}

/** (D − x)/(1 − s): the average velocity v_{s,t} given δ_{s,t}, and the velocity b_s given D_s. For s < 1. */
export const velocity = (state: Tensor, denoised: Tensor, s: Tensor): Tensor =>
  div(sub(denoised, state), perRow(sub(1, s)));

/** x + (1 − s) v: the denoiser whose velocity is v, the inverse of {@link velocity}. */
export const denoiserOfVelocity = (state: Tensor, average: Tensor, s: Tensor): Tensor =>
  add(state, mul(perRow(sub(1, s)), average));

/** The score ∇ log p_t(x) = (t D_t − x)/(1−t)² of the marginal for a Gaussian source. For t < 1. */
export function score(state: Tensor, denoised: Tensor, t: Tensor): Tensor {
  const [signal, left] = [perRow(t), perRow(sub(1, t))];
  return div(sub(mul(signal, denoised), state), mul(left, left));
}

/** E[x₀ | I_t = x] = (x − t D_t)/(1 − t). For t < 1. */
export const expectedNoise = (state: Tensor, denoised: Tensor, t: Tensor): Tensor =>
  div(sub(state, mul(perRow(t), denoised)), perRow(sub(1, t)));

/**
 * The semigroup weight γ = (1−t)(u−s)/((1−u)(t−s)), [batch], for s < t and u < 1.
 * @param floor added to the denominator; 0 is exact, 1e-8 reproduces the published code
 */
export function semigroupWeights(s: Tensor, u: Tensor, t: Tensor, floor = 0): Tensor {
  const numerator = mul(sub(1, t), sub(u, s));
  return div(numerator, add(mul(sub(1, u), sub(t, s)), floor));
}

/** The semigroup identity: δ_{s,t}(x) = γ δ_{s,u}(x) + (1 − γ) δ_{u,t}(X_{s,u}(x)). */
export const semigroup = (first: Tensor, second: Tensor, gamma: Tensor): Tensor => mix(second, first, gamma);

/** Guidance by a weaker model (autoguidance): weak + η (strong − weak), of denoisers or, equally, of velocities. */
export const autoguided = (strong: Tensor, weak: Tensor, strength: number): Tensor =>
  add(weak, mul(sub(strong, weak), strength));
