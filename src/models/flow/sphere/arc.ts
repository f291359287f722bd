/**
 * The angle θ between two unit vectors, from the squares of their chords q = |x − y|² and p = |x + y|², and the functions of angles
 * that great circles are made of. Everything is an even function of an angle, and so a smooth one of its square: there is no 0/0 at θ
 * = 0, neither in values nor in derivatives of any order. Near θ = π digits come from p, which is small there.
 *
 * Consumed by geometry.ts and density.ts.
 */
import { add, cos, div, less, maximum, mul, sin, sqrt, square, where } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";

/** Smallest p that is divided by: a normal number also in single precision. */
const LEAST = 1e-30;

/** Terms of Σ (−z)ⁿ/(2n + 1), with z <= tan²(π/16) = 0.04: the next one is below 1e-17. */
const TERMS = 12;

/** c₀ + c₁ z + c₂ z² + ... */
const polynomial = (z: Tensor, coefficients: readonly number[]): Tensor =>
  coefficients
    .toReversed()
    .reduce<Tensor | undefined>(
      (sum, c) => (sum === undefined ? add(mul(z, 0), c) : add(mul(sum, z), c)),
      undefined,
    ) as Tensor; // there are coefficients

/** From tan²(2φ) to tan²(φ), and the factor tan φ / tan 2φ. */
function halved(squared: Tensor): { readonly squared: Tensor; readonly factor: Tensor } {
  const below: Tensor = add(sqrt(add(squared, 1)), 1);
  return { squared: div(squared, square(below) as Tensor), factor: div(1, below) };
}

export interface Arc {
  /** θ². */
  readonly squared: Tensor;
  /** θ/sin θ: 1 at θ = 0, and π/√p, about, near θ = π. */
  readonly overSine: Tensor;
}

/**
 * The arc of two chords, of any one shape.
 * @param least smallest p that is divided by; where p comes from a cosine, its rounding
 */
export function arc(q: Tensor, p: Tensor, least: number = LEAST): Arc {
  const far = sqrt(maximum(p, least) as Tensor) as Tensor;
  const whole: Tensor = add(q, p);
  // tan(θ/4) = √q/(√(q + p) + √p); tan(θ/8) and tan(θ/16) by halving the angle; then atan by its series.
  const first: Tensor = div(1, add(sqrt(whole) as Tensor, far));
  const quarter: Tensor = mul(q, square(first) as Tensor);
  const eighth = halved(quarter);
  const sixteenth = halved(eighth.squared);
  const series = polynomial(
    sixteenth.squared,
    Array.from({ length: TERMS }, (_, n) => (-1) ** n / (2 * n + 1)),
  );
  /** θ/√q. */
  const ratio: Tensor = mul(mul(first, mul(eighth.factor, sixteenth.factor) as Tensor), mul(series, 16));
  return {
    squared: mul(q, square(ratio) as Tensor),
    // sin θ = 2 √(q p)/(q + p).
    overSine: div(mul(ratio, whole), mul(far, 2)),
  };
}

/** Below this square the series are taken. */
const SMALL = 1;

function entire(squared: Tensor, series: readonly number[], direct: (angle: Tensor) => Tensor): Tensor {
  const small = less(squared, SMALL);
  // Each side is given only numbers at which it and its derivatives are finite.
  const angle = sqrt(where(small, SMALL, squared) as Tensor) as Tensor;
  return where(small, polynomial(where(small, squared, 0) as Tensor, series), direct(angle)) as Tensor;
}

/** 1/n!, with signs: coefficients of the angle's square. */
const alternating = (first: number): readonly number[] => {
  let term = 1;
  return Array.from({ length: 10 }, (_, n) => {
    if (n > 0) term /= -(2 * n + first - 1) * (2 * n + first);
    return term;
  });
};

/** cos φ of φ², for φ² >= 0 and for what rounding leaves of 0. */
export const cosineOf = (squared: Tensor): Tensor =>
  entire(squared, alternating(0), (angle) => cos(angle) as Tensor);

/** sin φ / φ of φ². */
export const sineOver = (squared: Tensor): Tensor =>
  entire(squared, alternating(1), (angle) => div(sin(angle), angle));
