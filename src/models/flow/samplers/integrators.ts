/**
 * Samplers that follow the drift b_t(x) = (α̇/α) x + (β̇ − βα̇/α) D_t(x) of the probability flow from noise to data, in steps that are
 * even on the clock.
 *
 *   exponential   exact wherever D does not change during a step: x ← Γ x + Ξ D, a convex combination for the linear interpolant
 *   Euler         order 1; for the linear interpolant the same as exponential
 *   Heun          order 2, two calls a step (Euler, then the mean of the drifts at both ends)
 *   midpoint      order 2, two calls a step (Euler to the middle time, then its drift for the whole step)
 *
 * At t = 1 no noise is left and the drift is not defined: a step that ends there is exponential in every method, which is x ← D. So the
 * state that comes out is what the denoiser said last.
 *
 * Consumed by sampling, with a denoiser of one time or of two (on its diagonal).
 */
import { interpolantJump } from "../algebra.ts";
import { evenSchedule, hostInterpolant, callOf, timeOf } from "./schedule.ts";
import type { Call, Course, HostInterpolant, HostTime, Schedule, ScheduleOptions } from "./schedule.ts";

/** The calls of a step that ends before t = 1. */
type Step = (host: HostInterpolant, from: HostTime, to: HostTime, course: Course) => readonly Call[];

const exponentialStep: Step = (host, from, to) => [
  callOf(from, interpolantJump(host.at(from.t), host.at(to.t))),
];

/** x + h b_s(x) as weights of x and of D_s(x). */
function straight(host: HostInterpolant, { t }: HostTime, h: number) {
  const { state, denoiser } = host.drift(t);
  return { state: 1 + h * state, denoiser: h * denoiser };
}

const eulerStep: Step = (host, from, to) => [callOf(from, straight(host, from, to.t - from.t))];

const heunStep: Step = (host, from, to) => {
  const h = to.t - from.t;
  const [whole, half] = [straight(host, from, h), straight(host, from, h / 2)];
  const arrived = host.drift(to.t);
  return [
    callOf(from, whole),
    callOf(to, {
      begins: false,
      state: half.state + (h / 2) * arrived.state * whole.state,
      first: half.denoiser + (h / 2) * arrived.state * whole.denoiser,
      denoiser: (h / 2) * arrived.denoiser,
    }),
  ];
};

const midpointStep: Step = (host, from, to, course) => {
  const h = to.t - from.t;
  const middle = timeOf(course, from.t + h / 2);
  const half = straight(host, from, h / 2);
  const drift = host.drift(middle.t);
  return [
    callOf(from, half),
    callOf(middle, {
      begins: false,
      state: 1 + h * drift.state * half.state,
      first: h * drift.state * half.denoiser,
      denoiser: h * drift.denoiser,
    }),
  ];
};

const integrator =
  (name: string, step: Step) =>
  (course: Course, steps: number, options?: ScheduleOptions): Schedule => {
    const host = hostInterpolant(course.interpolant);
    return evenSchedule({ name, endpoint: "expected" }, course, steps, options, (from, to) =>
      (host.at(to.t).alpha === 0 ? exponentialStep : step)(host, from, to, course),
    );
  };

/** x ← Γ x + Ξ D_s(x). @throws RangeError unless `steps` is a whole number >= 1 */
export const exponential = integrator("exponential", exponentialStep);

/** x ← x + h b_s(x). @throws RangeError unless `steps` is a whole number >= 1 */
export const euler = integrator("Euler", eulerStep);

/** x ← x + h (b_s(x) + b_t(x + h b_s(x)))/2. @throws RangeError unless `steps` is a whole number >= 1 */
export const heun = integrator("Heun", heunStep);

/** x ← x + h b_m(x + (h/2) b_s(x)) with m half-way in t. @throws RangeError unless `steps` is a whole number >= 1 */
export const midpoint = integrator("midpoint", midpointStep);
