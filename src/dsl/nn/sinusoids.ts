/**
 * Sinusoidal features of a number (Vaswani et al. 2017): how networks are told the time.
 */
import { OpError } from "../ops/definition.ts";
import { constant } from "../surface/create.ts";
import { blaming, stretch, traced, typed } from "../surface/operand.ts";
import * as prim from "../trace/prim.ts";
import type { DTypeOf, ShapeOf, Tensor } from "../types/index.ts";

export interface SinusoidOptions<Count extends number> {
  /** Number of features; even. */
  readonly count: Count;
  /** Frequency k is base^(−k/(count/2)); 10 000 by default. */
  readonly base?: number;
}

/**
 * t [...] -> [..., count]: the cosines of t times every frequency, then the sines.
 * @throws OpError when `count` is odd
 */
export function sinusoids<T extends Tensor, const Count extends number>(
  t: T,
  { count, base = 10_000 }: SinusoidOptions<Count>,
): Tensor<[...ShapeOf<T>, Count], DTypeOf<T>> {
  return blaming(() => {
    if (count % 2 !== 0 || count <= 0)
      throw new OpError(`sinusoids: the number of features must be even, got ${count}`);
    const half = count / 2;
    const time = traced("sinusoids", t);
    const shape = [...time.shape, half];
    const frequencies = constant(
      Float64Array.from({ length: half }, (_, k) => base ** (-k / half)),
      [half],
      time.dtype,
    );
    const angles = prim.mul(
      stretch(prim.reshape(time, [...time.shape, 1]), shape),
      stretch(traced("sinusoids", frequencies), shape),
    );
    return typed(prim.concat([prim.cos(angles), prim.sin(angles)], shape.length - 1));
  });
}
