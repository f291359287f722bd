/**
 * Picking and adding at computed places. Indices are i32 and clamped to the axis, on every target.
 */
import * as prim from "../trace/prim.ts";
import type {
  ArgumentDType,
  DType,
  DTypeOf,
  Dim,
  Gather,
  IntegerDType,
  Result,
  ShapeOf,
  Tensor,
  Valid,
} from "../types/index.ts";
import { sizeOfDim } from "../trace/sizes.ts";
import { isInteger } from "../types/dtype.ts";
import { axisOf, blaming, fail, stretch, traced, typed } from "./operand.ts";

type Indices<Op extends string, I extends Tensor> = ArgumentDType<Op, "indices", DTypeOf<I>, "i32">;

/**
 * Entries of `axis` at the given indices, whose axes take its place: rows of a table for axis 0.
 * @throws OpError when the axis is out of range or indices are not i32
 */
export function gather<T extends Tensor, I extends Tensor, const A extends number = 0>(
  x: T,
  indices: Valid<I, Gather<ShapeOf<T>, ShapeOf<I>, A> | Indices<"gather", I>>,
  axis?: A,
): Result<Gather<ShapeOf<T>, ShapeOf<I>, A>, DTypeOf<T>> {
  const t = traced("gather", x);
  return typed(prim.gather(t, traced("gather", indices), axisOf("gather", axis ?? 0, t.shape.length)));
}

/** One entry per place along `axis` (NumPy's take_along_axis): `indices` has the shape of `x` but for that axis. */
export function takeAlong<T extends Tensor, I extends Tensor>(
  x: T,
  indices: Valid<I, Indices<"takeAlong", I>>,
  axis = -1,
): Tensor<ShapeOf<I>, DTypeOf<T>> {
  const [t, places] = [traced("takeAlong", x), traced("takeAlong", indices)];
  const at = axisOf("takeAlong", axis, t.shape.length);
  const fits =
    places.shape.length === t.shape.length && t.shape.every((dim, i) => i === at || dim === places.shape[i]);
  if (places.dtype !== "i32") fail(`takeAlong: indices must be i32, got ${places.dtype}`);
  if (!fits)
    fail(
      `takeAlong: indices of shape [${places.shape.join(",")}] do not fit [${t.shape.join(",")}] along axis ${at}`,
    );
  return typed(prim.takeAlong(t, places, at));
}

/** `x` with `updates` added at the indices of `axis`; repeated indices accumulate. */
export function scatterAdd<T extends Tensor, I extends Tensor>(
  x: T,
  indices: Valid<I, Indices<"scatterAdd", I>>,
  updates: Tensor,
  axis = 0,
): Tensor<ShapeOf<T>, DTypeOf<T>> {
  const t = traced("scatterAdd", x);
  return typed(
    prim.scatterAdd(
      t,
      traced("scatterAdd", indices),
      traced("scatterAdd", updates),
      axisOf("scatterAdd", axis, t.shape.length),
    ),
  );
}

/** 1 at each index along a new last axis of size `depth`, 0 elsewhere. Out of range gives zeros. */
export function oneHot<I extends Tensor, const N extends Dim, D extends DType = "f32">(
  indices: Valid<I, ArgumentDType<"oneHot", "indices", DTypeOf<I>, IntegerDType, "integers">>,
  depth: N,
  dtype?: D,
): Tensor<[...ShapeOf<I>, N], D> {
  const t = traced("oneHot", indices);
  if (!isInteger(t.dtype)) fail(`oneHot: indices must be integers, got ${t.dtype}`);
  const shape = [...t.shape, blaming(() => sizeOfDim(depth))];
  const places = prim.iota(shape, t.dtype, t.shape.length);
  const spread = stretch(prim.reshape(t, [...t.shape, 1]), shape);
  return typed(prim.cast(prim.equal(spread, places), dtype ?? "f32"));
}
