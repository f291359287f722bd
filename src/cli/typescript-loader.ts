/**
 * Lets this Node import TypeScript, where it does not by itself: a hook strips types with esbuild, if the user's project or this
 * package has it. Consumed by user-module.ts.
 */
import { createRequire, register } from "node:module";
import { pathToFileURL } from "node:url";

/** Runs in the thread of Node's loader, so it is given as text; what it needs comes as data. */
const HOOK = `
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
let transform;
export async function initialize({ esbuild }) {
  ({ transform } = await import(esbuild));
}
export async function load(url, context, next) {
  if (!/\\.m?ts$/.test(new URL(url).pathname)) return next(url, context);
  const sourcefile = fileURLToPath(url);
  const options = { loader: "ts", format: "esm", target: "node20", sourcemap: "inline", sourcefile };
  const { code } = await transform(await readFile(sourcefile, "utf8"), options);
  return { format: "module", source: code, shortCircuit: true };
}`;

/** Where a package is found, seen from a file. */
function found(from: string): string | undefined {
  try {
    return pathToFileURL(createRequire(from).resolve("esbuild")).href;
  } catch {
    return undefined; // not installed there
  }
}

let registered = false;

/** @param path of the module that is to be loaded. @returns whether TypeScript can be imported from now on */
export function enableTypeScript(path: string): boolean {
  if (registered || (process.features as { readonly typescript?: unknown }).typescript) return true; // since Node 22.10
  const esbuild = found(path) ?? found(import.meta.url);
  if (esbuild === undefined) return false;
  register(`data:text/javascript,${encodeURIComponent(HOOK)}`, { data: { esbuild } });
  registered = true;
  return true;
}
