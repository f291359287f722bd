// How an op function turns a failed rule into a compile error at the user's call that contains its sentence.
// Consumed by: the typed op surface. The pattern, for an op with a shape rule and a dtype rule:
//
//   declare function matmul<A extends Tensor, B extends Tensor>(
//     a: A,
//     b: Valid<B, MatMul<ShapeOf<A>, ShapeOf<B>> | BinaryDType<"matmul", DTypeOf<A>, DTypeOf<B>>>,
//   ): Result<MatMul<ShapeOf<A>, ShapeOf<B>>, BinaryDType<"matmul", DTypeOf<A>, DTypeOf<B>>>;
//
// Check the argument that is most likely wrong, and only one: over a list of tensors, that is the spec or axis.
// Rules given twice cost once, since the compiler caches them. A function that takes dims declares them
// `<const S extends Dim[]>(...shape: S)`: without const, a call inside another op's call loses the literals.
// In a function generic over its dims the rules stay unresolved: there, take and return plain `Tensor`.

import type { DType } from "./dtype.ts";
import type { ShapeError } from "./error.ts";
import type { Shape } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

/** The failures among the outcomes of rules; `never` if all passed. */
export type Failure<Outcome> = Extract<Outcome, ShapeError>;

/**
 * The type of an argument: `Arg` itself, or the sentence (to which no argument can be assigned) if a rule
 * failed.
 */
export type Valid<Arg, Outcome> = [Failure<Outcome>] extends [never] ? Arg : Failure<Outcome>;

/**
 * The type of an op's result: a tensor, or the sentence if a rule failed, so that the next op fails as well.
 */
export type Result<S, D> = [S] extends [Shape]
  ? [D] extends [DType]
    ? Tensor<S, D>
    : Failure<D>
  : Failure<S>;
