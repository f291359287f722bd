/**
 * A browser's private file system in memory, as far as the studio uses it, that fails on demand. Consumed by the tests of the storage, which
 * need no browser.
 */
export interface Faults {
  /** Bytes that may still be written. */
  room: number;
  /** At most so many bytes are taken by one write. */
  bite: number;
  /** Whether moving a file fails. */
  stuck: boolean;
  /** What was done to files, in order. */
  readonly done: string[];
}

export const noFaults = (): Faults => ({ room: Infinity, bite: Infinity, stuck: false, done: [] });

interface FakeFile {
  readonly kind: "file";
  bytes: Uint8Array<ArrayBuffer>;
}
interface FakeFolder {
  readonly kind: "directory";
  readonly contents: Map<string, FakeFile | FakeFolder>;
}

const missing = (): DOMException => new DOMException("there is none", "NotFoundError");

/** An empty folder. */
export const fakeDirectory = (faults: Faults): FileSystemDirectoryHandle =>
  handleOf({ kind: "directory", contents: new Map() }, faults);

function handleOf(folder: FakeFolder, faults: Faults): FileSystemDirectoryHandle {
  const { contents } = folder;
  function entry<K extends "file" | "directory">(
    kind: K,
    name: string,
    create: boolean | undefined,
    make: () => FakeFile | FakeFolder,
  ): Extract<FakeFile | FakeFolder, { readonly kind: K }> {
    const found = contents.get(name) ?? (create === true ? make() : undefined);
    if (found === undefined) throw missing();
    if (found.kind !== kind) throw new DOMException("it is another kind", "TypeMismatchError");
    contents.set(name, found);
    return found as Extract<FakeFile | FakeFolder, { readonly kind: K }>; // of that kind
  }
  const fake = {
    kind: "directory",
    async getFileHandle(name: string, { create }: { readonly create?: boolean } = {}) {
      const file = entry("file", name, create, () => ({ kind: "file", bytes: new Uint8Array() }));
      return fileHandle(file, contents, faults, name);
    },
    async getDirectoryHandle(name: string, { create }: { readonly create?: boolean } = {}) {
      const made = entry("directory", name, create, () => ({ kind: "directory", contents: new Map() }));
      return handleOf(made, faults);
    },
    async removeEntry(name: string) {
      if (!contents.delete(name)) throw missing();
    },
    async *keys() {
      yield* Array.from(contents.keys());
    },
    async *entries() {
      for (const [name, { kind }] of Array.from(contents)) yield [name, { kind }];
    },
  };
  return fake as unknown as FileSystemDirectoryHandle; // as far as it is used
}

const resized = (bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> => {
  const next = new Uint8Array(size);
  next.set(bytes.subarray(0, size));
  return next;
};

function fileHandle(file: FakeFile, contents: FakeFolder["contents"], faults: Faults, name: string) {
  return {
    // A snapshot, as a browser's is.
    getFile: async () => new Blob([file.bytes.slice()]),
    async move(to: string) {
      if (faults.stuck) throw new DOMException("it is stuck", "InvalidStateError");
      faults.done.push(`move to ${to}`);
      contents.delete(name);
      contents.set(to, file);
    },
    createSyncAccessHandle: async () => ({
      truncate: (size: number) => void (file.bytes = resized(file.bytes, size)),
      write(bytes: Uint8Array, { at }: { readonly at: number }) {
        const taken = Math.min(bytes.length, faults.bite, faults.room);
        if (taken === 0 && bytes.length > 0) throw new DOMException("no room", "QuotaExceededError");
        faults.room -= taken;
        file.bytes = resized(file.bytes, Math.max(file.bytes.length, at + taken));
        file.bytes.set(bytes.subarray(0, taken), at);
        return taken;
      },
      flush: () => void faults.done.push("flush"),
      close: () => undefined,
    }),
  };
}
