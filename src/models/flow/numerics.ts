// Double-precision functions of the normal distribution, with full relative accuracy also in the far tails, and a root
// finder: Newton's method inside a bracket.
//
// Consumed by the clocks and the tests. Pure numbers, no tensors. To add a function, state its accuracy in its
// docstring and check it against a high-precision table in test/models/flow/numerics.test.ts.

import { erfcx, gaussian } from "../../dsl/numerics/erf.ts";

const SQRT_2 = Math.SQRT2;
const INV_SQRT_2PI = 1 / Math.sqrt(2 * Math.PI);

/** The standard normal density. */
export function normalPdf(z: number): number {
  return INV_SQRT_2PI * gaussian(z, 0.5);
}

/** `P(Z <= z)` for a standard normal Z, with full relative accuracy in the lower tail until it underflows. */
export function normalCdf(z: number): number {
  if (z > 0) return 1 - normalCdf(-z);
  return 0.5 * gaussian(z, 0.5) * erfcx(-z / SQRT_2);
}

/** `log P(Z <= z)` for a standard normal Z; accurate in both tails, and finite wherever z^2 is. */
export function logNormalCdf(z: number): number {
  if (z > 0) return Math.log1p(-normalCdf(-z));
  if (z > -1) return Math.log(normalCdf(z));
  return Math.log(0.5 * erfcx(-z / SQRT_2)) - 0.5 * z * z;
}

/** What {@link solveIncreasing} needs to know of an increasing function at a point. */
export interface Evaluation {
  /** `f(x) - target`, computed without cancellation where that matters. */
  readonly residual: number;
  /** The derivative of the residual; used for speed only, the bracket keeps the iteration safe. */
  readonly slope: number;
}

/** A tolerance of {@link solveIncreasing}: steps until they are rounding. */
export const TO_ROUNDING = 2 ** -52;

/**
 * The root of an increasing residual inside a bracket: Newton's method, replaced by bisection whenever a step
 * would leave the bracket or the derivative is useless.
 *
 * Converges to a relative step of `tolerance`; since Newton squares its error, the answer is then good to
 * rounding.
 *
 * @param evaluate residual and slope at a point
 * @param bracket `[low, high]` with a residual <= 0 at low and >= 0 at high (not checked)
 * @param guess where to start; clamped to the bracket
 * @param tolerance `TO_ROUNDING` where the function bends on a scale much smaller than |x|, as near x = 1
 */
export function solveIncreasing(
  evaluate: (x: number) => Evaluation,
  bracket: readonly [number, number],
  guess: number,
  tolerance = 1e-9,
): number {
  let [low, high] = bracket;
  let x = Math.min(high, Math.max(low, guess));
  // Bisection alone needs fewer than 1,100 halvings to separate any two doubles; Newton normally needs four
  // steps.
  for (let i = 0; i < 1100; i++) {
    const { residual, slope } = evaluate(x);
    if (residual === 0) return x;
    if (residual < 0) low = x;
    else high = x;
    // An infinite slope says nothing of how far the root is.
    const step = Number.isFinite(slope) ? residual / slope : Infinity;
    if (Math.abs(step) <= tolerance * Math.abs(x))
      return Math.min(bracket[1], Math.max(bracket[0], x - step));
    const proposal = x - step;
    const next = proposal > low && proposal < high ? proposal : low + 0.5 * (high - low);
    if (next === x || next === low || next === high) return next;
    x = next;
  }
  return x;
}
