/**
 * Patterns such as "New _ _ York" as the tokens that a text must have: words of a run's vocabulary, or letters, and `_` where any may come.
 * Consumed by texts.ts.
 */
import { foldText } from "../../models/data/index.ts";
import type { Vocabulary } from "../../models/data/index.ts";
import { UserError } from "../files/errors.ts";

const ANY = "_";

/**
 * Tokens [length], −1 where any may come, as after the end of the pattern.
 * @param called what messages call the pattern
 * @throws UserError for a pattern that is longer than a text, or has a token that the vocabulary has not
 */
export function patternTokens(
  pattern: string,
  vocabulary: Vocabulary,
  length: number,
  called: string,
): Int32Array {
  const folded = foldText(pattern);
  const parts = vocabulary.kind === "words" ? folded.split(/\s+/).filter((part) => part !== "") : [...folded];
  const what = vocabulary.kind === "words" ? "words" : "characters";
  if (parts.length > length)
    throw new UserError(`${called} has ${parts.length} ${what}, and texts of this run have ${length}`);
  const known = parts.filter((part) => part !== ANY);
  if (known.length === 0)
    throw new UserError(
      `${called} "${pattern}" gives nothing: write ${what} to keep, and ${ANY} where any may come`,
    );
  const tokens = new Int32Array(length).fill(-1);
  parts.forEach((part, i) => {
    if (part === ANY) return;
    // Texts are printed with a bar between two lines.
    const bar = part === "|" && vocabulary.kind === "words";
    const id = bar ? vocabulary.separator : vocabulary.tokens.indexOf(part);
    if (id < 0 || id === vocabulary.unknown)
      throw new UserError(
        `${called}: "${part}" is not in the run's vocabulary of ${vocabulary.tokens.length}`,
      );
    tokens[i] = id;
  });
  return tokens;
}
