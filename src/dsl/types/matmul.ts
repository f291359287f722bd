// Batched matrix product as in NumPy: [..., m, k] by [..., k, n] gives [..., m, n].
// Consumed by: the matmul op and the layers built on it.
// The axes before the last two broadcast.

import type { Broadcast } from "./broadcast.ts";
import type { ShapeError } from "./error.ts";
import type { Dim, SameDim, Shape, ShowDims, ShowShapes } from "./shape.ts";

type WithBatch<Batch, M extends Dim, N extends Dim> = Batch extends Shape ? [...Batch, M, N] : Batch;

type LowRank<
  A extends Shape,
  B extends Shape,
> = `matmul: both operands need rank 2 or more; got ${ShowShapes<A, B>}`;

/** The shape of the matrix product; both operands have rank 2 or more. */
export type MatMul<A extends Shape, B extends Shape> = number extends A["length"]
  ? Shape
  : number extends B["length"]
    ? Shape
    : A extends readonly [...infer BatchA extends Shape, infer M extends Dim, infer KA extends Dim]
      ? B extends readonly [...infer BatchB extends Shape, infer KB extends Dim, infer N extends Dim]
        ? [SameDim<KA, KB>] extends [never]
          ? ShapeError<`matmul: inner dimensions differ: ${ShowDims<KA, KB>}`>
          : WithBatch<Broadcast<BatchA, BatchB, "matmul: batch axes">, M, N>
        : ShapeError<LowRank<A, B>>
      : ShapeError<LowRank<A, B>>;
