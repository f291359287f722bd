import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseSafetensors, serializeSafetensors } from "../../../src/runtime/safetensors/format.ts";
import { checkTensors, FormatError, toFloat32 } from "../../../src/runtime/safetensors/tensor.ts";
import type { FileDType, StoredTensor } from "../../../src/runtime/safetensors/tensor.ts";
import { anyMetadata, anyTensors, bitsOf } from "./arbitrary.ts";

/** A file from a header text (or value) and a number of data bytes; `length` overrides the length prefix. */
function file(header: unknown, dataBytes: number, length?: bigint): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const entry = (begin: number, end: number, shape: readonly unknown[], dtype: unknown = "F32"): object => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

describe("round trip", () => {
  it("gives back tensors of every dtype, names and metadata, bit for bit", () => {
    fc.assert(
      fc.property(anyTensors, anyMetadata, (tensors, metadata) => {
        const parsed = parseSafetensors(serializeSafetensors(tensors, metadata));
        expect(bitsOf(parsed.tensors)).toEqual(bitsOf(tensors));
        expect(parsed.metadata).toEqual(metadata);
      }),
    );
  });

  it("aligns every tensor to its element size, whatever the order", () => {
    const tensors = new Map<string, StoredTensor>([
      ["bytes", { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) }],
      ["doubles", { dtype: "F64", shape: [], data: Float64Array.of(Math.PI) }],
      ["halves", { dtype: "F16", shape: [1], data: Uint16Array.of(0x3c00) }],
    ]);
    const bytes = serializeSafetensors(tensors);
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    expect(header.doubles.data_offsets).toEqual([0, 8]);
    expect(header.halves.data_offsets).toEqual([8, 10]);
    expect(header.bytes.data_offsets).toEqual([10, 13]);
  });

  it("encodes the worked example byte by byte", () => {
    const bytes = serializeSafetensors(
      new Map([["a", { dtype: "I32", shape: [2], data: Int32Array.of(1, -2) }]]),
    );
    const json = '{"a":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}';
    expect(new TextDecoder().decode(bytes.subarray(8, 8 + 56))).toBe(json.padEnd(56));
    expect([...bytes.subarray(0, 8)]).toEqual([56, 0, 0, 0, 0, 0, 0, 0]);
    expect([...bytes.subarray(64)]).toEqual([1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff]);
  });

  it("copies: the parsed values survive a change of the file's bytes", () => {
    const bytes = serializeSafetensors(new Map([["a", { dtype: "U8", shape: [1], data: Uint8Array.of(7) }]]));
    const { tensors } = parseSafetensors(bytes);
    bytes.fill(0);
    expect(tensors.get("a")?.data[0]).toBe(7);
  });
});

