/**
 * The vocabulary of a run, in its folder: with it, what the models wrote can be read when the text is gone. It says which text it
 * belongs to and holds a hash of itself, since a vocabulary of the right size and the wrong words would give wrong text, not an error.
 *
 * Consumed by the commands that train and sample.
 */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { vocabularyFromJson } from "../../models/data/index.ts";
import type { Vocabulary } from "../../models/data/index.ts";
import { errorCode, fileError, UserError } from "./errors.ts";
import { fieldsOf } from "./fields.ts";
import { writeRunText } from "./run-folder.ts";
import type { RunFolder } from "./run-folder.ts";

const NAME = "vocabulary.json";
/** A million of the longest words. */
const MOST_BYTES = 128 * 2 ** 20;
/** No word of a text holds these, and a terminal obeys some of them. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Z}]/gu;

const hashOf = ({ kind, tokens, separator, unknown }: Vocabulary): string =>
  createHash("sha256")
    .update(JSON.stringify([kind, tokens, separator, unknown]))
    .digest("hex")
    .slice(0, 32);

/**
 * Writes the vocabulary into the run's folder, atomically.
 * @param text the fingerprint of the run's text
 * @throws UserError when it cannot be written
 */
export async function saveVocabulary(
  run: RunFolder<unknown>,
  vocabulary: Vocabulary,
  text: string,
): Promise<void> {
  const content = { format: "fluxion-vocabulary", version: 1, text, hash: hashOf(vocabulary), vocabulary };
  await writeRunText(run, NAME, `${JSON.stringify(content, null, 1)}\n`);
}

/**
 * The vocabulary in the run's folder; undefined when there is none, as in folders of earlier versions.
 * @param text the fingerprint that it must have; undefined takes any
 * @throws UserError when it is damaged, of another text, or of another kind of file
 */
export async function loadVocabulary(
  run: RunFolder<unknown>,
  text: string | undefined,
): Promise<Vocabulary | undefined> {
  const path = join(run.dir, NAME);
  const content = await contentOf(path);
  if (content === undefined) return undefined;
  const bad = (problem: string): UserError =>
    new UserError(`${path} ${problem}; delete it, and the text of the run gives the vocabulary again.`);
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch {
    throw bad(`is damaged: its ${content.length} characters are not JSON`);
  }
  const fields = fieldsOf(json, path);
  if (!fields.has("format") || fields.value("format") !== "fluxion-vocabulary")
    throw bad('is no vocabulary: it does not say "format": "fluxion-vocabulary"');
  const version = fields.number("version");
  if (version !== 1) throw bad(`has version ${version}, and this program reads version 1`);
  if (text !== undefined && fields.string("text") !== text) throw bad("belongs to another text than the run");
  let vocabulary: Vocabulary;
  try {
    vocabulary = vocabularyFromJson(fields.value("vocabulary"));
  } catch (error) {
    if (error instanceof RangeError) throw bad(`is damaged: ${error.message.replace(UNPRINTABLE, " ")}`);
    throw error;
  }
  if (fields.string("hash") !== hashOf(vocabulary))
    throw bad("is damaged or was changed: its words are not those that were written");
  if (vocabulary.tokens.some((token) => token !== " " && token.search(UNPRINTABLE) >= 0))
    throw bad("holds a word with characters that are in no word");
  return vocabulary;
}

/** The file's text; undefined when there is no file. */
async function contentOf(path: string): Promise<string | undefined> {
  try {
    const status = await stat(path); // before opening, which would wait for ever at a named pipe
    if (!status.isFile()) throw new UserError(`${path} is no regular file; remove it.`);
    if (status.size > MOST_BYTES)
      throw new UserError(`${path} has ${status.size} bytes, which is no vocabulary; delete it.`);
    return await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw fileError(error, "read", path);
  }
}
