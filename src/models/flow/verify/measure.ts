/**
 * Residuals of cases: how far two tensors are apart, one number a row. Consumed by the families of identities.
 */
import { abs, add, div, max, sub } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";

const axesOf = (x: Tensor): readonly number[] => x.shape.slice(1).map((_, i) => i + 1);

/** Largest entry of each row, [cases]. */
export const largest = (x: Tensor): Tensor => (x.shape.length === 1 ? x : (max(x, axesOf(x)) as Tensor));

/** @throws TypeError when shapes differ */
export function sameShape(found: Tensor, expected: Tensor, what = "The two sides"): void {
  if (found.shape.join() !== expected.shape.join())
    throw new TypeError(
      `${what} are of different shapes, [${found.shape.join(", ")}] and [${expected.shape.join(", ")}].`,
    );
}

/**
 * Largest |found − expected| of each row, as a share of 1 + the largest |expected|: [cases].
 * @throws TypeError when shapes differ
 */
export function gap(found: Tensor, expected: Tensor, what?: string): Tensor {
  sameShape(found, expected, what);
  const size: Tensor = add(largest(abs(expected)), 1);
  return div(largest(abs(sub(found, expected))), size);
}

/** The larger of residuals, [cases]. */
export const worst = (...residuals: readonly Tensor[]): Tensor =>
  residuals.reduce((most, residual) => {
    const difference: Tensor = sub(residual, most);
    // (a + b + |a − b|)/2 passes NaN on, which a comparison would lose.
    return div(add(add(most, residual), abs(difference) as Tensor), 2);
  });
