// Double-precision special functions and a root finder for the host-side science: the error function and the
// normal distribution with full relative accuracy also in the far tails, and Newton's method inside a
// bracket.
//
// Consumed by clock.ts and the tests. Pure numbers, no tensors. To add a function, state its accuracy in its
// docstring and check it against a high-precision table in test/models/flow/numerics.test.ts.

const SQRT_2 = Math.SQRT2;
const SQRT_PI = Math.sqrt(Math.PI);
const INV_SQRT_2PI = 1 / Math.sqrt(2 * Math.PI);

// Chebyshev coefficients of (1 + 2x) exp(x^2) erfc(x) for x >= 0 in the variable u = (x - 3) / (x + 3), the
// form proposed by Shepherd and Laframboise (Math. Comp. 36, 1981). Computed for this file from 90 Chebyshev
// nodes with 50 digits of precision; the first dropped coefficient is 6e-19.
const SCALED_ERFC = Float64Array.of(
  2.35512514839312,
  0.005353904539615676,
  -0.09377550342284209,
  0.05436652555744322,
  -0.018976596707845208,
  0.004453426061462712,
  -0.0006335531710553147,
  1.7661719523171593e-5,
  1.2841532864056671e-5,
  -2.0072285659059913e-6,
  -1.807522790414837e-7,
  7.549828343825093e-8,
  1.885668523838603e-9,
  -2.699519049798364e-9,
  -1.460079119939105e-11,
  1.0361607445969489e-10,
  1.475715976623473e-12,
  -4.277340064396911e-12,
  -2.07922492859799e-13,
  1.8134502003176963e-13,
  1.973425574544739e-14,
  -7.287943737592673e-15,
  -1.5169878690228116e-15,
  2.3514112258781403e-16,
  1.0006111691821667e-16,
  -2.0572528169538546e-18,
  -5.608608218863183e-18,
);

/**
 * The scaled complementary error function `exp(x^2) erfc(x)` for x >= 0, to a few units in the last place.
 * Decays like 1 / (x sqrt(pi)), so it never underflows where erfc does.
 */
export function erfcx(x: number): number {
  if (!(x >= 0)) throw new RangeError(`erfcx is defined here for x >= 0, got ${x}; use erfc for negative x.`);
  if (x > 1e8) return 1 / (x * SQRT_PI);
  const u = (x - 3) / (x + 3);
  let next = 0;
  let afterNext = 0;
  for (let i = SCALED_ERFC.length - 1; i > 0; i--) {
    const current = 2 * u * next - afterNext + (SCALED_ERFC[i] ?? 0);
    afterNext = next;
    next = current;
  }
  return (u * next - afterNext + 0.5 * (SCALED_ERFC[0] ?? 0)) / (1 + 2 * x);
}

// exp(-scale * x^2) for scale 1 or 1/2. Squaring x first would lose x^2 * eps of relative accuracy, so x is
// split into a multiple of 1/16, whose square is exact, and a small rest.
function gaussian(x: number, scale: number): number {
  if (Math.abs(x) > 64) return 0;
  const coarse = Math.round(x * 16) / 16;
  return Math.exp(-scale * coarse * coarse) * Math.exp(-scale * (x - coarse) * (x + coarse));
}

/** The error function, to a few units in the last place for every x. */
export function erf(x: number): number {
  if (Math.abs(x) >= 1) return x > 0 ? 1 - erfc(x) : erfc(-x) - 1;
  // exp(-x^2) times a series of one sign: no cancellation, and relative accuracy down to the smallest x.
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / SQRT_PI) * gaussian(x, 1) * sum;
}

/** The complementary error function `1 - erf(x)`, with full relative accuracy until it underflows near 27. */
export function erfc(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (x < 0) return 2 - erfc(-x);
  return gaussian(x, 1) * erfcx(x);
}

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
    const step = residual / slope;
    if (Math.abs(step) <= tolerance * Math.abs(x))
      return Math.min(bracket[1], Math.max(bracket[0], x - step));
    const proposal = x - step;
    const next = proposal > low && proposal < high ? proposal : low + 0.5 * (high - low);
    if (next === x || next === low || next === high) return next;
    x = next;
  }
  return x;
}
