/**
 * Sums, maxima and what is built from them. `axes` is one axis, several, or (by default) all; negative axes count from the end.
 * @throws OpError (all functions) when an axis is out of range
 */
import { emitOne, emit } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import type { DTypeOf, Reduce, Result, ShapeOf, Tensor, Valid } from "../types/index.ts";
import { isFloat } from "../types/dtype.ts";
import { axesOf, axisOf, fail, traced, typed } from "./operand.ts";

type Axes = number | readonly number[] | undefined;

export interface ReduceOptions<K extends boolean = boolean> {
  /** Keep reduced axes with size 1. */
  readonly keepDims?: K;
}

type Reducer<Op extends string> = <
  T extends Tensor,
  const A extends Axes = undefined,
  const K extends boolean = false,
>(
  x: T,
  axes?: Valid<A, Reduce<ShapeOf<T>, A, K, Op>>,
  options?: ReduceOptions<K>,
) => Result<Reduce<ShapeOf<T>, A, K, Op>, DTypeOf<T>>;

/** Wraps a reduction over resolved axes into the public form. */
function reducer<Op extends string>(
  op: Op,
  reduce: (x: TracedTensor, axes: readonly number[]) => TracedTensor,
): Reducer<Op> {
  return (x, axes, options) => {
    const t = traced(op, x);
    const resolved = axesOf(op, axes as Axes, t.shape.length);
    const reduced = reduce(t, resolved);
    return typed(options?.keepDims === true ? keep(reduced, t.shape, resolved) : reduced);
  };
}

const keep = (reduced: TracedTensor, shape: readonly number[], axes: readonly number[]): TracedTensor =>
  prim.reshape(
    reduced,
    shape.map((dim, i) => (axes.includes(i) ? 1 : dim)),
  );

const countOf = (x: TracedTensor, axes: readonly number[]): number =>
  axes.reduce((product, axis) => product * (x.shape[axis] as number), 1);

const meanOver = (x: TracedTensor, axes: readonly number[]): TracedTensor =>
  prim.scale(prim.reduceSum(x, axes), 1 / countOf(x, axes));

/** For reductions that divide. */
function floatsOnly(op: string, x: TracedTensor): void {
  if (!isFloat(x.dtype)) fail(`${op} is not defined for ${x.dtype}; use cast`);
}

/** Sum. */
export const sum: Reducer<"sum"> = reducer("sum", prim.reduceSum);
/** Arithmetic mean. */
export const mean: Reducer<"mean"> = reducer("mean", (x, axes) => {
  floatsOnly("mean", x);
  return meanOver(x, axes);
});
/** Maximum; NaN where an entry is. */
export const max: Reducer<"max"> = reducer("max", prim.reduceMax);
/** Minimum. */
export const min: Reducer<"min"> = reducer("min", (x, axes) => {
  // −x overflows for the smallest i32 and wraps for u32; the complement reverses the order of all integers.
  const flip = (y: TracedTensor): TracedTensor => (isFloat(x.dtype) ? prim.neg(y) : emitOne("not", [y], {}));
  return flip(prim.reduceMax(flip(x), axes));
});
/** Biased variance: mean of (x − mean)². */
export const variance: Reducer<"variance"> = reducer("variance", (x, axes) => {
  floatsOnly("variance", x);
  const centred = prim.sub(x, prim.unreduce(meanOver(x, axes), x.shape, axes));
  return meanOver(prim.mul(centred, centred), axes);
});
/** log Σ eˣ, without overflow. */
export const logSumExp: Reducer<"logSumExp"> = reducer("logSumExp", (x, axes) => {
  const top = prim.stop(prim.reduceMax(x, axes));
  return prim.add(
    top,
    prim.log(prim.reduceSum(prim.exp(prim.sub(x, prim.unreduce(top, x.shape, axes))), axes)),
  );
});

/** eˣ / Σ eˣ along one axis (the last by default). */
export function softmax<T extends Tensor>(x: T, axis = -1): Tensor<ShapeOf<T>, DTypeOf<T>> {
  const t = traced("softmax", x);
  const axes = [axisOf("softmax", axis, t.shape.length)];
  const top = prim.stop(prim.reduceMax(t, axes));
  const exponentials = prim.exp(prim.sub(t, prim.unreduce(top, t.shape, axes)));
  return typed(prim.div(exponentials, prim.unreduce(prim.reduceSum(exponentials, axes), t.shape, axes)));
}

/** x − log Σ eˣ along one axis (the last by default). */
export function logSoftmax<T extends Tensor>(x: T, axis = -1): Tensor<ShapeOf<T>, DTypeOf<T>> {
  const t = traced("logSoftmax", x);
  const axes = [axisOf("logSoftmax", axis, t.shape.length)];
  const shifted = prim.sub(t, prim.unreduce(prim.stop(prim.reduceMax(t, axes)), t.shape, axes));
  const total = prim.log(prim.reduceSum(prim.exp(shifted), axes));
  return typed(prim.sub(shifted, prim.unreduce(total, t.shape, axes)));
}

/** i32 index of the first maximum along one axis, which is removed. */
export function argmax<T extends Tensor, const A extends number>(
  x: T,
  axis: Valid<A, Reduce<ShapeOf<T>, A, false, "argmax">>,
): Result<Reduce<ShapeOf<T>, A, false, "argmax">, "i32"> {
  const t = traced("argmax", x);
  return typed(emitOne("argmax", [t], { axis: axisOf("argmax", axis as number, t.shape.length) }));
}

/** Inclusive prefix sums along one axis; from the end when `reverse`. */
export function cumsum<T extends Tensor>(
  x: T,
  axis = -1,
  options: { readonly reverse?: boolean } = {},
): Tensor<ShapeOf<T>, DTypeOf<T>> {
  const t = traced("cumsum", x);
  return typed(prim.cumsum(t, axisOf("cumsum", axis, t.shape.length), options.reverse ?? false));
}

/** Ascending stable sort along one axis: the values and the i32 positions they came from. */
export function sort<T extends Tensor>(
  x: T,
  axis = -1,
): { readonly values: Tensor<ShapeOf<T>, DTypeOf<T>>; readonly indices: Tensor<ShapeOf<T>, "i32"> } {
  const t = traced("sort", x);
  const [values, indices] = emit("sort", [t], { axis: axisOf("sort", axis, t.shape.length) }) as readonly [
    TracedTensor,
    TracedTensor,
  ];
  return { values: typed(values), indices: typed(indices) };
}
