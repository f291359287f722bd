/** Folders in memory: what the page has where the browser keeps no files for it. Consumed by the worker, and by tests. */
import type { Folder, Pieces, Storage } from "./folder.ts";

async function collected(pieces: Pieces): Promise<Blob> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for await (const piece of pieces) parts.push(piece.slice());
  return new Blob(parts);
}

function memoryFolder(): Folder {
  const files = new Map<string, Blob>();
  return {
    names: async () => [...files.keys()],
    read: async (file) => files.get(file),
    async write(file, pieces) {
      files.set(file, await collected(pieces));
    },
    async append(file, at, bytes) {
      files.set(file, new Blob([(files.get(file) ?? new Blob()).slice(0, at), bytes]));
    },
    async remove(file) {
      files.delete(file);
    },
    removeLeftovers: async () => undefined,
  };
}

/** @param fleeting why runs are not kept, in a sentence */
export function memoryStorage(fleeting: string): Storage {
  const folders = new Map<string, Folder>();
  return {
    fleeting,
    names: async () => [...folders.keys()],
    open: async (name) => folders.get(name),
    async make(name) {
      const made = folders.get(name) ?? memoryFolder();
      folders.set(name, made);
      return made;
    },
    async remove(name) {
      folders.delete(name);
    },
  };
}
