/**
 * What an op's entry holds. One entry describes an op completely at this level: its documentation, its shape rule, and for
 * elementwise ops the scalar value and derivative from which the interpreter and autodiff are derived.
 *
 * Consumed by the verifier, the tracer, the interpreter and the jvp rules.
 */
import type { ArithmeticOp, CompareOp, OpKind, OpParams, TensorType, UnaryOp } from "../program/program.ts";
import type { DType } from "../types/dtype.ts";

/** A violated shape or dtype rule. The tracer adds the user's file and line to the message. */
export class OpError extends Error {
  override readonly name = "OpError";
}

/** Throws an {@link OpError} unless `condition` holds. */
export function require(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new OpError(message());
}

export interface OpDefinition<K extends OpKind> {
  /** One or two sentences: meaning, shapes, errors. */
  readonly doc: string;
  /** Types of the outputs. @throws OpError when the inputs or parameters are not legal. */
  infer(inputs: readonly TensorType[], params: OpParams[K]): readonly TensorType[];
}

/** Arithmetic over an abstract number, so that a derivative can be traced as tensors or evaluated on plain numbers. */
export interface Arithmetic<T> {
  add(a: T, b: T): T;
  sub(a: T, b: T): T;
  mul(a: T, b: T): T;
  div(a: T, b: T): T;
  pow(a: T, b: T): T;
  neg(a: T): T;
  exp(a: T): T;
  log(a: T): T;
  sin(a: T): T;
  cos(a: T): T;
  sign(a: T): T;
  constant(value: number): T;
  /** `whenTrue` where a equals b, else `whenFalse`. */
  ifEqual(a: T, b: T, whenTrue: T, whenFalse: T): T;
  /** `whenTrue` where a < b, else `whenFalse`. */
  ifLess(a: T, b: T, whenTrue: T, whenFalse: T): T;
}

/** Partial derivative of a unary op at x, given also y = op(x). */
export type UnaryDerivative = <T>(m: Arithmetic<T>, x: T, y: T) => T;
/** Partial derivative of a binary op at (x, y), given also z = op(x, y). */
export type BinaryDerivative = <T>(m: Arithmetic<T>, x: T, y: T, z: T) => T;

export interface UnaryDefinition extends OpDefinition<UnaryOp> {
  readonly value: (x: number, dtype: DType) => number;
  /** null: the derivative is zero everywhere it exists. */
  readonly derivative: UnaryDerivative | null;
}

export interface ArithmeticDefinition extends OpDefinition<ArithmeticOp> {
  readonly value: (x: number, y: number, dtype: DType) => number;
  /** With respect to the first and the second argument; null: not differentiable (integer ops) or zero. */
  readonly derivative: readonly [BinaryDerivative | null, BinaryDerivative | null];
}

export interface CompareDefinition extends OpDefinition<CompareOp> {
  readonly value: (x: number, y: number) => boolean;
}
