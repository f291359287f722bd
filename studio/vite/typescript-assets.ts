/**
 * What the playground's editor knows types from, as two modules that exist only in the build: Fluxion's own declarations, made from its
 * sources, and the library files of TypeScript. Each exports `files`, texts by path. They are imported lazily, so each is a chunk of its own,
 * and no network but the page's own folder is asked for them.
 *
 * Consumed by ../vite.config.ts, for the page and for its workers; imported by ../src/playground/types/worker.ts.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Plugin } from "vite";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const { resolve } = createRequire(import.meta.url);

/** The library of the language alone: a declaration has no business with the page. */
const LIBRARY = "lib.es2023.d.ts";

const MODULES: Readonly<Record<string, () => Promise<Files>>> = {
  "virtual:fluxion-declarations": fluxionDeclarations,
  "virtual:typescript-library": typescriptLibrary,
};

type Files = Readonly<Record<string, string>>;

export function typescriptAssets(): Plugin {
  return {
    name: "typescript-assets",
    resolveId: (id) => (id in MODULES ? `\0${id}` : undefined),
    async load(id) {
      const files = await MODULES[id.slice(1)]?.();
      if (!id.startsWith("\0") || files === undefined) return undefined;
      // A string that is parsed is read faster than an object literal of the same size.
      return `export const files = JSON.parse(${JSON.stringify(JSON.stringify(files))});`;
    },
  };
}

/** Files that a first one names, and those that they name. */
async function reachable(
  first: string,
  read: (path: string) => Promise<string>,
  namedIn: (text: string, path: string) => readonly string[],
): Promise<Files> {
  const files: Record<string, string> = {};
  const open = [first];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (path in files) continue;
    const text = await read(path);
    files[path] = text;
    open.push(...namedIn(text, path));
  }
  return files;
}

/** The declarations of the main entry, by their paths in the package. */
async function fluxionDeclarations(): Promise<Files> {
  await mkdir(join(ROOT, ".cache"), { recursive: true });
  const folder = await mkdtemp(join(ROOT, ".cache", "declarations-"));
  try {
    const tsc = join(dirname(resolve("typescript/package.json")), "bin", "tsc");
    // Whether the sources are right is what `npm run check` says.
    const options = "--noCheck --emitDeclarationOnly --sourceMap false --inlineSources false".split(" ");
    await promisify(execFile)(
      process.execPath,
      [tsc, "-p", join(ROOT, "tsconfig.build.json"), ...options, "--outDir", folder],
      { cwd: ROOT },
    );
    return await reachable(
      "index.d.ts",
      (path) => readFile(join(folder, path), "utf8"),
      (text, path) =>
        [...text.matchAll(/(?:from |import\()"(\.[^"]+)"/g)].map(([, to = ""]) =>
          posix.join(posix.dirname(path), to.replace(/(\.d)?\.[jt]s$/, ".d.ts")),
        ),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** TypeScript's own, by their names. */
async function typescriptLibrary(): Promise<Files> {
  const folder = dirname(resolve("typescript-js"));
  return reachable(
    LIBRARY,
    (path) => readFile(join(folder, relative(".", path)), "utf8"),
    (text) => [...text.matchAll(/^\/\/\/ <reference lib="([^"]+)"/gm)].map(([, lib]) => `lib.${lib}.d.ts`),
  );
}
