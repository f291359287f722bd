/**
 * Numbers as the little-endian bytes of ONNX's element types. Consumed by the emitter, for initializers.
 * To add an element type, add its array to the switch; the compiler names the case that is missing.
 */
import { encodeF16 } from "../../dsl/numerics/float16.ts";
import { ElementType } from "./proto.ts";

/** The bytes of an initializer. f32 and f16 round to nearest, integers wrap, bool is x ≠ 0. */
export function encodeElements(element: ElementType, values: ArrayLike<number>): Uint8Array {
  const array = typedArray(element, values);
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  if (LITTLE_ENDIAN || array.BYTES_PER_ELEMENT === 1) return bytes;
  const swapped = new Uint8Array(bytes);
  for (let i = 0; i < swapped.length; i += array.BYTES_PER_ELEMENT)
    swapped.subarray(i, i + array.BYTES_PER_ELEMENT).reverse();
  return swapped;
}

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function typedArray(
  element: ElementType,
  values: ArrayLike<number>,
):
  | Float32Array
  | Float64Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Uint8Array
  | BigInt64Array
  | BigUint64Array {
  switch (element) {
    case ElementType.float32:
      return Float32Array.from(values);
    case ElementType.float64:
      return Float64Array.from(values);
    case ElementType.float16:
      return encodeF16(values);
    case ElementType.int32:
      return Int32Array.from(values);
    case ElementType.uint32:
      return Uint32Array.from(values);
    case ElementType.uint8:
      return Uint8Array.from(values);
    case ElementType.bool:
      return Uint8Array.from(values, (value) => (value === 0 ? 0 : 1));
    case ElementType.int64:
      return BigInt64Array.from(Array.from(values, BigInt));
    case ElementType.uint64:
      return BigUint64Array.from(Array.from(values, BigInt));
  }
}
