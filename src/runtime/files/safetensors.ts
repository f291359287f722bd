/**
 * Safetensors files on disk: opening one reads and checks only the header, each tensor comes by a ranged
 * read, and writing streams tensor by tensor into an atomic replacement. So a checkpoint may be larger than
 * memory.
 *
 * Consumed by the run folder and the weight loaders. The format and all its checks are in
 * ../safetensors/format.ts; this file adds the file: its reads, its size, its name in every message.
 */
import { open, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import type { TensorToWrite } from "../run/store.ts";
import { headerLength, parseHeader, planHeader } from "../safetensors/format.ts";
import type { SafetensorsContent, TensorEntry } from "../safetensors/format.ts";
import { decodeTensor, encodeTensor, FormatError, quote } from "../safetensors/tensor.ts";
import type { StoredTensor } from "../safetensors/tensor.ts";
import { writeAtomically } from "./atomic.ts";
import { fileError, UserError } from "./errors.ts";

/** An open file: the checked header in memory, the values on disk. Close it when done. */
export interface SafetensorsFile {
  readonly path: string;
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
  /** Reads one tensor. @throws UserError when it is not in the file, cannot be read, or holds a bad BOOL. */
  readonly read: (name: string) => Promise<StoredTensor>;
  readonly close: () => Promise<void>;
}

/**
 * Opens a file and checks its header. @throws UserError naming the file for anything unreadable or malformed.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  return naming(path, async () => {
    // Opening a pipe or a device could block or never end, so look first.
    if (!(await stat(path)).isFile()) throw new UserError(`Cannot read ${path}: it is not a regular file.`);
    const handle = await open(path, "r");
    try {
      const { size } = await handle.stat();
      const length = headerLength(await readRange(handle, 0, Math.min(8, size)), size);
      const { entries, metadata } = parseHeader(await readRange(handle, 8, length), size - 8 - length);
      const read = (name: string): Promise<StoredTensor> =>
        naming(path, () => readTensor(handle, 8 + length, name, entries.get(name)));
      return { path, entries, metadata, read, close: () => handle.close() };
    } catch (error) {
      await handle.close();
      throw error;
    }
  });
}

/** Reads a whole file into memory. @throws UserError as `openSafetensors` and its `read` do. */
export async function readSafetensors(path: string): Promise<SafetensorsContent> {
  const file = await openSafetensors(path);
  try {
    const tensors = new Map<string, StoredTensor>();
    for (const name of file.entries.keys()) tensors.set(name, await file.read(name));
    return { tensors, metadata: file.metadata };
  } finally {
    await file.close();
  }
}

/**
 * Writes tensors to `path` atomically, holding one at a time. The order in the file is wide dtypes first.
 *
 * @throws UserError naming file and tensor when data and shape disagree, a name is repeated, or the file
 * cannot be written; an older file at `path` is then untouched.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite>,
  metadata?: ReadonlyMap<string, string>,
): Promise<void> {
  await naming(path, async () => {
    const list = [...tensors];
    const { bytes, entries } = planHeader(list, metadata);
    const sources = new Map(list.map((tensor) => [tensor.name, tensor.data]));
    await writeAtomically(path, async (sink) => {
      await sink(bytes);
      for (const { name, dtype, shape } of entries) {
        const source = sources.get(name);
        if (source === undefined) continue; // cannot happen: entries come from the same list
        await sink(encodeTensor(name, dtype, shape, typeof source === "function" ? await source() : source));
      }
    });
  });
}

async function readTensor(
  handle: FileHandle,
  dataStart: number,
  name: string,
  entry: TensorEntry | undefined,
): Promise<StoredTensor> {
  if (entry === undefined) throw new FormatError(`there is no tensor ${quote(name)} in the file.`);
  const bytes = await readRange(handle, dataStart + entry.begin, entry.end - entry.begin, name);
  return decodeTensor(name, entry.dtype, entry.shape, bytes);
}

// One call reads at most this much: some systems refuse more than 2^31 bytes.
const maxChunk = 1 << 26;

async function readRange(
  handle: FileHandle,
  begin: number,
  length: number,
  name = "",
): Promise<Uint8Array<ArrayBuffer>> {
  const what = name === "" ? "the header" : `tensor ${quote(name)}`;
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = new Uint8Array(length);
  } catch {
    throw new FormatError(`${what} has ${length} bytes, more than this machine can hold in one array.`);
  }
  for (let done = 0; done < length;) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(maxChunk, length - done), begin + done);
    if (bytesRead === 0) {
      throw new FormatError(
        `${what} ends after ${done} of ${length} bytes; the file became shorter while it was read.`,
      );
    }
    done += bytesRead;
  }
  return bytes;
}

/**
 * Runs `work`; problems of the format or of the file system come out as a `UserError` that names the file.
 */
async function naming<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FormatError) throw new UserError(`${path}: ${error.message}`, { cause: error });
    throw fileError(error, "read", path);
  }
}
