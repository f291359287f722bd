/**
 * A product's right values: sums in float64 of as many whole rows as take a second, all over the result. Consumed by the benchmarks of
 * products.
 */

/** Multiply-adds that are done at most. */
const MOST = 2 ** 30;

export interface SampledProduct {
  readonly expected: Float64Array;
  /** The entries of a whole product that are expected. */
  sample(product: ArrayLike<number>): Float64Array;
}

/**
 * @param a,b [size, size]
 * @param most multiply-adds that may be done
 */
export function sampledProduct(
  size: number,
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  most = MOST,
): SampledProduct {
  const count = Math.min(size, Math.max(1, Math.floor(most / size ** 2)));
  const rows = Array.from({ length: count }, (_, i) => Math.floor((i * size) / count));
  const right = Float64Array.from(b);
  const expected = new Float64Array(count * size);
  for (const [i, row] of rows.entries()) {
    const sums = expected.subarray(i * size, (i + 1) * size);
    for (let k = 0; k < size; k++) {
      const factor = a[row * size + k] as number; // within the matrix, as the next one
      for (let j = 0; j < size; j++) sums[j] = (sums[j] as number) + factor * (right[k * size + j] as number);
    }
  }
  return {
    expected,
    sample: (product) =>
      Float64Array.from(
        expected,
        (_, n) => product[(rows[Math.floor(n / size)] as number) * size + (n % size)] as number,
      ),
  };
}
