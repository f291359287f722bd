/**
 * Clocks that are declared: τ(t) as a function of the language. The rate dτ/dt comes from differentiation, the inverse from a search,
 * and what is no clock is refused.
 *
 * Consumed by flow() and by users. cosineClock shows how one is declared.
 */
import { partsOf, requireName } from "./declared-parts.ts";
import { mul, scalarFunction, sin, square, sub } from "../../dsl/index.ts";
import type { ScalarFunction, Tensor } from "../../dsl/index.ts";
import { clockOf } from "./clock.ts";
import type { Clock } from "./clock.ts";

export interface ClockDeclaration {
  readonly name: string;
  /** τ as an elementwise function of t: rising from 0 at t = 0 to 1 at t = 1. */
  tau(t: Tensor): Tensor;
  /**
   * 1 − τ, written so that nothing cancels near t = 1. Without it, 1 − τ is the integral of the rate from t to 1 where that agrees with
   * the difference to rounding, and else the difference.
   */
  remaining?(t: Tensor): Tensor;
}

/** How far τ(0) and τ(1) may be from 0 and 1, and τ + remaining from 1: rounding, not modelling. */
const ROUNDING = 1e-12;
/** Intervals at whose ends a declaration is looked at. */
const LOOKS = 256;

/**
 * Declares a clock.
 * @throws RangeError when τ does not run from 0 to 1, does not increase, or has no finite rate; the sentence names the time
 */
export function clock(declared: ClockDeclaration): Clock {
  requireName("A clock", declared.name);
  const { name } = partsOf(`The clock "${declared.name}"`, declared, ["name", "tau", "remaining"]);
  const tau = scalarFunction((t) => declared.tau(t));
  check(name, tau);
  const rest =
    declared.remaining === undefined ? undefined : scalarFunction((t) => declared.remaining?.(t) as Tensor); // defined: asked above
  if (rest !== undefined) checkRemaining(name, tau, rest);
  const unit = (x: number): number => Math.min(1, Math.max(0, x));
  return clockOf({
    name,
    tau: (t) => unit(tau(t)),
    remaining: (t) => unit(rest?.(t) ?? difference(tau, t)),
    dTau: (t) => Math.max(0, tau.derivative(t)),
  });
}

function check(name: string, tau: ScalarFunction): void {
  for (const end of [0, 1]) {
    const found = tau(end);
    if (!(Math.abs(found - end) <= ROUNDING))
      throw new RangeError(`The clock "${name}" must show τ(${end}) = ${end}, and shows ${found} there.`);
  }
  let last = 0;
  for (let i = 0; i <= LOOKS; i++) {
    const t = i / LOOKS;
    const [found, rate] = [tau(t), tau.derivative(t)];
    if (!Number.isFinite(rate))
      throw new RangeError(
        `The clock "${name}" has the rate dτ/dt = ${rate} at t = ${t}: it must be a finite number.`,
      );
    // Near an end a clock may stand still to rounding, as the decoding error does, but never go back.
    const saturated = last >= 1 - ROUNDING || found <= ROUNDING;
    if (i > 0 && !(saturated ? found >= last - ROUNDING : found > last))
      throw new RangeError(
        `The clock "${name}" must increase: τ(${(i - 1) / LOOKS}) = ${last} and τ(${t}) = ${found}.`,
      );
    if (rate < -ROUNDING)
      throw new RangeError(
        `The clock "${name}" must increase: at t = ${t} it runs backwards, dτ/dt = ${rate}.`,
      );
    last = found;
  }
}

function checkRemaining(name: string, tau: ScalarFunction, rest: ScalarFunction): void {
  for (let i = 0; i <= LOOKS; i++) {
    const t = i / LOOKS;
    const sum = tau(t) + rest(t);
    if (!(Math.abs(sum - 1) <= ROUNDING))
      throw new RangeError(
        `The clock "${name}" declares a remaining time that is not 1 − τ: at t = ${t} the two sum to ${sum}.`,
      );
  }
}

/** Nodes and weights of Gauss-Legendre quadrature on [−1, 1], of order 10, for one half. */
const GAUSS_LEGENDRE = [
  [0.14887433898163122, 0.29552422471475287],
  [0.4333953941292472, 0.26926671930999635],
  [0.6794095682990244, 0.21908636251598204],
  [0.8650633666889845, 0.1494513491505806],
  [0.9739065285171717, 0.06667134430868814],
] as const;

/** From here on 1 − τ keeps too few digits. */
const FEW_DIGITS = 2 ** -8;

/** 1 − τ(t), by integrating the rate where subtracting would lose digits. */
function difference(tau: ScalarFunction, t: number): number {
  const plain = 1 - tau(t);
  if (plain > FEW_DIGITS) return plain;
  const half = (1 - t) / 2;
  let integral = 0;
  // Times are taken from their distance to 1, which is exact.
  for (const [node, weight] of GAUSS_LEGENDRE)
    integral +=
      half * weight * (tau.derivative(1 - half * (1 + node)) + tau.derivative(1 - half * (1 - node)));
  // A rate with a kink or a pole is not integrated well.
  return Math.abs(integral - plain) <= 4 * Number.EPSILON ? integral : plain;
}

/**
 * τ = sin²(πt/2) = (1 − cos πt)/2, the cosine schedule of Nichol and Dhariwal (2021): slow near noise and near data. Its rate is 0 at
 * both ends.
 */
export const cosineClock = (): Clock =>
  clock({
    name: "cosine",
    tau: (t) => square(sin(mul(t, Math.PI / 2))),
    // cos² as sin² of what is left: at t = 1 it is 0, and near it nothing cancels.
    remaining: (t) => square(sin(mul(sub(1, t), Math.PI / 2))),
  });
