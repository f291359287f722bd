// Clocks: the re-parameterised time tau that a flow language model is conditioned on, as a function of the
// interpolant's time t (t = 0 noise, t = 1 data), with its exact inverse and derivative.
//
// Consumed by flow(), flowMap(), times.ts and the samplers. To add a clock, return an object with the `Clock`
// members: tau increasing with tau(0) = 0 and tau(1) = 1, time its exact inverse;
// `test/models/flow/clock.test.ts` lists the properties every clock must pass.

import { decodingErrorFunction } from "./decoding-error.ts";
import { solveIncreasing } from "./numerics.ts";

/** An increasing map between the interpolant's time t and the clock time tau, both in [0, 1]. */
export interface Clock {
  readonly kind: "decoding error" | "uniform" | "mixture";
  /** tau(t). Throws RangeError unless 0 <= t <= 1. */
  tau(t: number): number;
  /** 1 - tau(t), accurate also where tau(t) rounds to 1. Throws RangeError unless 0 <= t <= 1. */
  remaining(t: number): number;
  /** The time t at which the clock shows tau: the exact inverse. Throws RangeError unless 0 <= tau <= 1. */
  time(tau: number): number;
  /** dtau/dt at t. Throws RangeError unless 0 <= t <= 1. */
  dTau(t: number): number;
}

/** The decoding-error clock; it depends on the vocabulary size only. */
export interface DecodingErrorClock extends Clock {
  readonly kind: "decoding error";
  readonly vocab: number;
}

/** A convex combination of another clock and uniform time. */
export interface MixtureClock extends Clock {
  readonly kind: "mixture";
  readonly base: Clock;
  readonly weight: number;
}

const LARGEST_VOCAB = 1_000_000;

function requireUnit(name: string, value: number): void {
  if (!(value >= 0 && value <= 1)) {
    throw new RangeError(`${name} must lie in [0, 1] (0 is noise, 1 is data), got ${value}.`);
  }
}

/** Uniform time: tau = t. */
export function uniformClock(): Clock {
  const identity = (name: string, x: number): number => {
    requireUnit(name, x);
    return x;
  };
  return {
    kind: "uniform",
    tau: (t) => identity("t", t),
    remaining: (t) => 1 - identity("t", t),
    time: (tau) => identity("tau", tau),
    dTau: (t) => {
      requireUnit("t", t);
      return 1;
    },
  };
}

/**
 * The decoding-error clock of FLM (arXiv:2602.16813): tau(t) = 1 - V/(V-1) P_e(t), where P_e is the
 * probability that the arg-max of `(1 - t) noise + t onehot` is not the token. tau advances at the rate at
 * which tokens become decodable, so that uniform tau spends training and sampling where the decisions are
 * made.
 *
 * Exact to about 1e-14 in tau, relative where tau or 1 - tau is small; the inverse is exact, not a table.
 * Equals the diffusion transformation operator of Duo at the same signal-to-noise ratio t / (1 - t).
 *
 * @param options.vocab vocabulary size V, a whole number from 2 to 1,000,000
 * @throws RangeError for any other vocabulary size
 */
export function decodingError({ vocab }: { readonly vocab: number }): DecodingErrorClock {
  if (!Number.isInteger(vocab) || vocab < 2 || vocab > LARGEST_VOCAB) {
    throw new RangeError(
      `The decoding-error clock needs a vocabulary of 2 to ${LARGEST_VOCAB} tokens, whole, got ${vocab}.`,
    );
  }
  const error = decodingErrorFunction(vocab);
  // t = 1 gives an infinite ratio, for which the function has its limits.
  const at = (t: number) => {
    requireUnit("t", t);
    return error.at(t / (1 - t));
  };
  return {
    kind: "decoding error",
    vocab,
    tau: (t) => at(t).tau,
    remaining: (t) => at(t).rest,
    time: (tau) => {
      requireUnit("tau", tau);
      if (tau === 0 || tau === 1) return tau;
      const rest = 1 - tau;
      const { low, high, guess } = error.bracket(tau, rest);
      const ratio = solveIncreasing(
        (m) => {
          const here = error.at(m);
          return { residual: tau < 0.5 ? here.tau - tau : rest - here.rest, slope: here.slope };
        },
        [low, high],
        guess,
      );
      return ratio / (1 + ratio);
    },
    dTau: (t) => {
      const { slope } = at(t);
      // d(t / (1 - t))/dt = (1 - t)^-2; the Gaussian slope vanishes faster than this grows.
      return slope === 0 ? 0 : slope / (1 - t) ** 2;
    },
  };
}

/**
 * `weight * base + (1 - weight) * t`. Discrete Flow Maps (arXiv:2604.09784, appendix B) use `mixtureClock({
 * base: decodingError({ vocab }), weight: 0.9 })`: the linear part keeps the clock's rate away from zero at
 * both ends.
 *
 * @param options.base the clock that is mixed with uniform time
 * @param options.weight share of the base, in [0, 1]
 * @throws RangeError if the weight lies outside [0, 1]
 */
export function mixtureClock({
  base,
  weight,
}: {
  readonly base: Clock;
  readonly weight: number;
}): MixtureClock {
  if (!(weight >= 0 && weight <= 1)) {
    throw new RangeError(`A mixture clock's weight is its base's share and lies in [0, 1], got ${weight}.`);
  }
  const tau = (t: number): number => weight * base.tau(t) + (1 - weight) * t;
  const remaining = (t: number): number => weight * base.remaining(t) + (1 - weight) * (1 - t);
  const dTau = (t: number): number => weight * base.dTau(t) + (1 - weight);
  return {
    kind: "mixture",
    base,
    weight,
    tau,
    remaining,
    dTau,
    time: (target) => {
      requireUnit("tau", target);
      if (target === 0 || target === 1) return target;
      return solveIncreasing(
        (t) => ({ residual: target < 0.5 ? tau(t) - target : 1 - target - remaining(t), slope: dTau(t) }),
        [0, 1],
        // Only a starting point: the bracket keeps the search safe wherever the linear part dominates.
        base.time(target),
      );
    },
  };
}
