/**
 * A module of the user's, loaded for what it exports. Consumed by `fluxion verify`, and by the commands that are given a variant.
 */
import { access } from "node:fs/promises";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { errorCode, fileError, UserError } from "../runtime/files/errors.ts";
import { enableTypeScript } from "./typescript-loader.ts";

const EXTENSIONS = [".ts", ".mts", ".js", ".mjs"];

/** Whether a name is that of a file that could be a module. */
export const isModuleName = (file: string): boolean => EXTENSIONS.includes(extname(file));

/**
 * Its exports by name. TypeScript is loaded where this Node, or a loader it was started with, can, or where esbuild is installed.
 * @throws UserError naming the file, when it cannot be read or loaded, or throws while it is
 */
export async function loadUserModule(file: string): Promise<Readonly<Record<string, unknown>>> {
  if (!isModuleName(file))
    throw new UserError(`${file} is no module; give a file that ends in ${EXTENSIONS.join(", ")}`);
  const path = resolve(file);
  await access(path).catch((error: unknown) => {
    throw fileError(error, "read", file);
  });
  const typed = /\.m?ts$/.test(path) && enableTypeScript(path);
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
    const message = error instanceof Error ? error.message : String(error);
    throw new UserError(`${file}: ${message.split("\n")[0] ?? ""}`, { cause: error });
  }
}
