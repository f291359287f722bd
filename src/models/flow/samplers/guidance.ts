/**
 * Guidance of one denoiser by another, away from what the other says: η ≥ 1 goes further than the better of the two, η = 1 is it, η = 0
 * is the other.
 *
 *   in points: ψ = ψ_weak + η (ψ_strong − ψ_weak). Drift and jumps are affine in ψ at a state, so this is the same guidance of
 *              velocities. For η > 1 it may leave the simplex.
 *   in logits: the same of logits, p ∝ p_weak (p_strong/p_weak)^η: always a distribution.
 *
 * Consumed by sampling: a guided denoiser is a denoiser. Exact on projected states in both forms.
 */
import { add, mul, softmax, sub } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import type { Time, TwoTimeDenoiser } from "../two-time.ts";
import { logitsNeeded } from "./sampled-denoiser.ts";
import type { SampledDenoiser } from "./sampled-denoiser.ts";

export interface GuidanceOptions {
  /** "points" by default. */
  readonly form?: "points" | "logits";
}

/** weak + η (strong − weak). */
const beyond = (weak: Tensor, strong: Tensor, eta: number | Tensor): Tensor =>
  add(weak, mul(sub(strong, weak), eta));

/**
 * Autoguidance (Karras et al. 2024; arXiv:2602.16813 for FLM): by a weaker model of the same flow, for example the same network with
 * dropout.
 * @param eta how far, a number or a scalar of the program
 * @throws TypeError for the logits form of denoisers without logits
 */
export function autoguided(
  strong: SampledDenoiser,
  weak: TwoTimeDenoiser,
  eta: number | Tensor,
  { form = "points" }: GuidanceOptions = {},
): SampledDenoiser {
  if (typeof eta === "number" && !Number.isFinite(eta))
    throw new RangeError(`The strength of guidance is a finite number, got ${eta}.`);
  const common = { interpolant: strong.interpolant, point: (value: Tensor) => strong.point(value) };
  if (form === "points")
    return {
      ...common,
      denoiser: (x, s, t) => beyond(weak.denoiser(x, s, t), strong.denoiser(x, s, t), eta),
      // Of points, the places of the largest entries are no tokens.
      ...(strong.tokens === undefined
        ? {}
        : { tokens: (x: Tensor, s: Time, t: Time) => strong.tokens?.(x, s, t) as Tensor }), // defined: asked above
    };
  const better = logitsNeeded("Guidance in logits", strong);
  const worse = logitsNeeded("Guidance in logits", weak);
  const logits: typeof better = (x, s, t) => beyond(worse(x, s, t), better(x, s, t), eta);
  return { ...common, logits, denoiser: (x, s, t) => softmax(logits(x, s, t)) };
}

/**
 * Classifier-free guidance (Ho and Salimans 2022): of a denoiser that knows a condition by one that does not. A scale of 1 is the
 * conditional one, as published for flows (arXiv:2604.09784); w of the original paper is scale − 1.
 * @throws TypeError for the logits form of denoisers without logits
 */
export const classifierFree = (
  conditional: SampledDenoiser,
  unconditional: TwoTimeDenoiser,
  scale: number | Tensor,
  options?: GuidanceOptions,
): SampledDenoiser => autoguided(conditional, unconditional, scale, options);
