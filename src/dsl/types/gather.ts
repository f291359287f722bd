// Shape of taking entries along an axis by an integer tensor of any rank.
// Consumed by: the gather op, embedding lookup, one-row picks.
// The index shape takes the place of the axis, as in NumPy's take.

import type { AxisIndex, InsertAt, RemoveAt } from "./axis.ts";
import type { Shape } from "./shape.ts";

/** `S` with `Axis` replaced by `IndexShape`. */
export type Gather<
  S extends Shape,
  IndexShape extends Shape,
  Axis extends number = 0,
> = number extends S["length"]
  ? Shape
  : number extends IndexShape["length"]
    ? Shape
    : AxisIndex<"gather", S, Axis> extends infer Index
      ? Index extends number
        ? number extends Index
          ? Shape
          : InsertAt<RemoveAt<S, Index>, Index, IndexShape>
        : Index
      : never;
