// NumPy broadcasting: shapes are lined up at the right, and a size of 1 stretches.
// Consumed by: every elementwise op, matmul's batch axes, broadcastTo, and select.
// A name stretches only against 1 and equals only itself.

import type { ShapeError } from "./error.ts";
import type { Dim, SameDim, Shape, ShowDims, ShowShape, ShowShapes } from "./shape.ts";

type BroadcastDim<A extends Dim, B extends Dim> = A extends 1 ? B : B extends 1 ? A : SameDim<A, B>;

type Align<
  A extends Shape,
  B extends Shape,
  Op extends string,
  WholeA extends Shape,
  WholeB extends Shape,
  Out extends Shape = [],
> = A extends readonly [...infer RestA extends Shape, infer DA extends Dim]
  ? B extends readonly [...infer RestB extends Shape, infer DB extends Dim]
    ? [BroadcastDim<DA, DB>] extends [never]
      ? ShapeError<`${Op}: ${ShowShapes<WholeA, WholeB>} do not line up: ${ShowDims<DA, DB>}`>
      : Align<RestA, RestB, Op, WholeA, WholeB, [BroadcastDim<DA, DB>, ...Out]>
    : [...A, ...Out]
  : [...B, ...Out];

/** The shape to which `A` and `B` broadcast together. `Op` names the op in the message. */
export type Broadcast<
  A extends Shape,
  B extends Shape,
  Op extends string = "broadcast",
> = number extends A["length"]
  ? Shape
  : number extends B["length"]
    ? Shape
    : // Equal shapes are by far the commonest case, and this answers it in one step.
      [A, B] extends [B, A]
      ? A
      : AlignEach<A, B, Op>;

// Distributes over unions, so that the whole shapes in the message are the ones that failed.
type AlignEach<A extends Shape, B extends Shape, Op extends string> = A extends Shape
  ? B extends Shape
    ? Align<A, B, Op, A, B>
    : never
  : never;

type StretchDim<From extends Dim, To extends Dim> = From extends 1 ? To : SameDim<From, To>;

// The message's head; a type of its own to keep the lines short.
type NoStretch<
  S extends Shape,
  Target extends Shape,
> = `broadcastTo: ${ShowShape<S>} does not stretch to ${ShowShape<Target>}`;

type Stretch<
  S extends Shape,
  Target extends Shape,
  Whole extends Shape,
  WholeTarget extends Shape,
> = S extends readonly [...infer RestS extends Shape, infer From extends Dim]
  ? Target extends readonly [...infer RestT extends Shape, infer To extends Dim]
    ? [StretchDim<From, To>] extends [never]
      ? ShapeError<`${NoStretch<Whole, WholeTarget>}: ${ShowDims<From, To>}`>
      : Stretch<RestS, RestT, Whole, WholeTarget>
    : ShapeError<`${NoStretch<Whole, WholeTarget>}: rank ${Whole["length"]} vs ${WholeTarget["length"]}`>
  : [...WholeTarget];

/** `Target`, if `S` stretches to it (sizes of 1, and missing axes at the left, do). */
export type BroadcastTo<S extends Shape, Target extends Shape> = number extends Target["length"]
  ? Shape
  : number extends S["length"]
    ? [...Target]
    : Stretch<S, Target, S, Target>;
