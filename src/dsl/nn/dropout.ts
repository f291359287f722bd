/**
 * Dropout (Srivastava et al. 2014), inverted: what is kept grows by 1/(1 − rate), so that the expectation
 * stays.
 */
import type { Key } from "../random/bits.ts";
import { bernoulli } from "../random/distributions.ts";
import { fail, traced, typed } from "../surface/operand.ts";
import * as prim from "../trace/prim.ts";
import type { DTypeOf, ShapeOf, Tensor } from "../types/index.ts";

/**
 * Zeroes every entry of x independently with probability `rate` and divides the others by 1 − rate. Without a
 * key (when not training), and at rate 0, it is x.
 * @throws OpError when the rate is not in [0, 1)
 */
export function dropout<X extends Tensor>(
  key: Key | undefined,
  x: X,
  rate: number,
): Tensor<ShapeOf<X>, DTypeOf<X>> {
  if (!(rate >= 0 && rate < 1)) fail(`dropout: the rate must be in [0, 1), got ${rate}`);
  const t = traced("dropout", x);
  if (key === undefined || rate === 0) return typed(t);
  const kept = traced("dropout", bernoulli(key, 1 - rate, t.shape));
  return typed(prim.select(kept, prim.scale(t, 1 / (1 - rate)), prim.zeros(t)));
}
