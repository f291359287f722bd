// Shapes of reductions over one axis, several, or all.
// Consumed by: sum, mean, max, min, logsumexp, argmax, softmax's inner sums, and the norms.
// `Op` is the op's name in the message.

import type { AxisSet, RemoveAt, SetAt } from "./axis.ts";
import type { Shape } from "./shape.ts";

type Drop<S extends Shape, Index extends number, KeepDims extends boolean> = boolean extends KeepDims
  ? Shape
  : KeepDims extends true
    ? SetAt<S, Index, 1>
    : RemoveAt<S, Index>;

type DropChecked<S extends Shape, Index, KeepDims extends boolean> = [Index] extends [number]
  ? number extends Index
    ? Shape
    : Drop<S, Index, KeepDims>
  : Index;

type AxisList<Axes extends number | readonly number[]> = Axes extends number ? [Axes] : Axes;

/**
 * The shape left after reducing over `Axes` (`undefined`: all). With `KeepDims`, reduced axes stay with size
 * 1.
 */
export type Reduce<
  S extends Shape,
  Axes extends number | readonly number[] | undefined = undefined,
  KeepDims extends boolean = false,
  Op extends string = "reduce",
> = Axes extends undefined
  ? KeepDims extends false
    ? []
    : number extends S["length"]
      ? Shape
      : { -readonly [K in keyof S]: 1 }
  : number extends S["length"]
    ? Shape
    : S extends Shape
      ? AxisList<Exclude<Axes, undefined>> extends infer List extends readonly number[]
        ? DropChecked<S, AxisSet<Op, S, List>, KeepDims>
        : never
      : never;
