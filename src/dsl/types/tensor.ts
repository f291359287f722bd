// The tensor as its users see it: a shape and a dtype in the type, sizes and dtype at run time.
// Consumed by: the op surface and everything written with it; implemented by the tracer's values.
// To add a member: it must use S and D covariantly, so that a Tensor<["batch", 64]> stays a Tensor.

import type { DType } from "./dtype.ts";
import type { Shape } from "./shape.ts";

/** The key of the type-level shape; no value is ever stored under it. */
export declare const shapeBrand: unique symbol;

/** A tensor of shape `S` and dtype `D`. `Tensor` alone is dynamic: every check waits until it is traced. */
export interface Tensor<out S extends Shape = Shape, out D extends DType = DType> {
  /** The shape in the type; absent at run time. */
  readonly [shapeBrand]: S;
  readonly dtype: D;
  /** The sizes, names already bound. */
  readonly shape: readonly number[];
}

/** The type-level shape of a tensor. */
export type ShapeOf<T extends Tensor> = T[typeof shapeBrand];

/** The dtype of a tensor. */
export type DTypeOf<T extends Tensor> = T["dtype"];

/** The type-level shapes of a list of tensors. */
export type ShapesOf<Ts extends readonly Tensor[]> = { [K in keyof Ts]: ShapeOf<Ts[K]> };

/** The dtypes of a list of tensors. */
export type DTypesOf<Ts extends readonly Tensor[]> = { [K in keyof Ts]: DTypeOf<Ts[K]> };
