import { mkdir, open, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../../src/runtime/files/errors.ts";
import {
  openSafetensors,
  readSafetensors,
  writeSafetensors,
} from "../../../src/runtime/files/safetensors.ts";
import { parseSafetensors } from "../../../src/runtime/safetensors/format.ts";
import type { StoredTensor } from "../../../src/runtime/safetensors/tensor.ts";
import { anyMetadata, anyTensors, bitsOf } from "../safetensors/arbitrary.ts";
import { scratchFolder, userErrorOf } from "./scratch.ts";

const listOf = (tensors: ReadonlyMap<string, StoredTensor>) =>
  [...tensors].map(([name, { dtype, shape, data }]) => ({ name, dtype, shape, data }));

describe("files", () => {
  it("round trip on disk, eager and lazy values alike, and equal to the in-memory parser", async () => {
    const dir = await scratchFolder();
    await fc.assert(
      fc.asyncProperty(anyTensors, anyMetadata, fc.boolean(), async (tensors, metadata, lazy) => {
        const path = join(dir, "t.safetensors");
        const list = listOf(tensors);
        const lazyList = list.map((tensor) => ({ ...tensor, data: () => Promise.resolve(tensor.data) }));
        await writeSafetensors(path, lazy ? lazyList : list, metadata);
        const read = await readSafetensors(path);
        expect(bitsOf(read.tensors)).toEqual(bitsOf(tensors));
        expect(read.metadata).toEqual(metadata);
        expect(bitsOf(parseSafetensors(await readFile(path)).tensors)).toEqual(bitsOf(tensors));
      }),
      { numRuns: 60 },
    );
    expect(await readdir(dir)).toEqual(["t.safetensors"]);
  });

  it("reads one tensor out of a large file by its range", async () => {
    const path = join(await scratchFolder(), "large.safetensors");
    const hole = 2 ** 33; // 8 GiB of zeros that a sparse file does not store
    const header = JSON.stringify({
      hole: { dtype: "U8", shape: [hole], data_offsets: [0, hole] },
      tail: { dtype: "I32", shape: [2], data_offsets: [hole, hole + 8] },
    });
    const start = new Uint8Array(8 + header.length);
    start.set(new TextEncoder().encode(header), 8);
    new DataView(start.buffer).setBigUint64(0, BigInt(header.length), true);
    const handle = await open(path, "w");
    await handle.write(start);
    await handle.write(Uint8Array.of(5, 0, 0, 0, 6, 0, 0, 0), 0, 8, start.length + hole);
    await handle.close();
    const file = await openSafetensors(path);
    expect(file.entries.get("hole")?.shape).toEqual([hole]);
    expect((await file.read("tail")).data).toEqual(Int32Array.of(5, 6));
    await file.close();
  });

  it("asks for each lazy tensor only when its turn comes, wide dtypes first", async () => {
    const path = join(await scratchFolder(), "t.safetensors");
    const asked: string[] = [];
    await writeSafetensors(path, [
      { name: "u8", dtype: "U8", shape: [], data: () => (asked.push("u8"), Uint8Array.of(1)) },
      { name: "f32", dtype: "F32", shape: [], data: () => (asked.push("f32"), Float32Array.of(2)) },
    ]);
    expect(asked).toEqual(["f32", "u8"]);
  });
});

describe("problems name the file, the tensor and the numbers", () => {
  const one = { name: "w", dtype: "F32", shape: [4], data: Float32Array.of(1, 2, 3, 4) } as const;

  it("missing, a folder, a device, empty, cut short", async () => {
    const dir = await scratchFolder();
    const path = join(dir, "t.safetensors");
    expect(await userErrorOf(() => readSafetensors(path))).toBe(
      `Cannot read ${path}: it does not exist; check the path (ENOENT).`,
    );
    expect(await userErrorOf(() => readSafetensors(dir))).toMatch(/not a regular file/);
    expect(await userErrorOf(() => readSafetensors("/dev/null"))).toMatch(/\/dev\/null/);
    await writeFile(path, "");
    expect(await userErrorOf(() => readSafetensors(path))).toBe(
      `${path}: the file has 0 bytes; a safetensors file has at least 8. It is empty or cut short.`,
    );
    await writeSafetensors(path, [one]);
    await truncate(path, (await readFile(path)).length - 3);
    expect(await userErrorOf(() => openSafetensors(path))).toBe(
      `${path}: tensor "w" ends at byte 16 of 13 data bytes; the file is cut short.`,
    );
  });

  it("a tensor that is not there, a file that shrinks while open", async () => {
    const path = join(await scratchFolder(), "t.safetensors");
    await writeSafetensors(path, [one]);
    const file = await openSafetensors(path);
    expect(await userErrorOf(() => file.read("v"))).toBe(`${path}: there is no tensor "v" in the file.`);
    await truncate(path, (await readFile(path)).length - 3);
    expect(await userErrorOf(() => file.read("w"))).toMatch(/tensor "w" ends after 13 of 16 bytes/);
    await file.close();
  });

  it("a tensor too large for memory is refused, not crashed on", async () => {
    const path = join(await scratchFolder(), "t.safetensors");
    const size = 2 ** 42; // no file system here would store it, but a sparse file can claim it
    const header = JSON.stringify({ huge: { dtype: "U8", shape: [size], data_offsets: [0, size] } });
    const start = Buffer.alloc(8 + header.length);
    start.writeBigUInt64LE(BigInt(header.length));
    start.write(header, 8);
    await writeFile(path, start);
    await truncate(path, start.length + size);
    expect(await userErrorOf(() => readSafetensors(path))).toMatch(
      /"huge" has 4398046511104 bytes, more than this machine/,
    );
  });

  it("a failed write leaves the old file and no temporary one", async () => {
    const dir = await scratchFolder();
    const path = join(dir, "t.safetensors");
    await writeSafetensors(path, [one]);
    const before = await readFile(path);
    const short = { ...one, name: "late", data: () => Float32Array.of(1) };
    expect(await userErrorOf(() => writeSafetensors(path, [one, short]))).toBe(
      `${path}: tensor "late": shape [4] has 4 elements, the data 1.`,
    );
    expect(await userErrorOf(() => writeSafetensors(path, [one, one]))).toMatch(/name "w" is used twice/);
    const broken = { ...one, data: () => Promise.reject(new TypeError("a bug")) };
    await expect(writeSafetensors(path, [broken])).rejects.toThrow(TypeError);
    expect(await readFile(path)).toEqual(before);
    expect(await readdir(dir)).toEqual(["t.safetensors"]);
    await mkdir(join(dir, "folder"));
    expect(await userErrorOf(() => writeSafetensors(join(dir, "folder"), [one]))).toMatch(
      /Cannot write .*folder: it is a folder/,
    );
  });

  it("fuzz on disk: a changed byte or a cut gives a UserError or a sound file", async () => {
    const dir = await scratchFolder();
    const path = join(dir, "t.safetensors");
    const change = fc.tuple(
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 1, max: 255 }),
    );
    await fc.assert(
      fc.asyncProperty(anyTensors, change, fc.boolean(), async (tensors, [part, mask], cut) => {
        await writeSafetensors(path, listOf(tensors));
        const bytes = await readFile(path);
        const at = Math.floor(part * bytes.length);
        bytes[at] = (bytes[at] ?? 0) ^ mask;
        await writeFile(path, cut ? bytes.subarray(0, at) : bytes);
        const result = await readSafetensors(path).catch((error: unknown) => error);
        if (result instanceof UserError) expect(result.message.startsWith(path)).toBe(true);
        else expect(result).not.toBeInstanceOf(Error);
      }),
      { numRuns: 150 },
    );
  });
});
