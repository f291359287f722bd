/**
 * A hash of a user's module with all that it imports from beside it: what a run keeps of the code that it was trained with. Comments
 * and white space do not count, nor does where the folder lies; packages are not looked into.
 *
 * Consumed by variants.ts.
 */
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { UserError } from "../runtime/files/errors.ts";
import { fingerprintOf } from "../runtime/run/sha256.ts";
import { sourceHash } from "../runtime/run/source.ts";
import { esbuildFor } from "./typescript-loader.ts";

/** What tells a module's code from another's. */
export interface CodeHash {
  /** "bundle:" and the hash of the bundle that esbuild makes; where esbuild is not installed "file:" and the hash of the file alone. */
  readonly hash: string;
  /** "file:" and the hash of the file's text, where it is known to import nothing from beside it. */
  readonly source?: string;
}

/** @throws UserError when the file cannot be bundled */
export async function codeHash(file: string): Promise<CodeHash> {
  const path = resolve(file);
  const esbuild = esbuildFor(path);
  if (esbuild === undefined) return { hash: sourceHash(await readFile(path)) };
  const { build } = (await import(esbuild)) as typeof import("esbuild"); // what is there by that name
  try {
    const { outputFiles, metafile } = await build({
      entryPoints: [path],
      absWorkingDir: dirname(path),
      bundle: true,
      write: false,
      metafile: true,
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
    const hash = `bundle:${fingerprintOf([outputFiles[0]?.contents ?? new Uint8Array()])}`;
    const alone = Object.keys(metafile.inputs).length === 1;
    return alone ? { hash, source: sourceHash(await readFile(path)) } : { hash };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new UserError(`${file} cannot be bundled: ${message.split("\n").slice(0, 2).join(" ")}`, {
      cause: error,
    });
  }
}
