// Shapes and dtypes in the type system: the rules that make a wrong matmul a compile error with a
// sentence in it.
// Consumed by: the op surface (src/dsl), which pairs each op with its rule here through Valid and Result
// (check.ts).
// To add a rule: a file with a type from shapes to a Shape or a ShapeError, exported here, and cases in
// test/dsl/types.

export { byteSize, DTYPES, isFloat, isInteger } from "./dtype.ts";
export type {
  ArgumentDType,
  BinaryDType,
  CommonDType,
  DType,
  FloatDType,
  IntegerDType,
  RequireDType,
} from "./dtype.ts";
export type { Dim, SameDim, Shape, ShowDim, ShowShape } from "./shape.ts";
export type { ShapeError } from "./error.ts";
export type { DTypeOf, DTypesOf, shapeBrand, ShapeOf, ShapesOf, Tensor } from "./tensor.ts";
export type { Failure, Result, Valid } from "./check.ts";
export type { Add, Divide, Multiply, Subtract } from "./arithmetic.ts";
export type { Attention } from "./attention.ts";
export type { Broadcast, BroadcastTo } from "./broadcast.ts";
export type { Concat, Stack } from "./concat.ts";
export type { Einsum } from "./einsum.ts";
export type { Gather } from "./gather.ts";
export type { MatMul } from "./matmul.ts";
export type { Rearrange } from "./rearrange.ts";
export type { Reduce } from "./reduce.ts";
export type { ExpandDims, Reshape, Slice, Squeeze, Transpose } from "./view.ts";
export type { AnyShape, Leading, Slices, Stacked } from "./loop.ts";
