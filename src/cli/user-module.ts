/**
 * A module of the user's, loaded for what it exports. Consumed by `fluxion verify`, and by the commands that are given a variant.
 */
import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { errorCode, fileError, UserError } from "../runtime/files/errors.ts";
import { isModuleName, MODULE_EXTENSIONS } from "../runtime/user-exports.ts";
import { enableTypeScript, provideFluxion } from "./typescript-loader.ts";
import { userLine } from "./user-line.ts";

/**
 * Its exports by name. TypeScript is loaded where this Node, or a loader it was started with, can, or where esbuild is installed.
 * @throws UserError naming the file, when it cannot be read or loaded, or throws while it is
 */
export async function loadUserModule(file: string): Promise<Readonly<Record<string, unknown>>> {
  if (!isModuleName(file))
    throw new UserError(`${file} is no module; give a file that ends in ${MODULE_EXTENSIONS.join(", ")}`);
  const path = resolve(file);
  const found = await stat(path).catch((error: unknown) => {
    throw fileError(error, "read", file);
  });
  if (found.isDirectory()) throw new UserError(`${file} is a folder; give the file that declares it.`);
  provideFluxion();
  const typed = /\.m?ts$/.test(path) && (await enableTypeScript(path));
  Error.stackTraceLimit = 40; // the user's line may lie below many of the language's
  try {
    // A module is an object of its exports; a default export is one of them.
    return (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    if (errorCode(error) === "ERR_UNKNOWN_FILE_EXTENSION")
      throw new UserError(
        typed
          ? `${file}: ${String(error instanceof Error ? error.message : error)}`
          : `${file} is TypeScript, which Node ${process.versions.node} does not load: install esbuild beside it (npm install --save-dev esbuild), or use Node 22.18 or later`,
        { cause: error },
      );
    throw new UserError(loadingError(file, error), { cause: error });
  }
}

/** Where a file could not be loaded, and why, in a line. */
function loadingError(file: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const [first = "", second] = message.split("\n");
  // esbuild counts its errors in the first line, and has the place and the reason of one in each of the others.
  const syntax = first.startsWith("Transform failed")
    ? /([^/\\]+):(\d+):\d+: ERROR: (.*)$/.exec(second ?? "")
    : null;
  const [line, reason] =
    syntax === null ? [userLine(error), first] : [`${syntax[1]}:${syntax[2]}`, syntax[3] ?? first];
  if (line === undefined) return `${file}: ${reason}`;
  const [, other = "", number = ""] = /^(.*):(\d+)$/.exec(line) ?? [];
  return basename(other) === basename(file) ? `${file}:${number}: ${reason}` : `${file}: ${line}: ${reason}`;
}
