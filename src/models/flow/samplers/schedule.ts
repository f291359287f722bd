/**
 * Schedules: what a sampler does, as numbers. A step is one or several calls of the denoiser, and after each the state is a linear
 * combination:
 *
 *   x ← state · z + first · p₁ + denoiser · p + noise · ε
 *
 * z is the state that the step began with, p what the denoiser says now, p₁ what it said first in this step, ε fresh noise. What
 * differs between samplers is these numbers, so one program serves them all (sample.ts), and one compiled step any number of steps.
 *
 * The numbers are of the host, in double precision: the interpolant is evaluated there by `scalarFunction`.
 *
 * Consumed by integrators.ts, jumps.ts, bridge.ts and sample.ts. To add a linear sampler, return its calls.
 */
import { scalarFunction } from "../../../dsl/index.ts";
import type { Clock } from "../clock.ts";
import type { Interpolant } from "../interpolant.ts";
import { solveIncreasing } from "../numerics.ts";
import { gaussian } from "../source.ts";
import type { Source } from "../source.ts";

/** What a schedule needs of a flow; a declared flow is one. */
export interface Course {
  readonly interpolant: Interpolant;
  readonly clock: Clock;
  /** N(0, I) by default. */
  readonly source?: Source;
}

/** A time, for the host: of the interpolant, on the clock, and the clock's rate there. */
export interface HostTime {
  readonly t: number;
  readonly tau: number;
  readonly rate: number;
}

/** One call of the denoiser, and what becomes of the state then. */
export interface Call {
  /** Time of the state that is denoised. */
  readonly time: HostTime;
  /** Time that a two-time denoiser is asked to jump to: `time` itself for what follows the drift. */
  readonly target: HostTime;
  /** Whether a step begins here: then the state is z, and what the denoiser says is p₁ as well as p. */
  readonly begins: boolean;
  readonly state: number;
  /** 0 where a step begins. */
  readonly first: number;
  readonly denoiser: number;
  readonly noise: number;
}

export interface Schedule {
  readonly name: string;
  readonly calls: readonly Call[];
  /** Time of the state that comes out. */
  readonly end: HostTime;
  /** What p is: the expected endpoint of a state, or one that is drawn from the denoiser token by token. */
  readonly endpoint: "expected" | "drawn";
}

/** Where a schedule begins and ends. */
export interface ScheduleOptions {
  /**
   * Clock time from 0, noise, the default. A network that predicts noise or a score says nothing of the text at t = 0, where its clean point
   * is not finite: for it, begin a little later, with the first noise for a state of that time.
   */
  readonly start?: number;
  /** Clock time in (0, 1]; 1, data, by default. */
  readonly end?: number;
}

/** @throws RangeError unless it is a whole number >= 1 */
function checkSteps(steps: number): void {
  if (!Number.isSafeInteger(steps) || steps < 1)
    throw new RangeError(`A sampler takes a whole number of steps >= 1, got ${steps}.`);
}

/** A time of the interpolant, on the clock. */
export const timeOf = ({ clock }: Course, t: number): HostTime => ({
  t,
  tau: clock.tau(t),
  rate: clock.dTau(t),
});

/**
 * The ends of `steps` steps that are even on the clock, from `start` to `end`.
 * @throws RangeError unless `steps` is a whole number >= 1 and 0 <= start < end <= 1
 */
export function evenTimes(
  { clock }: Pick<Course, "clock">,
  steps: number,
  { start = 0, end = 1 }: ScheduleOptions = {},
): readonly HostTime[] {
  checkSteps(steps);
  if (!(end > 0 && end <= 1))
    throw new RangeError(`A schedule ends at a clock time in (0, 1], where 1 is data, got ${end}.`);
  if (!(start >= 0 && start < end))
    throw new RangeError(
      `A schedule begins at a clock time from 0, noise, to before its end ${end}, got ${start}.`,
    );
  return Array.from({ length: steps + 1 }, (_, i) => {
    const tau = i === steps ? end : start + (end - start) * (i / steps);
    const t = clock.time(tau);
    return { t, tau, rate: clock.dTau(t) };
  });
}

