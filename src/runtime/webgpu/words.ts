/**
 * How tensors lie in GPU memory: what `storageBytes` says of each dtype. Bool is a word of 0 or 1; f16 is itself, or f32 where the GPU
 * has no f16. Pure.
 *
 * Consumed by uploads, constants and reads.
 */
import { toStorage } from "../../compiler/host-tensor.ts";
import type { HostTensor } from "../../compiler/host-tensor.ts";
import { decodeF16, encodeF16 } from "../../dsl/numerics/float16.ts";
import { formatType, sizeOf } from "../../dsl/program/program.ts";
import type { TensorType } from "../../dsl/program/program.ts";
import type { DType } from "../../dsl/types/dtype.ts";

/** The array type of each dtype's storage form. */
const STORED = {
  f32: Float32Array,
  f16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  bool: Uint8Array,
} as const satisfies Record<DType, unknown>;

/** Array types whose numbers are rounded to the storage form. */
const ROUNDED = {
  f32: [Float64Array],
  f16: [Float64Array, Float32Array],
  i32: [],
  u32: [],
  bool: [],
} as const satisfies Record<DType, readonly unknown[]>;

type Words =
  | Float32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>;

/**
 * A tensor as the GPU stores it, in whole words of four bytes.
 * @param f16 whether the GPU stores f16 as such
 * @throws RangeError or TypeError when the data do not fit the type
 */
export function toWords(tensor: HostTensor, f16: boolean): Words {
  const { shape, dtype } = tensor;
  if (tensor.data.length !== sizeOf(shape))
    throw new RangeError(`${formatType(tensor)} holds ${sizeOf(shape)} values, got ${tensor.data.length}.`);
  if (![STORED[dtype], ...ROUNDED[dtype]].some((array) => tensor.data instanceof array))
    throw new TypeError(`${formatType(tensor)} is not stored in a ${tensor.data.constructor.name}.`);
  const { data } = toStorage(tensor);
  if (data instanceof Uint8Array) return Uint32Array.from(data);
  if (data instanceof Uint16Array) {
    if (!f16) return decodeF16(data);
    if (data.length % 2 === 0) return data as Words;
    const even = new Uint16Array(data.length + 1);
    even.set(data);
    return even;
  }
  return data as Words; // not a Float64Array, which is no storage form
}

/** The tensor whose storage on the GPU is in `bytes`. */
export function fromWords({ shape, dtype }: TensorType, bytes: ArrayBuffer, f16: boolean): HostTensor {
  const size = sizeOf(shape);
  switch (dtype) {
    case "f32":
    case "i32":
    case "u32":
      return { shape, dtype, data: new STORED[dtype](bytes, 0, size) };
    case "f16":
      return {
        shape,
        dtype,
        data: f16 ? new Uint16Array(bytes, 0, size) : encodeF16(new Float32Array(bytes, 0, size)),
      };
    case "bool":
      return { shape, dtype, data: Uint8Array.from(new Uint32Array(bytes, 0, size)) };
  }
}
