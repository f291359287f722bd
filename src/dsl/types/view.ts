// Shapes of ops that only look at the same elements another way: transpose, expandDims, squeeze, slice,
// reshape.
// Consumed by: the ops of those names.
// Each takes axes as the user gives them, negative ones counted from the end.

import type { Multiply, Subtract } from "./arithmetic.ts";
import type { AxisIndex, AxisSet, InsertAt, RemoveAt, SetAt } from "./axis.ts";
import type { ShapeError } from "./error.ts";
import type { Dim, IsWideDim, Shape, ShowDim, ShowShape } from "./shape.ts";

type Reversed<S extends Shape, Out extends Shape = []> = S extends readonly [
  infer D extends Dim,
  ...infer Rest extends Shape,
]
  ? Reversed<Rest, [D, ...Out]>
  : Out;

type Permuted<
  S extends Shape,
  Perm extends readonly number[],
  Out extends Shape = [],
> = Perm extends readonly [infer Axis extends number, ...infer Rest extends readonly number[]]
  ? AxisIndex<"transpose", S, Axis> extends infer Index extends number
    ? Permuted<S, Rest, [...Out, S[Index]]>
    : never
  : Out;

type ShowAxes<Axes extends readonly number[], Text extends string = ""> = Axes extends readonly [
  infer Axis extends number,
  ...infer Rest extends readonly number[],
]
  ? ShowAxes<Rest, Text extends "" ? `${Axis}` : `${Text}, ${Axis}`>
  : `[${Text}]`;

/** `S` with its axes in the order `Perm`; reversed without one. */
export type Transpose<
  S extends Shape,
  Perm extends readonly number[] | undefined = undefined,
> = number extends S["length"]
  ? Shape
  : Perm extends readonly number[]
    ? number extends Perm["length"]
      ? Shape
      : Perm["length"] extends S["length"]
        ? AxisSet<"transpose", S, Perm> extends infer Indices
          ? [Indices] extends [number]
            ? number extends Indices
              ? Shape
              : Permuted<S, Perm>
            : Indices
          : never
        : ShapeError<`transpose: permutation ${ShowAxes<Perm>} does not fit rank ${S["length"]}`>
    : Reversed<S>;

/** `S` with a new axis of size 1, whose place `Axis` counts in the result. */
export type ExpandDims<S extends Shape, Axis extends number> = number extends S["length"]
  ? Shape
  : AxisIndex<"expandDims", [...S, 1], Axis> extends infer Index
    ? Index extends number
      ? number extends Index
        ? Shape
        : InsertAt<S, Index, [1]>
      : Index
    : never;

type NotOne<S extends Shape, Index extends number> = {
  [I in Index]: S[I] extends 1 ? never : IsWideDim<S[I]> extends true ? never : [I, S[I]];
}[Index];

type SqueezeChecked<S extends Shape, Index extends number> = [NotOne<S, Index>] extends [never]
  ? RemoveAt<S, Index>
  : NotOne<S, Index> extends [infer I extends number, infer D extends Dim]
    ? ShapeError<`squeeze: axis ${I} of ${ShowShape<S>} has size ${ShowDim<D>}, not 1`>
    : never;

type WithoutOnes<S extends Shape, Out extends Shape = []> = S extends readonly [
  infer D extends Dim,
  ...infer Rest extends Shape,
]
  ? IsWideDim<D> extends true
    ? Shape
    : WithoutOnes<Rest, D extends 1 ? Out : [...Out, D]>
  : Out;

/**
 * `S` without the given axes, each of size 1; without all axes whose size is the literal 1 if none are given.
 */
export type Squeeze<
  S extends Shape,
  Axes extends number | readonly number[] | undefined = undefined,
> = number extends S["length"]
  ? Shape
  : Axes extends undefined
    ? WithoutOnes<S>
    : AxisSet<
          "squeeze",
          S,
          Axes extends number ? [Axes] : Extract<Axes, readonly number[]>
        > extends infer Index
      ? [Index] extends [number]
        ? number extends Index
          ? Shape
          : SqueezeChecked<S, Index>
        : Index
      : never;

type Extent<S extends Shape, Size extends Dim, Start extends number, End extends number> = [
  Subtract<End, Start>,
] extends [never]
  ? ShapeError<`slice: the range ${Start} to ${End} is backwards`>
  : [Subtract<Size, End>] extends [never]
    ? ShapeError<`slice: the range ${Start} to ${End} leaves ${ShowShape<S>}: the size is ${ShowDim<Size>}`>
    : Subtract<End, Start>;

type Sliced<S extends Shape, Index extends number, Size> = Size extends Dim ? SetAt<S, Index, Size> : Size;

/**
 * `S` with `Axis` cut to `[Start, End)`. The size is known where both ends are literals that count from the
 * start.
 */
export type Slice<
  S extends Shape,
  Axis extends number,
  Start extends number = number,
  End extends number = number,
> = number extends S["length"]
  ? Shape
  : AxisIndex<"slice", S, Axis> extends infer Index
    ? Index extends number
      ? number extends Index
        ? Shape
        : Sliced<S, Index, Extent<S, S[Index], Start, End>>
      : Index
    : never;

type Count<S extends Shape, Product extends Dim = 1> = S extends readonly [
  infer D extends Dim,
  ...infer Rest extends Shape,
]
  ? Count<Rest, Multiply<Product, D>>
  : Product;

type CountDiffers<
  S extends Shape,
  N extends number,
  Target extends Shape,
  M extends number,
> = `reshape: ${ShowShape<S>} has ${N} elements, ${ShowShape<Target>} has ${M}`;

type Compare<S extends Shape, N extends Dim, Target extends Shape, M extends Dim> =
  IsWideDim<N | M> extends true
    ? Target
    : N extends M
      ? Target
      : N extends number
        ? M extends number
          ? ShapeError<CountDiffers<S, N, Target, M>>
          : Target
        : Target;

/** The target with `number` for the size -1, which is computed when the function is traced. */
type Open<Target extends Shape> = {
  -readonly [K in keyof Target]: Target[K] extends -1 ? number : Target[K];
};

/** `Target`, unless all sizes are literals and the number of elements differs. */
export type Reshape<S extends Shape, Target extends Shape> = number extends Target["length"]
  ? Shape
  : number extends S["length"]
    ? Open<Target>
    : Compare<S, Count<S>, Open<Target>, Count<Open<Target>>>;
