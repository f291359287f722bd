/**
 * Draws from finite sets: classes, integers, orders. Results are i32.
 */
import { OpError } from "../ops/definition.ts";
import { sizeOf } from "../program/program.ts";
import { axisOf, blaming, traced, typed } from "../surface/operand.ts";
import { emit, emitOne } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import { sizeOfDim, sizesOfShape } from "../trace/sizes.ts";
import type { DTypeOf, Dim, Reduce, RequireDType, Result, ShapeOf, Tensor, Valid } from "../types/index.ts";
import { words } from "./bits.ts";
import type { Key } from "./bits.ts";
import { gumbel } from "./distributions.ts";

/**
 * An index along `axis` (the last by default), drawn with the probabilities softmax(logits); the axis is
 * removed. By the maximum of logits plus Gumbel noise, so that logits need no normalization. A logit of −1e30
 * or less is never drawn.
 * @throws OpError when the axis is out of range or logits are not f32
 */
export function categorical<L extends Tensor, const A extends number = -1>(
  key: Key,
  logits: Valid<
    L,
    Reduce<ShapeOf<L>, A, false, "categorical"> | RequireDType<"categorical", DTypeOf<L>, "f32">
  >,
  axis?: A,
): Result<Reduce<ShapeOf<L>, A, false, "categorical">, "i32"> {
  return blaming(() => {
    const t = traced("random.categorical", logits);
    const at = axisOf("random.categorical", axis ?? -1, t.shape.length);
    const noise = traced("random.categorical", gumbel(key, t.shape));
    return typed(emitOne("argmax", [prim.add(t, noise)], { axis: at }));
  });
}

export interface IntegerRange {
  /** Included; 0 by default. */
  readonly low?: number;
  /** Excluded. */
  readonly high: number;
}

/**
 * Uniform integers in [low, high). By the remainder of a 32-bit word: no probability is off by more than
 * 2⁻³².
 * @throws OpError when the range is empty or does not fit i32
 */
export function integers<const S extends readonly Dim[]>(
  key: Key,
  shape: S,
  { low = 0, high }: IntegerRange,
): Tensor<[...S], "i32"> {
  return blaming(() => {
    const legal =
      Number.isSafeInteger(low) &&
      Number.isSafeInteger(high) &&
      low < high &&
      low >= -(2 ** 31) &&
      high <= 2 ** 31 &&
      high - low <= 2 ** 31;
    if (!legal)
      throw new OpError(`random.integers: [${low}, ${high}) is no range of i32; low must be below high`);
    const word = words(traced("random.integers", key), sizesOfShape(shape));
    const offset = prim.cast(emitOne("rem", [word, prim.fill(high - low, word)], {}), "i32");
    return typed(low === 0 ? offset : prim.add(offset, prim.fill(low, offset)));
  });
}

/**
 * The numbers 0 … n − 1 in random order, by sorting random words. Equal words (of n, about n²/2³³ pairs) keep
 * their order.
 */
export function permutation<const N extends Dim>(key: Key, n: N): Tensor<[N], "i32"> {
  return blaming(() => {
    const word = words(traced("random.permutation", key), [sizeOfDim(n)]);
    return typed((emit("sort", [word], { axis: 0 }) as readonly [TracedTensor, TracedTensor])[1]);
  });
}

/** The slices of `x` along `axis` (the first by default) in random order. */
export function shuffle<X extends Tensor>(key: Key, x: X, axis = 0): Tensor<ShapeOf<X>, DTypeOf<X>> {
  return blaming(() => {
    const t = traced("random.shuffle", x);
    const at = axisOf("random.shuffle", axis, t.shape.length);
    if (sizeOf(t.shape) === 0) return typed(t);
    return typed(prim.gather(t, traced("random.shuffle", permutation(key, t.shape[at] as number)), at));
  });
}