describe("hostile files are refused with the numbers", () => {
  const ok = { a: entry(0, 8, [2]) };
  const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ["an empty file", new Uint8Array(0), /the file has 0 bytes.*at least 8/],
    ["seven bytes", new Uint8Array(7), /has 7 bytes/],
    [
      "a header length of 2^63",
      file(ok, 8, 2n ** 63n),
      /claims 9223372036854775808 bytes, over the limit of 100000000/,
    ],
    ["a header length of 2^64 - 1", file(ok, 8, 2n ** 64n - 1n), /claims 18446744073709551615 bytes/],
    ["a header just over 100 MB", file(ok, 8, 100_000_001n), /claims 100000001 bytes, over the limit/],
    ["a header longer than the file", file("{}", 0, 3n), /claims 3 bytes but only 2 follow/],
    ["a header of no bytes", file("", 0), /not JSON/],
    ["bad UTF-8", file("{}", 0).map((byte, at) => (at === 8 ? 0xff : byte)), /not UTF-8/],
    ["cut JSON", file('{"a":', 0), /header of 5 bytes is not JSON/],
    ["a list", file([], 0), /not a JSON object/],
    ["space before the brace", file(" {}", 0), /not a JSON object/],
    [
      "a duplicate tensor",
      file('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061" :{}}', 0),
      /key "a" twice/,
    ],
    [
      "a duplicate inside an entry",
      file('{"a":{"dtype":"U8","dtype":"F32","shape":[0],"data_offsets":[0,0]}}', 0),
      /"dtype" twice/,
    ],
    ["a duplicate in the metadata", file('{"__metadata__":{"x":"1","x":"2"}}', 0), /"x" twice/],
    ["metadata that is a number", file({ __metadata__: 3 }, 0), /__metadata__ is not an object/],
    [
      "metadata with a number",
      file({ __metadata__: { epoch: 3 } }, 0),
      /__metadata__ "epoch" is a number, not a string/,
    ],
    [
      "an unknown dtype",
      file({ a: entry(0, 8, [2], "F4") }, 8),
      /tensor "a": dtype "F4" is unknown; known are F64, F32/,
    ],
    [
      "a dtype from the prototype",
      file({ a: entry(0, 8, [2], "toString") }, 8),
      /dtype "toString" is unknown/,
    ],
    [
      "a dtype that is an object",
      file({ a: entry(0, 8, [2], { toString: 1 }) }, 8),
      /dtype of type object is unknown/,
    ],
    ["no entry", file({ a: null }, 0), /tensor "a": its header entry is not an object/],
    ["no shape", file({ a: { dtype: "F32", data_offsets: [0, 8] } }, 8), /shape is not a list/],
    ["a negative dimension", file({ a: entry(0, 8, [-2]) }, 8), /shape \[-2\] has a dimension/],
    ["a fractional dimension", file({ a: entry(0, 8, [2.5]) }, 8), /shape \[2.5\] has a dimension/],
    [
      "a dimension of minus zero",
      file('{"a":{"dtype":"U8","shape":[-0],"data_offsets":[0,0]}}', 0),
      /not a whole number/,
    ],
    [
      "a shape that overflows",
      file({ a: entry(0, 8, [2 ** 40, 2 ** 40]) }, 8),
      /larger than 2\^53 - 1 bytes/,
    ],
    ["a dimension over 2^53", file({ a: entry(0, 8, [2 ** 60]) }, 8), /not a whole number/],
    ["wrong offsets", file({ a: entry(0, 8, [3]) }, 8), /\[0, 8\] span 8 bytes, but F32 \[3\] needs 12/],
    ["reversed offsets", file({ a: entry(8, 0, [2]) }, 8), /span -8 bytes/],
    ["negative offsets", file({ a: entry(-8, 0, [2]) }, 8), /not a pair of whole numbers/],
    ["three offsets", file({ a: { dtype: "U8", shape: [0], data_offsets: [0, 0, 0] } }, 0), /not a pair/],
    ["huge offsets", file({ a: entry(2 ** 53, 2 ** 53 + 8, [2]) }, 8), /not a pair/],
    [
      "offsets far past the end",
      file({ a: entry(0, 2 ** 40, [2 ** 38]) }, 8),
      /ends at byte 1099511627776 of 8/,
    ],
    [
      "an overlap",
      file({ a: entry(0, 8, [2]), b: entry(4, 12, [2]) }, 12),
      /"b" begins at byte 4, inside tensor "a", which ends at 8/,
    ],
    ["the same range twice", file({ a: entry(0, 8, [2]), b: entry(0, 8, [2]) }, 8), /inside tensor/],
    ["a gap at the start", file({ a: entry(4, 12, [2]) }, 12), /leaves a gap after byte 0/],
    [
      "a gap between",
      file({ a: entry(0, 8, [2]), b: entry(9, 17, [2]) }, 17),
      /"b" begins at byte 9.*gap after byte 8/,
    ],
    ["missing data", file(ok, 7), /ends at byte 8 of 7 data bytes; the file is cut short/],
    ["data left over", file(ok, 9), /fill 8 bytes, but 9 bytes/],
    [
      "a BOOL of 2",
      file({ a: entry(0, 2, [2], "BOOL") }, 2).map((b, at, all) => (at === all.length - 1 ? 2 : b)),
      /BOOL element 1 is 2/,
    ],
    [
      "very deep JSON",
      file(`{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`, 0),
      /header entry is not an object/,
    ],
    [
      "a very deep dtype",
      file(`{"a":{"dtype":${"[".repeat(200_000)}${"]".repeat(200_000)}}}`, 0),
      /dtype of type object/,
    ],
    ["an endless string", file(`{"${"\\\\".repeat(500_000)}":0}`, 0), /header entry is not an object/],
  ];
  it.each(cases)("%s", (_, bytes, message) => {
    expect(() => parseSafetensors(bytes)).toThrow(message);
    expect(() => parseSafetensors(bytes)).toThrow(FormatError);
  });

  it("accepts a list of no tensors, and spaces after the JSON", () => {
    expect(parseSafetensors(file("{}   ", 0)).tensors.size).toBe(0);
  });
});

