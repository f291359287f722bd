/**
 * The edge between typed tensors and the tracer: what the surface functions have in common. Here, and only here, types are
 * asserted: a `Tensor<S, D>` is at run time always a `TracedTensor`, whose shape was checked when it was made.
 */
import { OpError } from "../ops/definition.ts";
import { encodeScalar } from "../program/program.ts";
import type { TensorType } from "../program/program.ts";
import { constantProblem } from "../program/verify.ts";
import { isTraced } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import { blame } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import type { Broadcast, BinaryDType, DType, DTypeOf, Result, ShapeOf, Tensor } from "../types/index.ts";

/** A tensor, or a number that takes the dtype of the tensor it meets. */
export type Operand = Tensor | number;

type OperandShape<X> = X extends Tensor ? ShapeOf<X> : [];
type OperandDType<X, Other> = X extends Tensor ? DTypeOf<X> : Other extends Tensor ? DTypeOf<Other> : DType;

export type BinaryShape<Op extends string, A, B> = Broadcast<OperandShape<A>, OperandShape<B>, Op>;
export type BinaryOperandDType<Op extends string, A, B> = BinaryDType<
  Op,
  OperandDType<A, B>,
  OperandDType<B, A>
>;
/** What a binary op's rules say: passed to `Valid` for its second argument. */
export type BinaryRule<Op extends string, A, B> = BinaryShape<Op, A, B> | BinaryOperandDType<Op, A, B>;
export type BinaryResult<Op extends string, A, B> = Result<
  BinaryShape<Op, A, B>,
  BinaryOperandDType<Op, A, B>
>;

/** Throws an OpError that names the user's line. */
export function fail(message: string): never {
  throw blame(new OpError(message));
}

/** Runs `body`; its OpErrors name the user's line. */
export function blaming<R>(body: () => R): R {
  try {
    return body();
  } catch (error) {
    throw blame(error);
  }
}

/** The traced tensor behind a typed one. @throws OpError when it is something else (plain JavaScript callers). */
export function traced(op: string, tensor: unknown): TracedTensor {
  if (isTraced(tensor)) return tensor;
  return fail(`${op}: expected a tensor, got ${tensor === null ? "null" : typeof tensor}`);
}

/** Gives a traced tensor the type that the op's rule computed. */
export const typed = <T>(tensor: TracedTensor): T => tensor as unknown as T;

/** NumPy broadcasting of two run-time shapes. */
export function broadcastShape(op: string, a: readonly number[], b: readonly number[]): readonly number[] {
  const rank = Math.max(a.length, b.length);
  // From the right, so that the message names the same axis as the type system's.
  const fromRight = prim.range(rank).map((i) => {
    const x = a[a.length - 1 - i] ?? 1;
    const y = b[b.length - 1 - i] ?? 1;
    if (x !== y && x !== 1 && y !== 1)
      fail(`${op}: [${a.join(",")}] and [${b.join(",")}] do not line up: ${x} vs ${y}`);
    return x === 1 ? y : x;
  });
  return fromRight.reverse();
}

/** Stretches a tensor to a shape it broadcasts to. */
export function stretch(x: TracedTensor, shape: readonly number[]): TracedTensor {
  const offset = shape.length - x.shape.length;
  if (offset === 0 && x.shape.every((dim, i) => dim === shape[i])) return x;
  return prim.broadcast(
    x,
    shape,
    x.shape.map((_, i) => i + offset),
  );
}

/** A tensor filled with a number. @throws OpError when the number is not a value of the dtype */
export function filled(op: string, value: number, type: TensorType): TracedTensor {
  const problem = constantProblem({ ...type, values: encodeScalar(value) });
  if (problem !== undefined) fail(`${op}: ${problem}; use cast`);
  return prim.fill(value, type);
}

/** Operands as tensors of one shape: numbers become constants of the other's dtype, sizes of 1 stretch. */
export function align(op: string, ...operands: readonly unknown[]): readonly TracedTensor[] {
  const tensors = operands.filter(isTraced);
  const model = tensors[0];
  if (model === undefined) return fail(`${op}: expected at least one tensor among the operands`);
  const shape = tensors.map((tensor) => tensor.shape).reduce((a, b) => broadcastShape(op, a, b));
  return operands.map((operand) =>
    typeof operand === "number"
      ? filled(op, operand, { shape, dtype: model.dtype })
      : stretch(traced(op, operand), shape),
  );
}

/** An axis counted from the start. @throws OpError when it is out of range */
export function axisOf(op: string, axis: number, rank: number): number {
  const resolved = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || resolved < 0 || resolved >= rank)
    fail(`${op}: axis ${axis} is out of range for rank ${rank}`);
  return resolved;
}

/** Distinct axes counted from the start; all of them when none are given. */
export function axesOf(
  op: string,
  axes: number | readonly number[] | undefined,
  rank: number,
): readonly number[] {
  if (axes === undefined) return prim.range(rank);
  const resolved = (typeof axes === "number" ? [axes] : axes).map((axis) => axisOf(op, axis, rank));
  if (new Set(resolved).size !== resolved.length) fail(`${op}: axes [${resolved.join(",")}] repeat an axis`);
  return resolved;
}
