/**
 * Functions that rearrange elements: reshape, transpose, concat and the like. All are linear and keep the dtype.
 * @throws OpError (all functions) when sizes or axes do not fit.
 */
import { sizeOf } from "../program/program.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import { sizeOfDim, sizesOfShape } from "../trace/sizes.ts";
import type {
  BroadcastTo,
  CommonDType,
  Concat,
  DTypeOf,
  DTypesOf,
  Dim,
  ExpandDims,
  Rearrange,
  Reshape,
  Result,
  Shape,
  ShapeOf,
  ShapesOf,
  Slice,
  Squeeze,
  Stack,
  Tensor,
  Transpose,
  Valid,
} from "../types/index.ts";
import { axesOf, axisOf, blaming, broadcastShape, fail, stretch, traced, typed } from "./operand.ts";
import { parsePattern } from "./pattern.ts";

/** The same elements, row-major, under another shape. One size may be −1: it is computed. */
export function reshape<T extends Tensor, const S extends readonly Dim[]>(
  x: T,
  shape: Valid<S, Reshape<ShapeOf<T>, S>>,
): Result<Reshape<ShapeOf<T>, S>, DTypeOf<T>> {
  const t = traced("reshape", x);
  const sizes = [...blaming(() => sizesOfShape(shape as S))];
  const unknown = sizes.indexOf(-1);
  if (unknown < 0) return typed(prim.reshape(t, sizes));
  if (sizes.includes(-1, unknown + 1)) fail(`reshape: only one size may be -1, got [${sizes.join(",")}]`);
  const [size, known] = [sizeOf(t.shape), -sizeOf(sizes)];
  if (known === 0 || size % known !== 0)
    fail(
      `reshape: [${t.shape.join(",")}] has ${size} elements, for which no -1 fits in [${sizes.join(",")}]`,
    );
  sizes[unknown] = size / known;
  return typed(prim.reshape(t, sizes));
}

/** Permutes axes: output axis i is input axis perm[i]. Without `perm` the axes are reversed. */
export function transpose<T extends Tensor, const P extends readonly number[] | undefined = undefined>(
  x: T,
  perm?: Valid<P, Transpose<ShapeOf<T>, P>>,
): Result<Transpose<ShapeOf<T>, P>, DTypeOf<T>> {
  const t = traced("transpose", x);
  const rank = t.shape.length;
  const axes =
    (perm as readonly number[] | undefined)?.map((axis) => axisOf("transpose", axis, rank)) ??
    [...prim.range(rank)].reverse();
  if (new Set(axes).size !== rank)
    fail(`transpose: permutation [${axes.join(",")}] does not fit rank ${rank}`);
  return typed(prim.transpose(t, axes));
}

/** Adds an axis of size 1, whose place `axis` counts in the result. */
export function expandDims<T extends Tensor, const A extends number>(
  x: T,
  axis: Valid<A, ExpandDims<ShapeOf<T>, A>>,
): Result<ExpandDims<ShapeOf<T>, A>, DTypeOf<T>> {
  const t = traced("expandDims", x);
  const shape = [...t.shape];
  shape.splice(axisOf("expandDims", axis as number, t.shape.length + 1), 0, 1);
  return typed(prim.reshape(t, shape));
}

/** Removes axes of size 1: the given ones, or all. */
export function squeeze<T extends Tensor, const A extends number | readonly number[] | undefined = undefined>(
  x: T,
  axes?: Valid<A, Squeeze<ShapeOf<T>, A>>,
): Result<Squeeze<ShapeOf<T>, A>, DTypeOf<T>> {
  const t = traced("squeeze", x);
  const given = axes as number | readonly number[] | undefined;
  const removed =
    given === undefined
      ? prim.range(t.shape.length).filter((i) => t.shape[i] === 1)
      : axesOf("squeeze", given, t.shape.length);
  for (const axis of removed)
    if (t.shape[axis] !== 1) fail(`squeeze: axis ${axis} has size ${t.shape[axis]}, not 1`);
  return typed(
    prim.reshape(
      t,
      t.shape.filter((_, i) => !removed.includes(i)),
    ),
  );
}

/** Repeats along axes of size 1 and new leading axes. */
export function broadcastTo<T extends Tensor, const S extends readonly Dim[]>(
  x: T,
  shape: Valid<S, BroadcastTo<ShapeOf<T>, S>>,
): Result<BroadcastTo<ShapeOf<T>, S>, DTypeOf<T>> {
  const t = traced("broadcastTo", x);
  const sizes = blaming(() => sizesOfShape(shape as S));
  const reached = broadcastShape("broadcastTo", t.shape, sizes);
  if (reached.length !== sizes.length || reached.some((dim, i) => dim !== sizes[i]))
    fail(`broadcastTo: [${t.shape.join(",")}] does not stretch to [${sizes.join(",")}]`);
  return typed(stretch(t, sizes));
}

/** Elements `start` to `stop` (exclusive) of one axis. Negative ends count from the end. */
export function slice<
  T extends Tensor,
  const A extends number,
  const From extends number,
  const To extends number,
