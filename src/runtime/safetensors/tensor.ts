/**
 * Tensors as a safetensors file stores them: a dtype by its name in the format, a shape, and row-major values
 * in the typed array of that dtype (f16 and bf16 as bit patterns, bool as bytes 0 and 1). Pure, browser-safe.
 *
 * Consumed by format.ts (bytes <-> tensors), the Node reader and writer, and everything that loads weights.
 * To add a dtype: one line in `DataOf` and one in `dtypes`.
 */
import { bf16ToFloat32, f16ToFloat32 } from "./half.ts";

/**
 * Bytes or tensors that do not follow the format. The message names the tensor and the numbers, not the file.
 */
export class FormatError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "FormatError";
  }
}

/** The typed array that holds each dtype. */
export interface DataOf {
  readonly F64: Float64Array;
  readonly F32: Float32Array;
  readonly F16: Uint16Array;
  readonly BF16: Uint16Array;
  readonly I64: BigInt64Array;
  readonly U64: BigUint64Array;
  readonly I32: Int32Array;
  readonly U32: Uint32Array;
  readonly I16: Int16Array;
  readonly U16: Uint16Array;
  readonly I8: Int8Array;
  readonly U8: Uint8Array;
  readonly BOOL: Uint8Array;
}

export type FileDType = keyof DataOf;

/** One tensor: `data` has as many elements as the product of `shape` (one for the scalar shape `[]`). */
export type StoredTensor = {
  readonly [K in FileDType]: {
    readonly dtype: K;
    readonly shape: readonly number[];
    readonly data: DataOf[K];
  };
}[FileDType];

type ArrayType<K extends FileDType> = {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer): DataOf[K];
};

const dtypes: { readonly [K in FileDType]: ArrayType<K> } = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  I32: Int32Array,
  U32: Uint32Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
};

export const dtypeNames = Object.keys(dtypes).join(", ");

export function isFileDType(name: unknown): name is FileDType {
  return typeof name === "string" && Object.hasOwn(dtypes, name);
}

export const itemSize = (dtype: FileDType): number => dtypes[dtype].BYTES_PER_ELEMENT;

/**
 * Size in bytes of a tensor. @throws FormatError when a dimension is not a whole number >= 0, or when the
 * product of the dimensions, in bytes, passes 2^53 - 1 (it could not be counted exactly).
 */
export function byteSize(name: string, dtype: FileDType, shape: readonly number[]): number {
  const text = shapeText(shape);
  let size = itemSize(dtype);
  for (const dim of shape) {
    if (!Number.isSafeInteger(dim) || dim < 0 || Object.is(dim, -0)) {
      throw new FormatError(
        `tensor ${quote(name)}: shape ${text} has a dimension that is not a whole number >= 0.`,
      );
    }
    size *= dim;
    if (size > Number.MAX_SAFE_INTEGER) {
      throw new FormatError(
        `tensor ${quote(name)}: shape ${text} of ${dtype} is larger than 2^53 - 1 bytes.`,
      );
    }
  }
  return size;
}

const littleEndianHost = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Reverses the bytes of every element in place: the format is little-endian, a few hosts are not. */
function swapBytes(bytes: Uint8Array, size: number): void {
  for (let at = 0; at + size <= bytes.length; at += size) bytes.subarray(at, at + size).reverse();
}

/**
 * Gives the tensor whose little-endian values fill `bytes` (which it takes over: no copy).
 * @throws FormatError when the sizes differ or a BOOL is neither 0 nor 1.
 */
export function decodeTensor(
  name: string,
  dtype: FileDType,
  shape: readonly number[],
  bytes: Uint8Array<ArrayBuffer>,
): StoredTensor {
  const expected = byteSize(name, dtype, shape);
  if (bytes.length !== expected || bytes.byteOffset !== 0 || bytes.buffer.byteLength !== expected) {
    throw new FormatError(
      `tensor ${quote(name)}: ${dtype} ${shapeText(shape)} needs ${expected} bytes, not ${bytes.length}.`,
    );
  }
  if (dtype === "BOOL") {
    const bad = bytes.findIndex((byte) => byte > 1);
    if (bad >= 0)
      throw new FormatError(`tensor ${quote(name)}: BOOL element ${bad} is ${bytes[bad]}, not 0 or 1.`);
  }
  if (!littleEndianHost) swapBytes(bytes, itemSize(dtype));
  const data = new dtypes[dtype](bytes.buffer);
  // The table `dtypes` ties each dtype to its array; the compiler cannot follow that through a union.
  return { dtype, shape, data } as StoredTensor;
}

