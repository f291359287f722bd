/**
 * Clocks: the re-parameterised time τ that a flow language model is conditioned on, as a function of the interpolant's time t
 * (t = 0 noise, t = 1 data), with its exact inverse and derivative.
 *
 * Consumed by flow(), flowMap(), times.ts and the samplers. To declare a clock of your own, see clock-declared.ts. To add one here,
 * return an object with the `Clock` members, in a file clock-*.ts of its own: tau increasing with tau(0) = 0 and tau(1) = 1, time its
 * exact inverse; `test/models/flow/clock.test.ts` lists the properties every clock must pass.
 */
import { partsOf } from "./declared-parts.ts";
import { solveIncreasing, TO_ROUNDING } from "./numerics.ts";

/** An increasing map between the interpolant's time t and the clock time τ, both in [0, 1]. */
export interface Clock {
  readonly name: string;
  /** τ(t). Throws RangeError unless 0 <= t <= 1. */
  tau(t: number): number;
  /** 1 − τ(t), accurate also where τ(t) rounds to 1. Throws RangeError unless 0 <= t <= 1. */
  remaining(t: number): number;
  /** The time t at which the clock shows τ: the exact inverse. Throws RangeError unless 0 <= τ <= 1. */
  time(tau: number): number;
  /** dτ/dt at t, not negative, and positive but for the ends. Throws RangeError unless 0 <= t <= 1. */
  dTau(t: number): number;
}

/** A convex combination of another clock and uniform time. */
export interface MixtureClock extends Clock {
  readonly base: Clock;
  readonly weight: number;
}

/** What a clock is made of by `clockOf`: functions on [0, 1], which are called with numbers in [0, 1] only. */
export interface ClockParts {
  readonly name: string;
  tau(t: number): number;
  remaining(t: number): number;
  dTau(t: number): number;
  /** The inverse, where it is known otherwise than by searching, for 0 < τ < 1. */
  time?(tau: number): number;
  /** Where a search for the inverse begins, for 0 < τ < 1; at τ itself by default. */
  guess?(tau: number): number;
}

function requireUnit(name: string, value: number): void {
  if (!(value >= 0 && value <= 1)) {
    throw new RangeError(`${name} must lie in [0, 1] (0 is noise, 1 is data), got ${value}.`);
  }
}

/** A clock from its parts: with the checks of its arguments, and an exact inverse where the parts have none. */
export function clockOf(parts: ClockParts): Clock {
  const at = (t: number, f: () => number): number => {
    requireUnit("t", t);
    return f();
  };
  const isEnd = (x: number): boolean => x === 0 || x === 1;
  const search = (tau: number): number =>
    solveIncreasing(
      // Whichever of τ and 1 − τ is small carries the information.
      (t) => ({
        residual: tau < 0.5 ? parts.tau(t) - tau : 1 - tau - parts.remaining(t),
        slope: parts.dTau(t),
      }),
      [0, 1],
      parts.guess?.(tau) ?? tau,
      TO_ROUNDING,
    );
  return {
    name: parts.name,
    tau: (t) => at(t, () => (isEnd(t) ? t : parts.tau(t))),
    remaining: (t) => at(t, () => (isEnd(t) ? 1 - t : parts.remaining(t))),
    dTau: (t) => at(t, () => parts.dTau(t)),
    time: (tau) => {
      requireUnit("tau", tau);
      if (isEnd(tau)) return tau;
      return parts.time === undefined ? search(tau) : parts.time(tau);
    },
  };
}

/** Uniform time: τ = t. */
export const uniformClock = (): Clock =>
  clockOf({
    name: "uniform",
    tau: (t) => t,
    remaining: (t) => 1 - t,
    dTau: () => 1,
    time: (tau) => tau,
  });

/**
 * `weight * base + (1 - weight) * t`. Discrete Flow Maps (arXiv:2604.09784, appendix B) use `mixtureClock({
 * base: decodingError({ vocab }), weight: 0.9 })`: the linear part keeps the clock's rate away from zero at
 * both ends.
 *
 * @param options.base the clock that is mixed with uniform time
 * @param options.weight share of the base, in [0, 1]
 * @throws RangeError if the weight lies outside [0, 1]
 */
export function mixtureClock(options: { readonly base: Clock; readonly weight: number }): MixtureClock {
  const { base, weight } = partsOf("A mixture clock", options, ["base", "weight"]);
  if (!(weight >= 0 && weight <= 1)) {
    throw new RangeError(`A mixture clock's weight is its base's share and lies in [0, 1], got ${weight}.`);
  }
  const mixture = clockOf({
    name: `mixture of ${base.name} and uniform`,
    tau: (t) => weight * base.tau(t) + (1 - weight) * t,
    remaining: (t) => weight * base.remaining(t) + (1 - weight) * (1 - t),
    dTau: (t) => weight * base.dTau(t) + (1 - weight),
    // Only a starting point: the bracket keeps the search safe wherever the linear part dominates.
    guess: (tau) => base.time(tau),
  });
  return { ...mixture, base, weight };
}
