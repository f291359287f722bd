// Types of what goes through a loop or a batch: trees of tensors that lose or gain a leading axis.
// Consumed by: scan (slices of xs, stacked ys) and vmap (arguments and results with a batch axis).

import type { DType } from "./dtype.ts";
import type { Dim, Shape } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

type Tail<S extends Shape> = S extends readonly [Dim, ...infer Rest extends Shape] ? Rest : Shape;
type Head<S extends Shape> = S extends readonly [infer First extends Dim, ...Shape] ? First : number;

/** The tree without the leading axis of its tensors: one step's slice. */
export type Slices<T> =
  T extends Tensor<infer S, infer D> ? Tensor<Tail<S>, D> : { [K in keyof T]: Slices<T[K]> };

/** The leading size of the tensors of a tree; `number` where there are none. */
export type Leading<T> =
  T extends Tensor<infer S>
    ? Head<S>
    : T extends readonly (infer Item)[]
      ? Leading<Item>
      : T extends object
        ? Leading<T[keyof T]>
        : number;

/** The tree with a leading axis of size `N` at its tensors. */
export type Stacked<T, N extends Dim> =
  T extends Tensor<infer S, infer D> ? Tensor<[N, ...S], D> : { [K in keyof T]: Stacked<T[K], N> };

/** The tree with tensors of any shape: arguments of a function that `vmap` made, whose batch axis may be anywhere. */
export type AnyShape<T> =
  T extends Tensor<Shape, infer D extends DType> ? Tensor<Shape, D> : { [K in keyof T]: AnyShape<T[K]> };