/** @throws RangeError for a call whose weights are not finite, as where the rates of the interpolant are infinite */
function finite(name: string, { interpolant }: Course, calls: readonly Call[]): readonly Call[] {
  for (const { time, state, first, denoiser, noise } of calls) {
    if ([state, first, denoiser, noise].every(Number.isFinite)) continue;
    throw new RangeError(
      `A step of the ${name} schedule needs the rates of the interpolant "${interpolant.name}" near t = ${time.t}, where they are not finite: ` +
        `take exponential steps, which need none, or let it start a little later.`,
    );
  }
  return calls;
}

/** A schedule of even steps, from the calls of each. @throws RangeError as `evenTimes` does, and for weights that are not finite */
export function evenSchedule(
  { name, endpoint }: Pick<Schedule, "name" | "endpoint">,
  course: Course,
  steps: number,
  options: ScheduleOptions | undefined,
  step: (from: HostTime, to: HostTime) => readonly Call[],
): Schedule {
  if (endpoint === "expected") requireNoise(course, `The schedule "${name}"`);
  const times = evenTimes(course, steps, options);
  const at = (i: number): HostTime => times[i] as HostTime; // there are steps + 1
  return {
    name,
    endpoint,
    end: at(steps),
    calls: finite(name, course, Array.from({ length: steps }, (_, i) => step(at(i), at(i + 1))).flat()),
  };
}

/** A call with these weights, and without a jump, that begins a step, unless they say otherwise. */
export const callOf = (time: HostTime, weights: Partial<Call>): Call => ({
  time,
  target: time,
  begins: true,
  state: 0,
  first: 0,
  denoiser: 0,
  noise: 0,
  ...weights,
});

/** α and β at a time. */
export interface Coefficients {
  readonly alpha: number;
  readonly beta: number;
}

/** An interpolant on plain numbers. */
export interface HostInterpolant {
  at(t: number): Coefficients;
  /** The drift b_t(x) = state · x + denoiser · D_t(x), for t < 1. */
  drift(t: number): { readonly state: number; readonly denoiser: number };
  /** The time at or after `from` at which α = level + perSignal · β, which α falls below from then on; `from` itself if it is below. */
  whereNoiseIs(from: number, level: number, perSignal?: number): number;
}

/** What is left of the noise at t = 1 is rounding, as of cos(π/2); a drift that divided by it would not be. */
const ROUNDING = 1e-9;
const rounded = (x: number): number => (Math.abs(x) <= ROUNDING ? 0 : x);

/** @throws RangeError for an interpolant with times per token */
export function hostInterpolant({ name, alpha, beta, length }: Interpolant): HostInterpolant {
  if (length !== undefined)
    throw new RangeError(
      `The interpolant "${name}" gives every token a time of its own, and a schedule has one number for a whole state: ` +
        `sampleAdaptively follows each token.`,
    );
  const [noise, data] = [scalarFunction((t) => alpha(t)), scalarFunction((t) => beta(t))];
  return {
    at: (t) => ({ alpha: t === 1 ? rounded(noise(t)) : noise(t), beta: data(t) }),
    drift(t) {
      const state = noise.derivative(t) / noise(t);
      return { state, denoiser: data.derivative(t) - data(t) * state };
    },
    whereNoiseIs(from, level, perSignal = 0) {
      if (level === 0 && perSignal === 0) return 1;
      const residual = (t: number): number => level + perSignal * data(t) - noise(t);
      if (residual(from) >= 0) return from;
      return solveIncreasing(
        (t) => ({
          residual: residual(t),
          slope: perSignal * data.derivative(t) - noise.derivative(t),
        }),
        [from, 1],
        // Not an end, where the slope may be infinite.
        from + (1 - from) / 2,
      );
    },
  };
}

/**
 * What a sampler that mixes old noise with fresh needs of the source: that the mixture is again such noise.
 * @throws RangeError when it is not
 */
export function requireGaussian({ source = gaussian() }: Course, what: string): void {
  if (source.scale === undefined || source.mean !== 0)
    throw new RangeError(
      `${what} mixes the noise of a state with fresh noise, and only of Gaussian noise around 0 is the mixture such noise again: ` +
        `this flow's source is ${source.name}.`,
    );
}

/**
 * What a sampler that follows expected endpoints needs of the source: more than one state to begin with.
 * @throws RangeError for a point mass
 */
export function requireNoise({ source = gaussian() }: Course, what: string): void {
  if (source.support === "point")
    throw new RangeError(
      `${what} follows the drift from where a text begins, and this flow begins at a point mass, from which one path leads to one text: ` +
        `sampleEndpoints draws tokens on the way.`,
    );
}
