/** Random tensors of every dtype, with empty and scalar shapes, for the property tests of the format. */
import fc from "fast-check";
import { byteSize, decodeTensor } from "../../../src/runtime/safetensors/tensor.ts";
import type { FileDType, StoredTensor } from "../../../src/runtime/safetensors/tensor.ts";

export const dtypes = [
  "F64",
  "F32",
  "F16",
  "BF16",
  "I64",
  "U64",
  "I32",
  "U32",
  "I16",
  "U16",
  "I8",
  "U8",
  "BOOL",
] as const satisfies readonly FileDType[];

export const anyTensor: fc.Arbitrary<StoredTensor> = fc
  .tuple(fc.constantFrom(...dtypes), fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }))
  .chain(([dtype, shape]) => {
    const size = byteSize("t", dtype, shape);
    const max = dtype === "BOOL" ? 1 : 255;
    return fc
      .uint8Array({ minLength: size, maxLength: size, max })
      .map((bytes) => decodeTensor("t", dtype, shape, Uint8Array.from(bytes)));
  });

const anyName = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("", "__proto__", "constructor", "0", '"', "\\", "\n", "名前", "toString"),
);

export const anyTensors = fc
  .uniqueArray(fc.tuple(anyName, anyTensor), { selector: ([name]) => name, maxLength: 6 })
  .map((list) => new Map(list.filter(([name]) => name !== "__metadata__")));

export const anyMetadata = fc
  .array(fc.tuple(anyName, fc.string({ unit: "grapheme" })), { maxLength: 3 })
  .map((pairs) => new Map(pairs));

/** Bits of the values, so that NaN payloads and signed zeros count. */
export function bitsOf(tensors: ReadonlyMap<string, StoredTensor>): Record<string, unknown>[] {
  return [...tensors]
    .map(([name, { dtype, shape, data }]) => ({
      name,
      dtype,
      shape: [...shape],
      type: data.constructor.name,
      bytes: [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)],
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
