/**
 * Text as documents, and documents as the streams of a run: what is done with a text once its bytes are there. Pure, safe in a browser.
 *
 * Consumed by ../files/corpus.ts, which reads files, and by the studio, whose texts are dropped into a page or come with it. What to do
 * with documents is `src/models/data`'s part.
 */
import { prepareText } from "../../models/data/index.ts";
import type { PreparedText, PrepareOptions } from "../../models/data/index.ts";
import { UserError } from "../files/errors.ts";
import type { DataConfig } from "../training/config.ts";
import { fingerprintOf } from "../run/sha256.ts";

/** Documents in their order; a document is what never gets divided between the splits. */
export interface Corpus {
  readonly name: string;
  readonly documents: readonly string[];
}

/** A text file's documents: one a line, or paragraphs with blank lines between them. */
export type Layout = "auto" | "lines" | "paragraphs";

/** A text must fit in one JavaScript string, with room for its normalized form. */
export const MAX_TEXT_BYTES = 256 * 2 ** 20;
/**
 * A longer document is cut, since a file without line breaks would otherwise be one document. In characters.
 */
const MAX_DOCUMENT_LENGTH = 10_000;

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
  const encoder = new TextEncoder();
  const pieces = [streams.train, streams.validation, streams.judge].flatMap((stream) => [
    encoder.encode(`;${stream.length};`),
    new Uint8Array(stream.buffer, stream.byteOffset, stream.byteLength),
  ]);
  return fingerprintOf([encoder.encode(JSON.stringify(vocabulary.tokens)), ...pieces]);
}

/** What the text of a run is called. */
export const textName = ({ file }: DataConfig): string => file ?? WORDNET_NAME;

/**
 * A corpus, split and encoded as a run's settings say. The same text and settings always give the same.
 * @throws UserError when the corpus cannot be used, or gives other tokens than when the run began
 */
export function textOfRun(
  corpus: Corpus,
  { data, network }: { readonly data: DataConfig; readonly network: { readonly length: number } },
): PreparedText {
  const { tokens, vocabularySize, unknown, repeats = "drop", fingerprint } = data;
  const minimumSplitTokens = network.length;
  const text = prepareCorpus(corpus, { tokens, vocabularySize, unknown, repeats, minimumSplitTokens });
  if (fingerprint === undefined || fingerprint === textFingerprint(text)) return text;
  throw new UserError(
    `The text of this run has changed: ${textName(data)} gives other tokens than when the run began. ` +
      'Restore that text or the settings under "data" in config.json, or start a new run.',
  );
}

/** The parts of WordNet's files, in the order of the corpus. */
export const WORDNET_PARTS = ["noun", "verb", "adj", "adv"] as const;

/**
 * WordNet's definitions, one document each, without remarks in parentheses.
 * @param files content of the data files, in the order of `WORDNET_PARTS`
 * @param examples also the example phrases, as documents of their own
 */
export function wordNetCorpus(files: Iterable<string>, examples = false): Corpus {
  const documents: string[] = [];
  for (const text of files)
    for (const line of text.split("\n")) {
      const bar = line.indexOf(" | ");
      if (bar < 0 || line.startsWith("  ")) continue; // the licence, at the top of each file, is indented
      const gloss = parseGloss(line.slice(bar + 3));
      documents.push(gloss.definition, ...(examples ? gloss.examples : []));
    }
  return { name: WORDNET_NAME, documents: documents.filter((text) => text !== "") };
}

/** What the corpus of WordNet's definitions is called. */
export const WORDNET_NAME = "WordNet definitions";

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

/**
 * The text in some bytes.
 * @param path what messages call them
 * @throws UserError when they are binary or not UTF-8
 */
export function decodeText(bytes: Uint8Array, path: string): string {
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
