/**
 * How fast tokens are lost in a discrete diffusion: α(t) is the probability that a token is still the clean one at time t. Here t runs
 * as in the papers on these models, t = 0 data and t = 1 noise, against the direction of flows; what the processes compute from α knows
 * no direction. α is written in the language and its rate comes from differentiation.
 *
 * Consumed by the processes, their losses and the sampler. To add a schedule, declare α with `noiseSchedule`.
 */
import { cos, div, exp, jvp, log, mul, neg, onesLike, scalarFunction, sub } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";

export interface NoiseSchedule {
  readonly name: string;
  /** The share of tokens that are kept, an elementwise function of t: falls from at least 0.99 at t = 0 (data) to t = 1 (noise), within [0, 1]. */
  alpha(t: Tensor): Tensor;
}

/** A schedule at a time. */
export interface NoiseLevel {
  /** α(t). */
  readonly alpha: Tensor;
  /** dα/dt, negative. */
  readonly rate: Tensor;
}

/** Intervals at whose ends a declaration is looked at. */
const LOOKS = 64;
/**
 * The least α(0). What is lost before t = 0 no bound here counts and no sampler writes again, so it must be next to nothing, as the
 * thousandth that the geometric schedule loses as published.
 */
const KEPT = 0.99;

/**
 * Declares a schedule.
 * @throws RangeError when α leaves [0, 1], does not fall, or is less than 0.99 at t = 0, naming the time
 */
export function noiseSchedule(declared: NoiseSchedule): NoiseSchedule {
  const alpha = scalarFunction((t) => declared.alpha(t));
  let last = Infinity;
  for (let i = 0; i <= LOOKS; i++) {
    const t = i / LOOKS;
    const found = alpha(t);
    if (!(found >= 0 && found <= 1))
      throw new RangeError(
        `The noise schedule "${declared.name}" needs α within [0, 1]: α(${t}) = ${found}.`,
      );
    if (!(found < last))
      throw new RangeError(
        `The noise schedule "${declared.name}" needs α to fall all the way: α(${(i - 1) / LOOKS}) = ${last} and α(${t}) = ${found}.`,
      );
    last = found;
  }
  const kept = alpha(0);
  if (kept < KEPT)
    throw new RangeError(
      `The noise schedule "${declared.name}" needs α(0) = 1, or at least ${KEPT}: α(0) = ${kept}, and tokens that are lost at t = 0 no bound counts.`,
    );
  return declared;
}

/**
 * α = 1 − (1 − least) t, whose total noise −log α is almost that of SEDD's log-linear one (Lou et al. 2024; Sahoo et al. 2024, MDLM).
 * @param options.least α(1), 1e-3 as published; 0 loses every token
 */
export const logLinear = ({ least = 1e-3 }: { readonly least?: number } = {}): NoiseSchedule =>
  noiseSchedule({ name: "log-linear", alpha: (t) => sub(1, mul(t, 1 - least)) });

/** α = cos(πt/2) (1 − least) + least: few tokens are lost at first (MaskGIT, Chang et al. 2022; MDLM, appendix). */
export const cosine = ({ least = 1e-3 }: { readonly least?: number } = {}): NoiseSchedule =>
  noiseSchedule({
    name: "cosine",
    alpha: (t) => sub(1, mul(sub(1, cos(mul(t, Math.PI / 2))), 1 - least)),
  });

/**
 * α = exp(−σ(t)) with σ(t) = least^(1−t) most^t, the geometric schedule of SEDD (Lou et al. 2024).
 * @throws RangeError unless 0 < least < most, and for least > 0.01, which loses more than a hundredth of the tokens at t = 0
 */
export function geometric({
  least = 1e-3,
  most = 20,
}: { readonly least?: number; readonly most?: number } = {}): NoiseSchedule {
  if (!(least > 0 && most > least))
    throw new RangeError(
      `A geometric schedule's total noise rises from least > 0 to most, got ${least} and ${most}.`,
    );
  return noiseSchedule({
    name: "geometric",
    alpha: (t) => exp(mul(exp(mul(t, Math.log(most / least))), -least)),
  });
}

/** α and dα/dt at times of any shape. */
export function levelAt(schedule: NoiseSchedule, t: Tensor): NoiseLevel {
  const { value, tangent } = jvp((at: Tensor) => schedule.alpha(at), [t], [onesLike(t)]);
  return { alpha: value, rate: tangent };
}

/** The total noise σ = −log α, which networks of discrete diffusions are told. */
export const totalNoise = ({ alpha }: Pick<NoiseLevel, "alpha">): Tensor => neg(log(alpha));

/** dσ/dt = −α̇/α, the rate at which the forward process jumps. */
export const noiseRate = ({ alpha, rate }: NoiseLevel): Tensor => neg(div(rate, alpha));
