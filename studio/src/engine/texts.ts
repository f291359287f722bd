/**
 * Texts to train on: WordNet's definitions, which come with the page as a file of their own that is fetched when they are first needed,
 * or a file that was dropped. Consumed by engine.ts.
 */
import bundledUrl from "virtual:bundled-text";
import { UserError } from "../../../src/runtime/files/errors.ts";
import type { PreparedText } from "../../../src/models/data/index.ts";
import { decodeText, textDocuments, textOfRun, WORDNET_NAME } from "../../../src/runtime/text/documents.ts";
import type { Corpus } from "../../../src/runtime/text/documents.ts";
import type { TrainingConfig } from "../../../src/runtime/training/config.ts";
import { LARGEST_TEXT } from "./protocol.ts";
import { storageError } from "./storage/folder.ts";

/** The first two bytes of gzip. */
const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

let bundled: Promise<Corpus> | undefined;

/** The text that comes with the page. @throws UserError when it cannot be fetched */
export function bundledCorpus(): Promise<Corpus> {
  bundled ??= fetchBundled().catch((error: unknown) => {
    bundled = undefined; // the next try may be luckier
    throw error;
  });
  return bundled;
}

async function fetchBundled(): Promise<Corpus> {
  try {
    const response = await fetch(bundledUrl);
    if (!response.ok) throw new Error(`the server says ${response.status}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    // Some servers take a compressed file for a compressed response, and then the browser has unpacked it already.
    const text = isGzip(bytes)
      ? await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text()
      : new TextDecoder().decode(bytes);
    return { name: WORDNET_NAME, documents: text.split("\n") };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `The text that comes with the page could not be fetched (${reason}); try again, or drop a text file.`,
      { cause: error },
    );
  }
}

/** @throws UserError for a file that is too large, before it is read */
export function checkTextFile({ name, size }: File): void {
  if (size > LARGEST_TEXT)
    throw new UserError(
      `${name} has ${Math.ceil(size / 1e6)} MB, and at most ${LARGEST_TEXT / 1e6} MB can be trained on here; drop a part of it.`,
    );
  if (size === 0) throw new UserError(`${name} is empty; drop a text file.`);
}

/** The text of a run in a file. @throws UserError for what is no text, or not the one that the run began with */
export async function textIn(file: File, config: TrainingConfig): Promise<PreparedText> {
  checkTextFile(file);
  return textOfRun(await fileCorpus(file, file.name), config);
}

/** A dropped text. @throws UserError when it is binary, not UTF-8, or has no text */
export async function fileCorpus(blob: Blob, name: string): Promise<Corpus> {
  const bytes = await blob.arrayBuffer().catch((error: unknown) => {
    throw storageError(error, "read", name);
  });
  const documents = textDocuments(decodeText(new Uint8Array(bytes), name));
  if (documents.length === 0)
    throw new UserError(`${name} holds no text, only white space; drop a text file.`);
  return { name, documents };
}
