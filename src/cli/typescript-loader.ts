/**
 * Lets this Node import TypeScript, where it does not by itself: a hook strips types with esbuild, if the user's project or this
 * package has it. And lets files import this package from anywhere. Consumed by user-module.ts, and by code-hash.ts, which bundles with
 * the same esbuild.
 */
import { createRequire, register } from "node:module";
import { extname } from "node:path";
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

/**
 * Only what is found nowhere else: a project's own copy of the package is the one that its files mean. In TypeScript "./other.js" and
 * "./other" may mean other.ts, which the compiler of types and esbuild know, and Node does not.
 */
const OWN_HOOK = `
let own;
export async function initialize(data) {
  own = data;
}
export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (error?.code !== "ERR_MODULE_NOT_FOUND") throw error;
    if (Object.hasOwn(own, specifier)) return next(own[specifier], context);
    if (!/^\\.\\.?\\//.test(specifier) || !/\\.m?ts$/.test(context.parentURL ?? "")) throw error;
    const typed = /\\.m?js$/.test(specifier) ? specifier.replace(/js$/, "ts") : specifier + ".ts";
    return next(typed, context).catch(() => {
      throw error;
    });
  }
}`;

let provided = false;

/** From now on a file outside of every project finds this package by its name, for the command line has it. */
export function provideFluxion(): void {
  if (provided) return;
  provided = true;
  const entry = (name: string): string =>
    new URL(`../${name}${extname(import.meta.url)}`, import.meta.url).href;
  const data = { fluxion: entry("index"), "fluxion/node": entry("node"), "fluxion/tfjs": entry("tfjs") };
  register(`data:text/javascript,${encodeURIComponent(OWN_HOOK)}`, { data });
}

/** Where esbuild is found, seen from a file. */
function found(from: string): string | undefined {
  try {
    return pathToFileURL(createRequire(from).resolve("esbuild")).href;
  } catch {
    return undefined; // not installed there
  }
}

/** The user's esbuild, or this package's; undefined where there is neither. */
export const esbuildFor = (path: string): string | undefined => found(path) ?? found(import.meta.url);

let registered = false;

/** @param path of the module that is to be loaded. @returns whether TypeScript can be imported from now on */
export async function enableTypeScript(path: string): Promise<boolean> {
  if (registered || (process.features as { readonly typescript?: unknown }).typescript) return true; // since Node 22.10
  const esbuild = esbuildFor(path);
  if (esbuild === undefined) return false;
  // Errors name lines of the user's file, and not of what the hook makes of it. The package is loaded before: its modules have maps too,
  // and what is the package's is told by its folder, which must be the same one for all of them.
  await import("../index.ts");
  process.setSourceMapsEnabled(true);
  register(`data:text/javascript,${encodeURIComponent(HOOK)}`, { data: { esbuild } });
  registered = true;
  return true;
}