/**
 * The little-endian bytes of a tensor: a view of `data` where the host allows it.
 * @throws FormatError when `data` is not the array type of the dtype, or its length is not the product of the
 * shape.
 */
export function encodeTensor(
  name: string,
  dtype: FileDType,
  shape: readonly number[],
  data: StoredTensor["data"],
): Uint8Array {
  const size = byteSize(name, dtype, shape);
  const type = dtypes[dtype];
  // The cast widens one union member so that `instanceof` accepts it.
  if (!(data instanceof (type as unknown as new () => object))) {
    throw new FormatError(`tensor ${quote(name)}: ${dtype} values cannot come as ${data.constructor.name}.`);
  }
  if (data.byteLength !== size) {
    throw new FormatError(
      `tensor ${quote(name)}: shape ${shapeText(shape)} has ${size / itemSize(dtype)} elements, ` +
        `the data ${data.length}.`,
    );
  }
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (littleEndianHost || itemSize(dtype) === 1) return bytes;
  const swapped = Uint8Array.from(bytes);
  swapBytes(swapped, itemSize(dtype));
  return swapped;
}

/** Values of a floating tensor as f32 (F64 rounds to nearest). @throws FormatError for integers and bools. */
export function toFloat32(name: string, tensor: StoredTensor): Float32Array {
  switch (tensor.dtype) {
    case "F32":
      return tensor.data;
    case "F64":
      return Float32Array.from(tensor.data);
    case "F16":
      return f16ToFloat32(tensor.data);
    case "BF16":
      return bf16ToFloat32(tensor.data);
    default:
      throw new FormatError(`tensor ${quote(name)}: expected a floating dtype, found ${tensor.dtype}.`);
  }
}

/** What a consumer requires of a file: the dtype may be left open where any floating dtype will do. */
export interface ExpectedTensor {
  readonly shape: readonly number[];
  readonly dtype?: FileDType;
}

type Described = { readonly dtype: FileDType; readonly shape: readonly number[] };

/**
 * Checks that exactly the expected tensors are there, with the expected shapes and dtypes.
 * @throws FormatError that lists the first three differences and counts the rest.
 */
export function checkTensors(
  found: ReadonlyMap<string, Described>,
  expected: ReadonlyMap<string, ExpectedTensor>,
): void {
  const problems: string[] = [];
  for (const [name, want] of expected) {
    const have = found.get(name);
    if (have === undefined) problems.push(`tensor ${quote(name)} ${shapeText(want.shape)} is missing`);
    else if (!sameShape(have.shape, want.shape)) {
      problems.push(
        `tensor ${quote(name)} has shape ${shapeText(have.shape)}, expected ${shapeText(want.shape)}`,
      );
    } else if (want.dtype !== undefined && have.dtype !== want.dtype) {
      problems.push(`tensor ${quote(name)} has dtype ${have.dtype}, expected ${want.dtype}`);
    }
  }
  for (const [name, have] of found) {
    if (!expected.has(name)) problems.push(`tensor ${quote(name)} ${shapeText(have.shape)} is not expected`);
  }
  if (problems.length === 0) return;
  const rest = problems.length > 3 ? `; and ${problems.length - 3} more differences` : "";
  throw new FormatError(`${problems.slice(0, 3).join("; ")}${rest}.`);
}

const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((dim, axis) => dim === b[axis]);

/** Names come from files, so a message shows them escaped and never longer than a line. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 117)}...` : name);
}

export function shapeText(shape: readonly number[]): string {
  return shape.length > 16
    ? `[${shape.slice(0, 16).join(", ")}, ... ${shape.length} dims]`
    : `[${shape.join(", ")}]`;
}
