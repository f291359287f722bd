/** The storage that there is: the browser's files for this page, or memory with a sentence why. Consumed by the worker. */
import type { Storage } from "./folder.ts";
import { memoryStorage } from "./memory.ts";
import { opfsStorage } from "./opfs.ts";

/** The folder of all runs. */
const ROOT = "runs";

export async function openStorage(): Promise<Storage> {
  const lost = (why: string): Storage =>
    memoryStorage(`Runs are kept in memory only, and are gone when this page is closed: ${why}.`);
  // Both are absent on pages that are not secure, whatever the types say.
  const files = navigator.storage as StorageManager | undefined;
  if (typeof files?.getDirectory !== "function")
    return lost(
      globalThis.isSecureContext
        ? "this browser keeps no files for pages"
        : "browsers keep files only for pages that come over https or from this machine",
    );
  if (!("createSyncAccessHandle" in FileSystemFileHandle.prototype))
    return lost("this browser cannot write files for pages from a worker");
  try {
    const root = await files.getDirectory();
    return opfsStorage(await root.getDirectoryHandle(ROOT, { create: true }));
  } catch (error) {
    // Private windows of some browsers.
    return lost(
      `the browser refuses to keep files (${error instanceof Error ? error.message : String(error)})`,
    );
  }
}
