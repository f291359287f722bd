/**
 * Functions that make tensors from nothing. Shapes are sizes or names of dimensions that are bound while tracing.
 */
import { encodeScalar, sizeOf } from "../program/program.ts";
import { emitOne } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import { sizesOfShape } from "../trace/sizes.ts";
import type { DType, DTypeOf, Dim, ShapeOf, Tensor } from "../types/index.ts";
import { constantProblem } from "../program/verify.ts";
import { axisOf, blaming, fail, filled, traced, typed } from "./operand.ts";

/** A tensor of `shape` filled with `value`. */
export function full<const S extends readonly Dim[], D extends DType = "f32">(
  shape: S,
  value: number,
  dtype?: D,
): Tensor<[...S], D> {
  return typed(filled("full", value, { shape: blaming(() => sizesOfShape(shape)), dtype: dtype ?? "f32" }));
}

/** Zeros of `shape`. */
export const zeros = <const S extends readonly Dim[], D extends DType = "f32">(
  shape: S,
  dtype?: D,
): Tensor<[...S], D> => full(shape, 0, dtype);

/** Ones of `shape`. */
export const ones = <const S extends readonly Dim[], D extends DType = "f32">(
  shape: S,
  dtype?: D,
): Tensor<[...S], D> => full(shape, 1, dtype);

/** Zeros of the shape and dtype of `x`. */
export const zerosLike = <T extends Tensor>(x: T): Tensor<ShapeOf<T>, DTypeOf<T>> =>
  typed(prim.zeros(traced("zerosLike", x)));

/** Ones of the shape and dtype of `x`. */
export const onesLike = <T extends Tensor>(x: T): Tensor<ShapeOf<T>, DTypeOf<T>> =>
  typed(prim.fill(1, traced("onesLike", x)));

/** A scalar. */
export const scalar = <D extends DType = "f32">(value: number, dtype?: D): Tensor<[], D> =>
  full([], value, dtype);

/** 0, 1, 2, … along `axis` of `shape` (the last by default). */
export function iota<const S extends readonly Dim[], D extends "f32" | "f16" | "i32" | "u32" = "i32">(
  shape: S,
  dtype?: D,
  axis = -1,
): Tensor<[...S], D> {
  const sizes = blaming(() => sizesOfShape(shape));
  return typed(prim.iota(sizes, dtype ?? "i32", axisOf("iota", axis, sizes.length)));
}

/** Known values in row-major order. Meant for small tables; pass large data as inputs. */
export function constant<const S extends readonly Dim[], D extends DType = "f32">(
  values: ArrayLike<number>,
  shape: S,
  dtype?: D,
): Tensor<[...S], D> {
  const sizes = blaming(() => sizesOfShape(shape));
  if (values.length !== sizeOf(sizes))
    fail(`constant: ${values.length} values for shape [${sizes.join(",")}]`);
  const params = { shape: sizes, dtype: dtype ?? "f32", values: Array.from(values, encodeScalar) } as const;
  const problem = constantProblem(params);
  if (problem !== undefined) fail(`constant: ${problem}; use cast`);
  return typed(emitOne("constant", [], params));
}