describe("fuzz", () => {
  /**
   * Parses inside a larger buffer of guard bytes: reading past the end would bring 0xAA into a tensor, or
   * crash.
   */
  function outcome(bytes: Uint8Array): unknown {
    const guarded = new Uint8Array(bytes.length + 64).fill(0xaa);
    guarded.set(bytes, 32);
    const run = (input: Uint8Array): unknown => {
      try {
        const { tensors, metadata } = parseSafetensors(input);
        const size = [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
        expect(size).toBeLessThanOrEqual(bytes.length - 8);
        return [bitsOf(tensors), [...metadata]];
      } catch (error) {
        if (error instanceof FormatError) return error.message;
        throw error;
      }
    };
    const result = run(guarded.subarray(32, 32 + bytes.length));
    expect(result).toEqual(run(Uint8Array.from(bytes)));
    return result;
  }

  it("changed, inserted and removed bytes give a FormatError or a sound file", () => {
    const edits = fc.array(
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255), fc.constantFrom(0, 1, 2)),
      {
        minLength: 1,
        maxLength: 4,
      },
    );
    fc.assert(
      fc.property(anyTensors, anyMetadata, edits, (tensors, metadata, changes) => {
        const bytes = [...serializeSafetensors(tensors, metadata)];
        for (const [place, byte, kind] of changes) {
          const at = Math.floor(place * (bytes.length - 1));
          bytes.splice(at, kind === 2 ? 0 : 1, ...(kind === 1 ? [] : [byte]));
        }
        outcome(Uint8Array.from(bytes));
      }),
      { numRuns: 1500 },
    );
  });

  it("every truncation is refused", () => {
    fc.assert(
      fc.property(
        anyTensors,
        anyMetadata,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (t, m, part) => {
          const bytes = serializeSafetensors(t, m);
          expect(typeof outcome(bytes.subarray(0, Math.floor(part * bytes.length)))).toBe("string");
        },
      ),
      { numRuns: 500 },
    );
  });

  it("random headers built from the format's own words give a FormatError or a sound file", () => {
    const number = fc.oneof(fc.nat(16), fc.constantFrom(-1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 63, 1e308));
    const anyEntry = fc.record(
      {
        dtype: fc.oneof(fc.constantFrom("F32", "U8", "BOOL", "f32", "F128"), fc.jsonValue()),
        shape: fc.oneof(fc.array(number, { maxLength: 3 }), fc.jsonValue()),
        data_offsets: fc.oneof(fc.array(number, { minLength: 1, maxLength: 3 }), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    const header = fc.dictionary(
      fc.constantFrom("a", "b", "__metadata__", "__proto__"),
      fc.oneof(anyEntry, fc.jsonValue()),
    );
    fc.assert(
      fc.property(header, fc.nat(32), (value, size) => void outcome(file(value, size))),
      { numRuns: 1000 },
    );
  });

  it("random bytes give a FormatError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void outcome(bytes)),
      { numRuns: 500 },
    );
  });
});

describe("writing refuses what could not be read back", () => {
  const tensor = (dtype: FileDType, shape: readonly number[], data: StoredTensor["data"]): StoredTensor =>
    // Deliberately inconsistent values: the point of the test.
    ({ dtype, shape, data }) as StoredTensor;
  const write = (name: string, value: StoredTensor): Uint8Array =>
    serializeSafetensors(new Map([[name, value]]));

  it.each([
    [
      "the wrong array",
      () => write("a", tensor("F32", [1], Int32Array.of(1))),
      /"a": F32 values cannot come as Int32Array/,
    ],
    [
      "too few values",
      () => write("a", tensor("F32", [2, 2], Float32Array.of(1))),
      /\[2, 2\] has 4 elements, the data 1/,
    ],
    ["a bad shape", () => write("a", tensor("F32", [-1], new Float32Array(0))), /not a whole number/],
    ["a reserved name", () => write("__metadata__", tensor("U8", [0], new Uint8Array(0))), /reserved name/],
    ["a lone surrogate", () => write("\ud800", tensor("U8", [0], new Uint8Array(0))), /not valid Unicode/],
  ] as const)("%s", (_, work, message) => {
    expect(work).toThrow(message);
    expect(work).toThrow(FormatError);
  });
});

describe("consumers", () => {
  it("toFloat32 widens the floating dtypes and refuses the others by name", () => {
    const f32 = (value: StoredTensor): number[] => [...toFloat32("w", value)];
    expect(f32({ dtype: "F16", shape: [2], data: Uint16Array.of(0x3c00, 0xfc00) })).toEqual([1, -Infinity]);
    expect(f32({ dtype: "BF16", shape: [1], data: Uint16Array.of(0x4049) })).toEqual([3.140625]);
    expect(f32({ dtype: "F64", shape: [1], data: Float64Array.of(0.1) })).toEqual([Math.fround(0.1)]);
    expect(() => f32({ dtype: "I32", shape: [0], data: new Int32Array(0) })).toThrow(
      /"w": expected a floating dtype, found I32/,
    );
  });

  it("checkTensors names missing, unexpected and misshapen tensors and counts the rest", () => {
    const found = new Map([
      ["a", { dtype: "F32", shape: [2, 3] }],
      ["x", { dtype: "F32", shape: [1] }],
    ] as const);
    const want = (name: string, shape: readonly number[], dtype?: FileDType) =>
      [name, dtype === undefined ? { shape } : { shape, dtype }] as const;
    expect(() => checkTensors(found, new Map([want("a", [2, 3], "F32"), want("x", [1])]))).not.toThrow();
    expect(() => checkTensors(found, new Map([want("a", [3, 2]), want("b", [4])]))).toThrow(
      'tensor "a" has shape [2, 3], expected [3, 2]; tensor "b" [4] is missing; ' +
        'tensor "x" [1] is not expected.',
    );
    expect(() => checkTensors(found, new Map([want("a", [2, 3], "F16"), want("x", [1])]))).toThrow(
      /dtype F32, expected F16/,
    );
    const many = new Map(["p", "q", "r", "s"].map((name) => want(name, [1])));
    expect(() => checkTensors(new Map(), many)).toThrow(/and 1 more differences/);
  });
});
