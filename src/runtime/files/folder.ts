/**
 * Makes a folder with those above it. Consumed by what keeps files in the user's cache folder. Node's own `recursive: true` never ends where
 * the system says that a parent which is there does not exist, as it does in /proc.
 */
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { errorCode } from "./errors.ts";

const isFolder = async (path: string): Promise<boolean> =>
  stat(path).then(
    (status) => status.isDirectory(),
    () => false,
  );

/** @throws what the system says, with its code, when there is none afterwards */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const code = errorCode(error);
    if (code !== "ENOENT") {
      if (code === "EEXIST" && (await isFolder(path))) return;
      throw error;
    }
    const parent = dirname(path);
    if (parent === path || (await isFolder(parent))) throw error;
    await makeFolder(parent);
    await mkdir(path).catch(async (again: unknown) => {
      if (!(await isFolder(path))) throw again; // another process may have been faster
    });
  }
}
