/**
 * Folders in the origin private file system of a browser. A file is written under a temporary name, flushed and moved, so that neither a
 * closed tab nor a full disk leaves half of one under its own name. Only in a worker: synchronous access handles are, and they alone can
 * be flushed.
 *
 * Consumed by the worker. Everything throws a UserError with a sentence where the browser refuses.
 */
import { PARTIAL, storageError } from "./folder.ts";
import type { Folder, Pieces, Storage } from "./folder.ts";

/** What browsers can do with a file, and TypeScript's library does not say yet. */
interface MovableFile extends FileSystemFileHandle {
  move(name: string): Promise<void>;
}

/** Does something with the browser's files; its failures come out as sentences. */
async function saying<T>(action: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw storageError(error, action, path);
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof DOMException && error.name === "NotFoundError";

/** Writes all bytes at a place: a nearly full disk may take only a part of them. */
function writeAll(access: FileSystemSyncAccessHandle, bytes: Uint8Array<ArrayBuffer>, at: number): void {
  for (let done = 0; done < bytes.length;) {
    const written = access.write(bytes.subarray(done), { at: at + done });
    if (written === 0) throw new DOMException("nothing more can be written", "QuotaExceededError");
    done += written;
  }
}

let counter = 0;

class OpfsFolder implements Folder {
  readonly #handle: FileSystemDirectoryHandle;
  readonly #name: string;

  constructor(handle: FileSystemDirectoryHandle, name: string) {
    this.#handle = handle;
    this.#name = name;
  }

  names(): Promise<readonly string[]> {
    return saying("read", this.#name, async () => {
      const names: string[] = [];
      for await (const name of this.#handle.keys()) if (!name.endsWith(PARTIAL)) names.push(name);
      return names.sort();
    });
  }

  read(file: string): Promise<Blob | undefined> {
    return saying("read", this.#path(file), async () => {
      try {
        return await (await this.#handle.getFileHandle(file)).getFile();
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    });
  }

  write(file: string, pieces: Pieces): Promise<void> {
    return saying("write", this.#path(file), async () => {
      const temporary = `${file}.${Date.now()}-${counter++}${PARTIAL}`;
      // Without the right type of its library: `move` is there in every browser that has access handles.
      const handle = (await this.#handle.getFileHandle(temporary, { create: true })) as MovableFile;
      try {
        const access = await handle.createSyncAccessHandle();
        try {
          let at = 0;
          for await (const piece of pieces) {
            writeAll(access, piece, at);
            at += piece.length;
          }
          access.flush();
        } finally {
          access.close();
        }
        await handle.move(file);
      } catch (error) {
        await this.#handle.removeEntry(temporary).catch(() => undefined); // the first error is the one to report
        throw error;
      }
    });
  }

  append(file: string, at: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    return saying("write", this.#path(file), async () => {
      const handle = await this.#handle.getFileHandle(file, { create: true });
      const access = await handle.createSyncAccessHandle();
      try {
        access.truncate(at);
        writeAll(access, bytes, at);
        access.flush();
      } finally {
        access.close();
      }
    });
  }

  remove(file: string): Promise<void> {
    return saying("remove", this.#path(file), () => removeFrom(this.#handle, file));
  }

  removeLeftovers(): Promise<void> {
    return saying("read", this.#name, async () => {
      const left: string[] = [];
      for await (const name of this.#handle.keys()) if (name.endsWith(PARTIAL)) left.push(name);
      // Leftovers do no harm, so one that cannot be removed stays.
      for (const name of left) await this.#handle.removeEntry(name).catch(() => undefined);
    });
  }

  #path(file: string): string {
    return `${this.#name}/${file}`;
  }
}

async function removeFrom(folder: FileSystemDirectoryHandle, name: string): Promise<void> {
  try {
    await folder.removeEntry(name, { recursive: true });
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** The runs below a folder of the browser's. */
export function opfsStorage(root: FileSystemDirectoryHandle): Storage {
  return {
    names: () =>
      saying("read", "the runs", async () => {
        const names: string[] = [];
        for await (const [name, { kind }] of root.entries()) if (kind === "directory") names.push(name);
        return names.sort();
      }),
    open: (name) =>
      saying("read", name, async () => {
        try {
          return new OpfsFolder(await root.getDirectoryHandle(name), name);
        } catch (error) {
          if (isMissing(error)) return undefined;
          throw error;
        }
      }),
    make: (name) =>
      saying(
        "write",
        name,
        async () => new OpfsFolder(await root.getDirectoryHandle(name, { create: true }), name),
      ),
    remove: (name) => saying("remove", name, () => removeFrom(root, name)),
  };
}
