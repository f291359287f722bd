/**
 * Safetensors in a blob: the header is read and checked first, then tensor by tensor, so that a hostile or huge file is refused before
 * it takes memory. And the bytes of a file, piece by piece. The checks are the library's.
 *
 * Consumed by run.ts and import.ts.
 */
import { UserError } from "../../../../src/runtime/files/errors.ts";
import type { TensorToWrite } from "../../../../src/runtime/run/store.ts";
import { headerLength, parseHeader, planHeader } from "../../../../src/runtime/safetensors/format.ts";
import type { Header, SafetensorsContent } from "../../../../src/runtime/safetensors/format.ts";
import { decodeTensor, encodeTensor, FormatError } from "../../../../src/runtime/safetensors/tensor.ts";
import type { StoredTensor } from "../../../../src/runtime/safetensors/tensor.ts";
import { storageError } from "./folder.ts";

const bytesOf = async (blob: Blob): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await blob.arrayBuffer());

/** Problems of the format or of the browser come out as sentences that name the file. */
async function naming<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FormatError) throw new UserError(`${path}: ${error.message}`, { cause: error });
    throw storageError(error, "read", path);
  }
}

/** The checked header, and where the data begins. @throws UserError naming the file for anything malformed */
export function readHeader(blob: Blob, path: string): Promise<Header & { readonly dataStart: number }> {
  return naming(path, async () => {
    const length = headerLength(await bytesOf(blob.slice(0, 8)), blob.size);
    const dataStart = 8 + length;
    return { ...parseHeader(await bytesOf(blob.slice(8, dataStart)), blob.size - dataStart), dataStart };
  });
}

/** All tensors of a file. @throws UserError as `readHeader` does */
export async function readTensors(blob: Blob, path: string): Promise<SafetensorsContent> {
  const { entries, metadata, dataStart } = await readHeader(blob, path);
  return naming(path, async () => {
    const tensors = new Map<string, StoredTensor>();
    for (const { name, dtype, shape, begin, end } of entries.values()) {
      const bytes = await bytesOf(blob.slice(dataStart + begin, dataStart + end));
      tensors.set(name, decodeTensor(name, dtype, shape, bytes));
    }
    return { tensors, metadata };
  });
}

/** The bytes of a file of these tensors, in their order. */
export async function* tensorPieces(
  tensors: Iterable<TensorToWrite>,
  metadata: ReadonlyMap<string, string>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const list = [...tensors];
  const { bytes, entries } = planHeader(list, metadata);
  const sources = new Map(list.map((tensor) => [tensor.name, tensor.data]));
  yield Uint8Array.from(bytes);
  for (const { name, dtype, shape } of entries) {
    const source = sources.get(name);
    if (source === undefined) continue; // cannot happen: entries come from the same list
    const data = typeof source === "function" ? await source() : source;
    yield Uint8Array.from(encodeTensor(name, dtype, shape, data));
  }
}
