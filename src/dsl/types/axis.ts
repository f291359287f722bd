// Axes as users give them (negative ones count from the end), and edits of a shape at an axis.
// Consumed by: reduce, concat, stack, slice, gather, transpose, expandDims, squeeze.
// An axis whose type is the wide `number` normalizes to `number`; callers then answer with the wide `Shape`.

import type { ShapeError } from "./error.ts";
import type { Dim, Shape } from "./shape.ts";

type FromEnd<S extends Shape, Count extends string, Seen extends 0[] = [0]> = S extends readonly [
  ...infer Rest extends Shape,
  Dim,
]
  ? `${Seen["length"]}` extends Count
    ? Rest["length"]
    : FromEnd<Rest, Count, [...Seen, 0]>
  : never;

type OutOfRange<
  Op extends string,
  Axis extends number,
  Rank extends number,
> = `${Op}: axis ${Axis} is out of range for rank ${Rank}`;

/**
 * `Axis` counted from the start, `number` if unknown, or a sentence if `S` (of known rank) has no such axis.
 */
export type AxisIndex<Op extends string, S extends Shape, Axis extends number> = number extends Axis
  ? number
  : `${Axis}` extends keyof S
    ? Axis
    : `${Axis}` extends `-${infer Count}`
      ? [FromEnd<S, Count>] extends [never]
        ? ShapeError<OutOfRange<Op, Axis, S["length"]>>
        : FromEnd<S, Count>
      : ShapeError<OutOfRange<Op, Axis, S["length"]>>;

/** The axes counted from the start, as a union; a sentence if one is out of range or given twice. */
export type AxisSet<
  Op extends string,
  S extends Shape,
  Axes extends readonly number[],
  Found extends number = never,
> = number extends Axes["length"]
  ? number
  : Axes extends readonly [infer Axis extends number, ...infer Rest extends readonly number[]]
    ? AxisIndex<Op, S, Axis> extends infer Index
      ? Index extends number
        ? number extends Index
          ? number
          : Index extends Found
            ? ShapeError<`${Op}: axis ${Axis} is given twice`>
            : AxisSet<Op, S, Rest, Found | Index>
        : Index
      : never
    : Found;

/** `S` with the dim at `Index` replaced. */
export type SetAt<S extends Shape, Index extends number, D extends Dim> = {
  -readonly [K in keyof S]: K extends `${Index}` ? D : S[K];
};

/** `S` without the dims at the indices (a union). */
export type RemoveAt<
  S extends Shape,
  Index extends number,
  Seen extends Shape = [],
  Out extends Shape = [],
> = S extends readonly [infer D extends Dim, ...infer Rest extends Shape]
  ? RemoveAt<Rest, Index, [...Seen, D], Seen["length"] extends Index ? Out : [...Out, D]>
  : Out;

/** `S` with `New` put before the dim at `Index`. */
export type InsertAt<
  S extends Shape,
  Index extends number,
  New extends Shape,
  Out extends Shape = [],
> = Out["length"] extends Index
  ? [...Out, ...New, ...S]
  : S extends readonly [infer D extends Dim, ...infer Rest extends Shape]
    ? InsertAt<Rest, Index, New, [...Out, D]>
    : never;
