/**
 * The error function, its complement and the scaled complement in double precision: a few units in the last place for
 * every argument, also in the far tails, where 1 − erf would have lost every digit.
 *
 * Consumed by the scalar entry of the `erf` op and by host-side mathematics. Pure numbers, no tensors. To add a function,
 * state its accuracy and check it against a high-precision table in test/dsl/numerics/erf.test.ts.
 */

const SQRT_PI = Math.sqrt(Math.PI);

/**
 * Chebyshev coefficients of (1 + 2x)·exp(x²)·erfc(x) for x >= 0 in the variable u = (x − 3)/(x + 3): the form proposed by
 * Shepherd and Laframboise (Math. Comp. 36, 1981), computed here with 50 digits; the first dropped one is 6e-19.
 */
const SCALED_ERFC = Float64Array.of(
  2.35512514839312,
  0.005353904539615676,
  -0.09377550342284209,
  0.05436652555744322,
  -0.018976596707845208,
  0.004453426061462712,
  -0.0006335531710553147,
  0.000017661719523171593,
  0.000012841532864056671,
  -0.0000020072285659059913,
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
 * The scaled complement exp(x²)·erfc(x) for x >= 0. Decays like 1/(x·√π), so it does not underflow where erfc does.
 * @throws RangeError for negative or NaN arguments.
 */
export function erfcx(x: number): number {
  if (!(x >= 0)) throw new RangeError(`erfcx is defined here for x >= 0, got ${x}; use erfc for negative x.`);
  if (x > 1e8) return 1 / (x * SQRT_PI);
  // Clenshaw's recurrence for a Chebyshev series.
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

/**
 * exp(−scale·x²), without losing x²·eps of relative accuracy as squaring x first would: x is split into a multiple of
 * 1/16, whose square is exact, and a small rest. `scale` is a power of two.
 */
export function gaussian(x: number, scale: number): number {
  if (Math.abs(x) > 64 / Math.sqrt(scale)) return 0;
  const coarse = Math.round(x * 16) / 16;
  return Math.exp(-scale * coarse * coarse) * Math.exp(-scale * (x - coarse) * (x + coarse));
}

/** The error function 2/√π ∫₀ˣ exp(−u²) du. Odd, exact at ±0 and ±∞; NaN for NaN. */
export function erf(x: number): number {
  if (x === 0 || Number.isNaN(x)) return x;
  if (Math.abs(x) >= 1) return x > 0 ? 1 - erfc(x) : erfc(-x) - 1;
  // exp(−x²) times a series of one sign: no cancellation, and relative accuracy down to the smallest x.
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / SQRT_PI) * gaussian(x, 1) * sum;
}

/** The complementary error function 1 − erf(x), with full relative accuracy until it underflows (x = 27.2). */
export function erfc(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (x < 0) return 2 - erfc(-x);
  return gaussian(x, 1) * erfcx(x);
}
