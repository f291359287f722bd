/**
 * The vocabulary of a run, in its folder: with it, what the models wrote can be read when the text is gone. It says which text it
 * belongs to and holds a hash of itself, since a vocabulary of the right size and the wrong words would give wrong text, not an error.
 *
 * Consumed by the commands that train and sample.
 */
import { vocabularyFromJson } from "../../models/data/index.ts";
import type { Vocabulary } from "../../models/data/index.ts";
import { UserError } from "../files/errors.ts";
import { fieldsOf } from "../files/fields.ts";
import { fingerprintOf } from "./sha256.ts";
import type { RunStore } from "./store.ts";

const NAME = "vocabulary.json";
/** A million of the longest words. */
const MOST_BYTES = 128 * 2 ** 20;
/** No word of a text holds these, and a terminal obeys some of them. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Z}]/gu;

const hashOf = ({ kind, tokens, separator, unknown }: Vocabulary): string =>
  fingerprintOf([new TextEncoder().encode(JSON.stringify([kind, tokens, separator, unknown]))]);

/**
 * The text of vocabulary.json.
 * @param text the fingerprint of the run's text
 */
export function vocabularyText(vocabulary: Vocabulary, text: string): string {
  const content = { format: "fluxion-vocabulary", version: 1, text, hash: hashOf(vocabulary), vocabulary };
  return `${JSON.stringify(content, null, 1)}\n`;
}

/**
 * Writes the vocabulary into the run's folder, atomically.
 * @param text the fingerprint of the run's text
 * @throws UserError when it cannot be written
 */
export async function saveVocabulary(
  run: RunStore<unknown>,
  vocabulary: Vocabulary,
  text: string,
): Promise<void> {
  await run.writeText(NAME, vocabularyText(vocabulary, text));
}

/**
 * The vocabulary in the run's folder; undefined when there is none, as in folders of earlier versions.
 * @param text the fingerprint that it must have; undefined takes any
 * @throws UserError when it is damaged, of another text, or of another kind of file
 */
export async function loadVocabulary(
  run: RunStore<unknown>,
  text: string | undefined,
): Promise<Vocabulary | undefined> {
  const path = run.path(NAME);
  const content = await run.readText(NAME, MOST_BYTES);
  if (content === undefined) return undefined;
  const bad = (problem: string): UserError => new UserError(`${path} ${problem}; ${run.advice.vocabulary}.`);
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
