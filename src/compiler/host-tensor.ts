/**
 * Tensors as the host holds them: a type and row-major data. Integers and bool are stored as such; f32 and f16 either in
 * their storage form (Float32Array; Uint16Array of f16 bit patterns) or as numbers in a Float64Array or Float32Array, which
 * is what the interpreter computes with. Pure, browser-safe.
 *
 * Consumed by the interpreter, the targets (inputs, outputs, constants) and their tests.
 */
import { decodeF16, encodeF16, f16ToNumber } from "../dsl/numerics/float16.ts";
import { formatType, sizeOf } from "../dsl/program/program.ts";
import type { TensorType } from "../dsl/program/program.ts";
import type { DType } from "../dsl/types/dtype.ts";

export type HostData = Float64Array | Float32Array | Int32Array | Uint32Array | Uint8Array | Uint16Array;

/** A tensor on the host; `data.length` is the product of `shape`. */
export interface HostTensor extends TensorType {
  readonly data: HostData;
}

/** Data of a tensor as the interpreter holds it: floats as doubles. */
export type ExactData = Float64Array | Int32Array | Uint32Array | Uint8Array;

/** A tensor whose floats are doubles: what the interpreter takes apart and returns. */
export interface ExactTensor extends HostTensor {
  readonly data: ExactData;
}

/** Zeros in the interpreter's array type of a dtype. */
export function exactData(dtype: DType, length: number): ExactData {
  switch (dtype) {
    case "f32":
    case "f16":
      return new Float64Array(length);
    case "i32":
      return new Int32Array(length);
    case "u32":
      return new Uint32Array(length);
    case "bool":
      return new Uint8Array(length);
  }
}

function checkSize(type: TensorType, length: number): void {
  const size = sizeOf(type.shape);
  if (length !== size) throw new RangeError(`${formatType(type)} holds ${size} values, got ${length}.`);
}

/**
 * Makes a tensor in storage form: f32 rounds to Float32Array, f16 to bit patterns (nearest, ties to even), i32 and u32 wrap,
 * bool is x ≠ 0. @throws RangeError when the number of values is not the size of the shape.
 */
export function hostTensor(dtype: DType, shape: readonly number[], numbers: ArrayLike<number>): HostTensor {
  checkSize({ shape, dtype }, numbers.length);
  if (dtype === "f16") return { shape, dtype, data: encodeF16(numbers) };
  if (dtype === "f32") return { shape, dtype, data: Float32Array.from(numbers) };
  return exactTensor(dtype, shape, numbers);
}

/** Makes a tensor in the interpreter's form: floats unrounded in a Float64Array. @throws RangeError like {@link hostTensor}. */
export function exactTensor(dtype: DType, shape: readonly number[], numbers: ArrayLike<number>): ExactTensor {
  checkSize({ shape, dtype }, numbers.length);
  const data = exactData(dtype, numbers.length);
  if (dtype === "bool") for (let i = 0; i < data.length; i++) data[i] = numbers[i] === 0 ? 0 : 1;
  else data.set(numbers);
  return { shape, dtype, data };
}

/** The values of a tensor as numbers (f16 bit patterns decoded). A copy. */
export function toNumbers(tensor: HostTensor): number[] {
  return tensor.dtype === "f16" && tensor.data instanceof Uint16Array
    ? Array.from(tensor.data, f16ToNumber)
    : Array.from(tensor.data);
}

/**
 * The tensor in the interpreter's form; the data is shared where it already is in it.
 * @throws RangeError when data and shape differ in size, TypeError when the array type does not fit the dtype.
 */
export function toExact(tensor: HostTensor): ExactTensor {
  const { shape, dtype, data } = tensor;
  checkSize(tensor, data.length);
  const fits = (expected: boolean): void => {
    if (!expected) throw new TypeError(`${formatType(tensor)} is not stored in a ${data.constructor.name}.`);
  };
  switch (dtype) {
    case "f32":
    case "f16":
      if (data instanceof Float64Array) return { shape, dtype, data };
      fits(data instanceof Float32Array || (dtype === "f16" && data instanceof Uint16Array));
      return exactTensor(dtype, shape, data instanceof Uint16Array ? decodeF16(data) : data);
    case "i32":
      fits(data instanceof Int32Array);
      break;
    case "u32":
      fits(data instanceof Uint32Array);
      break;
    case "bool":
      fits(data instanceof Uint8Array);
      break;
  }
  return { shape, dtype, data: data as ExactData }; // checked above, per dtype
}

/** The tensor in storage form: rounds the doubles of the interpreter to f32 or f16; shares the data of other dtypes. */
export function toStorage(tensor: HostTensor): HostTensor {
  const { shape, dtype, data } = tensor;
  if (dtype === "f32") return data instanceof Float32Array ? tensor : hostTensor(dtype, shape, data);
  if (dtype === "f16") return data instanceof Uint16Array ? tensor : hostTensor(dtype, shape, data);
  return tensor;
}
