/**
 * Adapters that passed their check, each a file of its own in a folder that is no run. Consumed by engine.ts.
 */
import { fingerprintOf } from "../../../../src/runtime/run/sha256.ts";
import type { Memory } from "../device.ts";
import { OWN_FOLDER } from "../runs.ts";
import type { Folder, Storage } from "./folder.ts";

/** What cannot be remembered, be it that the storage is full, is checked again: a GPU is not left alone for it. */
export function adaptersIn(storage: Storage): Memory {
  const file = (adapter: string): string => fingerprintOf([new TextEncoder().encode(adapter)]);
  const within = async <T>(work: (folder: Folder) => Promise<T>): Promise<T | undefined> => {
    try {
      return await work(await storage.make(OWN_FOLDER));
    } catch {
      return undefined;
    }
  };
  return {
    has: async (adapter) => (await within((folder) => folder.read(file(adapter)))) !== undefined,
    add: (adapter) => within((folder) => folder.write(file(adapter), [])),
  };
}
