/**
 * A hash of a user's module with all that it imports from beside it: what a run keeps of the code that it was trained with. Comments
 * and white space do not count, nor does where the folder lies; packages are not looked into.
 *
 * Consumed by variants.ts.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { UserError } from "../runtime/files/errors.ts";
import { esbuildFor } from "./typescript-loader.ts";

/**
 * "bundle:" and the hash of the bundle that esbuild makes; where esbuild is not installed "file:" and the hash of the file alone.
 * @throws UserError when the file cannot be bundled
 */
export async function codeHash(file: string): Promise<string> {
  const path = resolve(file);
  const esbuild = esbuildFor(path);
  if (esbuild === undefined) return `file:${hashOf(await readFile(path))}`;
  const { build } = (await import(esbuild)) as typeof import("esbuild"); // what is there by that name
  try {
    const { outputFiles } = await build({
      entryPoints: [path],
      absWorkingDir: dirname(path),
      bundle: true,
      write: false,
      format: "esm",
      platform: "node",
      target: "esnext",
      packages: "external",
      external: ["file:*"],
      minifyWhitespace: true,
      legalComments: "none",
      tsconfigRaw: {},
      logLevel: "silent",
    });
    return `bundle:${hashOf(outputFiles[0]?.contents ?? new Uint8Array())}`;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new UserError(`${file} cannot be bundled: ${message.split("\n").slice(0, 2).join(" ")}`, {
      cause: error,
    });
  }
}

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex").slice(0, 32);