>(
  x: T,
  axis: Valid<A, Slice<ShapeOf<T>, A, From, To>>,
  start: From,
  stop?: To,
): Result<Slice<ShapeOf<T>, A, From, To>, DTypeOf<T>> {
  const t = traced("slice", x);
  const at = axisOf("slice", axis as number, t.shape.length);
  const extent = t.shape[at] as number;
  const resolve = (end: number): number => (end < 0 ? end + extent : end);
  return typed(prim.sliceAxis(t, at, resolve(start), resolve(stop ?? extent)));
}

/** Adds zeros before and after: one [low, high] pair per axis. */
export function pad<T extends Tensor>(
  x: T,
  amounts: readonly (readonly [low: number, high: number])[],
): Tensor<Shape, DTypeOf<T>> {
  const t = traced("pad", x);
  return typed(
    prim.pad(t, {
      low: amounts.map(([low]) => low),
      high: amounts.map(([, high]) => high),
      interior: t.shape.map(() => 0),
    }),
  );
}

/** Joins tensors along an axis; the other sizes agree. */
export function concat<const Ts extends readonly Tensor[], const A extends number = 0>(
  tensors: Valid<Ts, Concat<ShapesOf<Ts>, A> | CommonDType<"concat", DTypesOf<Ts>>>,
  axis?: A,
): Result<Concat<ShapesOf<Ts>, A>, CommonDType<"concat", DTypesOf<Ts>>> {
  const list = (tensors as Ts).map((tensor) => traced("concat", tensor)); // valid, or the call did not compile
  const first = list[0] ?? fail("concat: needs at least one tensor");
  return typed(prim.concat(list, axisOf("concat", axis ?? 0, first.shape.length)));
}

/** Joins tensors of one shape along a new axis. */
export function stack<const Ts extends readonly Tensor[], const A extends number = 0>(
  tensors: Valid<Ts, Stack<ShapesOf<Ts>, A> | CommonDType<"stack", DTypesOf<Ts>>>,
  axis?: A,
): Result<Stack<ShapesOf<Ts>, A>, CommonDType<"stack", DTypesOf<Ts>>> {
  const list = (tensors as Ts).map((tensor) => traced("stack", tensor)); // valid, or the call did not compile
  const first = list[0] ?? fail("stack: needs at least one tensor");
  const at = axisOf("stack", axis ?? 0, first.shape.length + 1);
  const expanded = list.map((tensor) =>
    prim.reshape(tensor, [...tensor.shape.slice(0, at), 1, ...tensor.shape.slice(at)]),
  );
  return typed(prim.concat(expanded, at));
}

/** Splits, merges and permutes axes by an einops pattern: `rearrange(x, "b n (h d) -> b h n d", { h: 8 })`. */
export function rearrange<
  T extends Tensor,
  const P extends string,
  const G extends Readonly<Record<string, Dim>> = Record<never, never>,
>(
  x: T,
  pattern: Valid<P, Rearrange<P, ShapeOf<T>, G>>,
  sizes?: G,
): Result<Rearrange<P, ShapeOf<T>, G>, DTypeOf<T>> {
  const t = traced("rearrange", x);
  const given = Object.fromEntries(
    Object.entries(sizes ?? {}).map(([name, dim]) => [name, blaming(() => sizeOfDim(dim))]),
  );
  return typed(rearranged(t, pattern as string, given));
}

function rearranged(t: TracedTensor, pattern: string, given: Readonly<Record<string, number>>): TracedTensor {
  const { left, right } = blaming(() => parsePattern(pattern));
  if (left.length !== t.shape.length)
    fail(
      `rearrange: "${pattern}" has ${left.length} axes on the left, the tensor has rank ${t.shape.length}`,
    );
  const unused = Object.keys(given).find((name) => !left.flat().includes(name));
  if (unused !== undefined) fail(`rearrange: a size is given for '${unused}', which is not in "${pattern}"`);
  const size = new Map<string, number>(Object.entries(given));
  left.forEach((group, i) => {
    const extent = t.shape[i] as number;
    const unknown = group.filter((name) => !size.has(name) && name !== "1");
    const known = group.reduce((product, name) => product * (name === "1" ? 1 : (size.get(name) ?? 1)), 1);
    if (unknown.length > 1) fail(`rearrange: give the sizes of all but one of ${unknown.join(", ")}`);
    const last = unknown[0];
    if (last !== undefined) size.set(last, extent / known);
    if (last === undefined ? known !== extent : extent % known !== 0)
      fail(`rearrange: axis ${i} of size ${extent} does not split as (${group.join(" ")})`);
  });
  const sizeOfName = (name: string): number => (name === "1" ? 1 : (size.get(name) as number));
  const from = left.flat().filter((name) => name !== "1");
  const to = right.flat().filter((name) => name !== "1");
  const split_ = prim.reshape(t, from.map(sizeOfName));
  const moved = prim.transpose(
    split_,
    to.map((name) => from.indexOf(name)),
  );
  return prim.reshape(
    moved,
    right.map((group) => group.reduce((product, name) => product * sizeOfName(name), 1)),
  );
}
