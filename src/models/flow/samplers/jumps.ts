/**
 * Samplers of flow maps: jumps by the two-time denoiser, and jumps with fresh noise in between.
 *
 * Consumed by sampling. With a denoiser of one time, held over the jump (sampled-denoiser.ts), jumps are the exponential integrator.
 */
import { interpolantJump } from "../algebra.ts";
import { callOf, evenSchedule, hostInterpolant, requireGaussian, timeOf } from "./schedule.ts";
import type { Course, HostTime, Schedule, ScheduleOptions } from "./schedule.ts";

/** x ← X_{s,t}(x). With an exact map the number of steps makes no difference. @throws RangeError unless `steps` is a whole number >= 1 */
export const jumps = (course: Course, steps: number, options?: ScheduleOptions): Schedule => ({
  ...gammaResampling(course, steps, { ...options, gamma: 0 }),
  name: "jumps",
});

/** Options of γ-resampling. */
export interface GammaOptions extends ScheduleOptions {
  /** Share of noise that is renewed in every step: 0 for jumps alone, 1 for a fresh start from the endpoint in every step. */
  readonly gamma: number;
  /** How a state comes back from the later time: see `gammaResampling`. "endpoint" by default, as published. */
  readonly back?: "endpoint" | "state";
}

/**
 * γ-resampling of FMLM (arXiv:2602.16813), for any interpolant. A step from s to t jumps on to a later time t̃ with less noise, and goes
 * back to t with fresh noise:
 *
 *   back by the endpoint: α(t̃) = α(t) √(1 − γ²),            x ← X_{s,t̃}(x) + (β(t) − β(t̃)) ψ_{s,t̃}(x) + γ α(t) ε
 *   back by the state:    α(t̃)/β(t̃) = α(t) √(1 − γ²)/β(t),  x ← (β(t)/β(t̃)) X_{s,t̃}(x) + γ α(t) ε
 *
 * Either way, of a state whose ψ is its own clean point, the signal is then β(t) and the variance of the noise α(t)² exactly. The second
 * does not rely on ψ for that: it takes the law of I_{t̃} to the law of I_t, so with an exact map every state has its exact law. For γ = 0
 * and γ = 1 the two are one.
 *
 * @throws RangeError unless `steps` is a whole number >= 1, γ lies in [0, 1], and the source is Gaussian or γ is 0 or 1
 */
export function gammaResampling(
  course: Course,
  steps: number,
  { gamma, back = "endpoint", ...options }: GammaOptions,
): Schedule {
  if (!(gamma >= 0 && gamma <= 1))
    throw new RangeError(`The sampler's gamma is a share of renewed noise in [0, 1], got ${gamma}.`);
  // Nothing is mixed where all noise is old, or all is fresh.
  if (gamma > 0 && gamma < 1) requireGaussian(course, `Resampling with gamma = ${gamma}`);
  const host = hostInterpolant(course.interpolant);
  const kept = Math.sqrt((1 - gamma) * (1 + gamma));
  /** Where the jump of a step that ends at a time goes. */
  const beyond = (to: HostTime): HostTime => {
    if (gamma === 0) return to;
    const { alpha, beta } = host.at(to.t);
    const t =
      back === "endpoint"
        ? host.whereNoiseIs(to.t, alpha * kept)
        : host.whereNoiseIs(to.t, 0, (alpha * kept) / beta);
    return t === to.t ? to : timeOf(course, t);
  };
  const name = `γ-resampling with γ = ${gamma}`;
  return evenSchedule({ name, endpoint: "expected" }, course, steps, options, (time, to) => {
    const target = beyond(to);
    const [end, reached] = [host.at(to.t), host.at(target.t)];
    const { state, denoiser } = interpolantJump(host.at(time.t), reached);
    const noise = gamma * end.alpha;
    if (back === "endpoint")
      return [callOf(time, { target, state, denoiser: denoiser + (end.beta - reached.beta), noise })];
    const scale = end.beta / reached.beta;
    return [callOf(time, { target, state: scale * state, denoiser: scale * denoiser, noise })];
  });
}
