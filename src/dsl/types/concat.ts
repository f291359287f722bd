// Shapes of joining tensors: along an axis that they have (concat), or along a new one (stack).
// Consumed by: the concat and stack ops.
// Literal sizes along the joined axis are added; any other sum is `number`.

import type { Add } from "./arithmetic.ts";
import type { AxisIndex, InsertAt } from "./axis.ts";
import type { ShapeError } from "./error.ts";
import type { Dim, SameDim, Shape, ShowDims, ShowShapes } from "./shape.ts";

type Join<
  A extends Shape,
  B extends Shape,
  Index extends number,
  WholeA extends Shape,
  WholeB extends Shape,
  Out extends Shape = [],
> = A extends readonly [infer DA extends Dim, ...infer RestA extends Shape]
  ? B extends readonly [infer DB extends Dim, ...infer RestB extends Shape]
    ? Out["length"] extends Index
      ? Join<RestA, RestB, Index, WholeA, WholeB, [...Out, Add<DA, DB>]>
      : [SameDim<DA, DB>] extends [never]
        ? ShapeError<`concat: ${ShowShapes<WholeA, WholeB>} differ off axis ${Index}: ${ShowDims<DA, DB>}`>
        : Join<RestA, RestB, Index, WholeA, WholeB, [...Out, SameDim<DA, DB>]>
    : ShapeError<RanksDiffer<"concat", WholeA, WholeB>>
  : B extends readonly []
    ? Out
    : ShapeError<RanksDiffer<"concat", WholeA, WholeB>>;

type RanksDiffer<
  Op extends string,
  A extends Shape,
  B extends Shape,
> = `${Op}: ranks differ: ${ShowShapes<A, B>}`;

// `Sum` is the shape joined so far, or a failure, with which the walk ends.
type ConcatRest<Sum, Shapes extends readonly Shape[], Index extends number> = Sum extends Shape
  ? Shapes extends readonly [infer S extends Shape, ...infer Rest extends readonly Shape[]]
    ? number extends S["length"]
      ? Shape
      : ConcatRest<Join<Sum, S, Index, Sum, S>, Rest, Index>
    : Sum
  : Sum;

/** The shape of tensors joined along `Axis`; all other dims agree. */
export type Concat<Shapes extends readonly Shape[], Axis extends number = 0> = number extends Shapes["length"]
  ? Shape
  : Shapes extends readonly [infer First extends Shape, ...infer Rest extends readonly Shape[]]
    ? number extends First["length"]
      ? Shape
      : AxisIndex<"concat", First, Axis> extends infer Index
        ? Index extends number
          ? number extends Index
            ? Shape
            : ConcatRest<[...First], Rest, Index>
          : Index
        : never
    : ShapeError<"concat: needs at least one tensor">;

type Agree<
  A extends Shape,
  B extends Shape,
  WholeA extends Shape,
  WholeB extends Shape,
  Out extends Shape = [],
> = A extends readonly [infer DA extends Dim, ...infer RestA extends Shape]
  ? B extends readonly [infer DB extends Dim, ...infer RestB extends Shape]
    ? [SameDim<DA, DB>] extends [never]
      ? ShapeError<`stack: ${ShowShapes<WholeA, WholeB>} differ: ${ShowDims<DA, DB>}`>
      : Agree<RestA, RestB, WholeA, WholeB, [...Out, SameDim<DA, DB>]>
    : ShapeError<RanksDiffer<"stack", WholeA, WholeB>>
  : B extends readonly []
    ? Out
    : ShapeError<RanksDiffer<"stack", WholeA, WholeB>>;

type AgreeRest<Same, Shapes extends readonly Shape[]> = Same extends Shape
  ? Shapes extends readonly [infer S extends Shape, ...infer Rest extends readonly Shape[]]
    ? number extends S["length"]
      ? Shape
      : AgreeRest<Agree<Same, S, Same, S>, Rest>
    : Same
  : Same;

type Stacked<Same, Count extends number, Axis extends number> = Same extends Shape
  ? number extends Same["length"]
    ? Shape
    : AxisIndex<"stack", [...Same, Count], Axis> extends infer Index
      ? Index extends number
        ? number extends Index
          ? Shape
          : InsertAt<Same, Index, [Count]>
        : Index
      : never
  : Same;

/** The shape of tensors of one shape laid along a new axis, whose place `Axis` counts in the result. */
export type Stack<Shapes extends readonly Shape[], Axis extends number = 0> = number extends Shapes["length"]
  ? Shape
  : Shapes extends readonly [infer First extends Shape, ...infer Rest extends readonly Shape[]]
    ? number extends First["length"]
      ? Shape
      : Stacked<AgreeRest<[...First], Rest>, Shapes["length"], Axis>
    : ShapeError<"stack: needs at least one tensor">;
