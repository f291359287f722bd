/**
 * Posterior-sampled endpoints: every step draws the tokens of a clean text y from the denoiser and moves to the law that I_t has, given
 * the state I_s = x and that endpoint, when the noise is not one draw for all times but an Ornstein–Uhlenbeck process. (Drawn endpoints
 * with such a bridge improve samples of FLM, as arXiv:2605.13681 reports.)
 *
 * I_t = α_t ε_t + β_t x₁, where ε is a stationary Gaussian process, ε_t = ρ ε_s + √(1 − ρ²) ξ with fresh ξ, and ρ = (m_s/m_t)^κ for
 * the signal to noise m = β/α: an Ornstein–Uhlenbeck process of rate κ in the time log m. Given x and y, ε_s is (x − β_s y)/α_s, so
 *
 *   x ← β_t y + α_t (ρ (x − β_s y)/α_s + √(1 − ρ²) ξ)
 *
 * For any κ: where (x, y) has the law of (I_s, x₁), the ε_s above is source noise independent of y, so the new state has the law of I_t
 * exactly. κ = 1 is the process whose noise is added step by step (ancestral sampling); κ = 0 keeps the noise and draws only y; large κ
 * takes fresh noise in every step. A denoiser gives one distribution per token, so y is drawn token by token: exact for one token, and
 * for longer texts as the steps become small.
 *
 * Consumed by sampling. The tokens of the last step are drawn, too: for the most probable ones, cool the denoiser (posterior.ts).
 */
import { callOf, evenSchedule, hostInterpolant, requireGaussian } from "./schedule.ts";
import type { Course, Schedule, ScheduleOptions } from "./schedule.ts";

export interface BridgeOptions extends ScheduleOptions {
  /** κ, the rate at which noise is forgotten; 1 by default. */
  readonly rate?: number;
}

/** @throws RangeError unless `steps` is a whole number >= 1, the rate is not negative, and the source is Gaussian or the rate is 0 */
export function bridge(
  course: Course,
  steps: number,
  { rate = 1, ...options }: BridgeOptions = {},
): Schedule {
  if (!(rate >= 0))
    throw new RangeError(`A bridge forgets its noise at a rate that is not negative, got ${rate}.`);
  if (rate > 0) requireGaussian(course, "A bridge");
  const host = hostInterpolant(course.interpolant);
  const name = rate === 1 ? "bridge" : `bridge of rate ${rate}`;
  return evenSchedule({ name, endpoint: "drawn" }, course, steps, options, (time, to) => {
    const [from, end] = [host.at(time.t), host.at(to.t)];
    // m is 0 at the source and infinite at the data, where the noise has weight 0 anyway.
    const kept = rate === 0 ? 1 : ((from.beta * end.alpha) / (from.alpha * end.beta)) ** rate;
    const state = (end.alpha * kept) / from.alpha;
    const noise = end.alpha * Math.sqrt((1 - kept) * (1 + kept));
    return [callOf(time, { state, denoiser: end.beta - state * from.beta, noise })];
  });
}
