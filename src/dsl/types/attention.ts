// Shape of attention: q [...batch, queries, depth], k [...batch, keys, depth], v [...batch, keys, width] gives
// [...batch, queries, width].
// Consumed by: the attention op and the layers built on it.
// Nothing broadcasts: depths, keys and leading axes agree.

import type { ShapeError } from "./error.ts";
import type { Dim, SameDim, Shape, ShowDims, ShowShape, ShowShapes } from "./shape.ts";

type LowRank<
  Q extends Shape,
  K extends Shape,
  V extends Shape,
> = `attention: q, k and v need rank 2 or more; got ${ShowShapes<Q, K>} and ${ShowShape<V>}`;

/** Whether two lists of axes agree, axis by axis. */
type Agree<A extends Shape, B extends Shape> = [A, B] extends [B, A]
  ? true
  : A extends readonly [infer DA extends Dim, ...infer RestA extends Shape]
    ? B extends readonly [infer DB extends Dim, ...infer RestB extends Shape]
      ? [SameDim<DA, DB>] extends [never]
        ? false
        : Agree<RestA, RestB>
      : false
    : B extends readonly []
      ? true
      : false;

type Known<Q extends Shape, K extends Shape, V extends Shape> = Q extends readonly [
  ...infer BatchQ extends Shape,
  infer Queries extends Dim,
  infer DepthQ extends Dim,
]
  ? K extends readonly [...infer BatchK extends Shape, infer Keys extends Dim, infer DepthK extends Dim]
    ? V extends readonly [...infer BatchV extends Shape, infer Values extends Dim, infer Width extends Dim]
      ? [SameDim<DepthQ, DepthK>] extends [never]
        ? ShapeError<`attention: q and k have depths ${ShowDims<DepthQ, DepthK>}`>
        : [SameDim<Keys, Values>] extends [never]
          ? ShapeError<`attention: keys vs values: ${ShowDims<Keys, Values>}`>
          : Agree<BatchQ, BatchK> extends false
            ? ShapeError<`attention: leading axes of q and k differ: ${ShowShapes<Q, K>}`>
            : Agree<BatchQ, BatchV> extends false
              ? ShapeError<`attention: leading axes of q and v differ: ${ShowShapes<Q, V>}`>
              : [...BatchQ, Queries, Width]
      : ShapeError<LowRank<Q, K, V>>
    : ShapeError<LowRank<Q, K, V>>
  : ShapeError<LowRank<Q, K, V>>;

/** The shape of the result. */
export type Attention<Q extends Shape, K extends Shape, V extends Shape> = number extends Q["length"]
  ? Shape
  : number extends K["length"]
    ? Shape
    : number extends V["length"]
      ? Shape
      : Known<Q, K, V>;
