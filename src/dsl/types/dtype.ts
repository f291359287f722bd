// The element types of tensors, their host sizes, and the rules that ops put on them.
// Consumed by: Tensor, every op's dtype rule, the compiler's buffer layout, file readers and writers.
// To add a dtype: extend DType, DTYPES, BYTES and the two predicates; the compiler's exhaustive tables then
// fail to compile until each target knows it.

import type { ShapeError } from "./error.ts";

/** An element type. Written out rather than derived, so that editors show the name DType. */
export type DType = "f32" | "f16" | "i32" | "u32" | "bool";

/** Every element type, in a fixed order. */
export const DTYPES = ["f32", "f16", "i32", "u32", "bool"] as const satisfies readonly DType[];

/** The dtypes on which calculus is defined. */
export type FloatDType = "f32" | "f16";

/** The whole-number dtypes. */
export type IntegerDType = "i32" | "u32";

const BYTES = { f32: 4, f16: 2, i32: 4, u32: 4, bool: 1 } as const satisfies Record<DType, number>;

/** Whether `dtype` is a floating-point type. */
export const isFloat = (dtype: DType): dtype is FloatDType => dtype === "f32" || dtype === "f16";

/** Whether `dtype` is a whole-number type; bool is not one. */
export const isInteger = (dtype: DType): dtype is IntegerDType => dtype === "i32" || dtype === "u32";

/** Bytes per element on the host and in files. A device may store bool wider. */
export const byteSize = (dtype: DType): number => BYTES[dtype];

/**
 * The dtype of a binary op: both operands must agree, nothing is promoted silently.
 * The wide `DType` agrees with all; the known side then names the result.
 */
export type BinaryDType<Op extends string, D1 extends DType, D2 extends DType> = [D1] extends [D2]
  ? D1
  : [D2] extends [D1]
    ? D2
    : ShapeError<`${Op}: dtypes differ: ${D1} vs ${D2}; use cast`>;

/** The dtype of an op over a list: all operands must agree; the wide `DType` for a list of unknown length. */
export type CommonDType<
  Op extends string,
  Ds extends readonly DType[],
  Found = DType,
> = number extends Ds["length"]
  ? DType
  : [Found] extends [DType]
    ? Ds extends readonly [infer D extends DType, ...infer Rest extends readonly DType[]]
      ? CommonDType<Op, Rest, BinaryDType<Op, Found, D>>
      : Found
    : Found;

/** `D` if each of its members is in `Allowed`, or the wide `DType` (checked when traced); else a sentence. */
export type RequireDType<Op extends string, D extends DType, Allowed extends DType> = [DType] extends [D]
  ? D
  : [D] extends [Allowed]
    ? D
    : ShapeError<`${Op}: dtype ${D} is not supported; use cast`>;

/** {@link RequireDType} for one argument with a role of its own: `Argument` is as in "indices", `Must` names what is allowed. */
export type ArgumentDType<
  Op extends string,
  Argument extends string,
  D extends DType,
  Allowed extends DType,
  Must extends string = Allowed,
> = [DType] extends [D]
  ? D
  : [D] extends [Allowed]
    ? D
    : ShapeError<`${Op}: ${Argument} must be ${Must}, got ${D}`>;
