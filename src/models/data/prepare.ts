/**
 * Documents to token streams: normalize, drop repeats, split by document, choose the vocabulary, deal with the
 * words outside it, pack. Consumed by the command line, which reads the documents, and by examples.
 * To add a kind of token: `vocabulary.ts` first, then a branch in `prepareText`.
 */

import { countEdges, cutLine } from "./cut-lines.ts";
import { documentLines, lineCharacters, lineWords } from "./normalize.ts";
import { packLines } from "./pack.ts";
import { DEFAULT_FRACTIONS, hashText, splitOf, type SplitFractions, type SplitName } from "./splits.ts";
import { charVocabulary, encodeLine, wordVocabulary, type TokenKind, type Vocabulary } from "./vocabulary.ts";
import { closedWords, frequentWords } from "./word-selection.ts";

/**
 * What happens to a line with words outside the vocabulary. `cut`: it is cut there, and its pieces are lines
 * of their own. `drop`: it is left out, and the vocabulary is chosen so that few lines are. `keep`: it stays,
 * and those words become the unknown token (the other two have none, and need none).
 */
export type UnknownPolicy = "cut" | "drop" | "keep";

export interface PrepareOptions {
  readonly tokens?: TokenKind;
  /** V of a word vocabulary, special tokens included (2000). A text with fewer words gives a smaller one. */
  readonly vocabularySize?: number;
  /** For words outside the vocabulary (`cut`). Characters have none. */
  readonly unknown?: UnknownPolicy;
  /** Shorter lines are left out: in words for `words` (4), in characters for `chars` (8). */
  readonly minimumLineLength?: number;
  readonly fractions?: SplitFractions;
  /**
   * What happens to a line that occurs again, here or in another document (`drop`). `keep`: it stays as often as it occurs, so that the text's
   * own law is learned. Equal documents are in the same split, but a line of two different documents may be in two.
   */
  readonly repeats?: "drop" | "keep";
  /** Another number sends other documents to each split (0). */
  readonly salt?: number;
  /** Every split must hold at least this many tokens (1): the length of a training sequence. */
  readonly minimumSplitTokens?: number;
}

/** What was kept of one split. */
export interface SplitReport {
  /** Documents of which at least one line is left. */
  readonly documents: number;
  readonly lines: number;
  /** Length of the stream, separators included. */
  readonly tokens: number;
}

export interface PreparedText {
  readonly vocabulary: Vocabulary;
  /** One packed stream of ids for each split. No line is in two of them, where repeats are dropped. */
  readonly streams: Readonly<Record<SplitName, Int32Array>>;
  readonly report: {
    /** Lines that were dropped because they occur before, before the vocabulary was applied. */
    readonly repeatedLines: number;
    /** Lines of at least the minimum length without those, before the vocabulary was applied, and their tokens. */
    readonly candidateLines: number;
    readonly candidateTokens: number;
    readonly keptLines: number;
    /** Tokens of the kept lines, without separators. */
    readonly keptTokens: number;
    /** Share of unknown tokens among the kept ones. */
    readonly unknownRate: number;
    readonly splits: Readonly<Record<SplitName, SplitReport>>;
  };
}

/** A line, in the form that the steps below hand on. */
interface Line {
  /** Number of the document in the sorted order. */
  readonly document: number;
  readonly split: SplitName;
  /** Its tokens in one string: words with single spaces between them, or characters. */
  readonly text: string;
  /** In tokens. */
  readonly length: number;
}

const SPLITS = ["train", "validation", "judge"] as const satisfies readonly SplitName[];

/**
 * The streams and the vocabulary of a corpus. The same documents in any order give the same result: documents
 * are sorted by hash, which also mixes their topics along the stream.
 *
 * A document goes to one split with all its lines. A line that occurs again, there or anywhere else, is
 * dropped unless asked otherwise, so the judge has read no line that the models have. The vocabulary is chosen on all splits, like a
 * tokenizer made beforehand: chosen on `train` alone, it would let other kinds of lines pass there than
 * elsewhere.
 *
 * @throws RangeError if the options make no sense, or a split ends up with fewer than `minimumSplitTokens`
 * tokens
 */
export function prepareText(documents: readonly string[], options: PrepareOptions = {}): PreparedText {
  const kind = options.tokens ?? "words";
  const minimum = options.minimumLineLength ?? (kind === "words" ? 4 : 8);
  const fractions = checkFractions(options.fractions ?? DEFAULT_FRACTIONS);
  const once = options.repeats === "keep" ? (all: readonly Line[]) => all : deduplicated;
  const long = linesOf(documents, kind, minimum, fractions, options.salt ?? 0);
  const lines = once(long);
  if (lines.length === 0) {
    const [unit, cause] =
      kind === "words"
        ? ["words", "are there no spaces between its words?"]
        : ["letters a-z", "is it in letters that these tokens do not have?"];
    throw new RangeError(`the text has no line of at least ${minimum} ${unit} (${cause}); use another text`);
  }
  const { vocabulary, kept } =
    kind === "chars"
      ? { vocabulary: charVocabulary(), kept: lines }
      : applyWordVocabulary(lines, options.vocabularySize ?? 2000, options.unknown ?? "cut", minimum, once);

  const part = (split: SplitName) => {
    const own = kept.filter((line) => line.split === split);
    const encoded = own.map(({ text }) => encodeLine(vocabulary, kind === "words" ? text.split(" ") : text));
    const stream = packLines(encoded, vocabulary.separator);
    const documentCount = new Set(own.map((line) => line.document)).size;
    return { stream, report: { documents: documentCount, lines: own.length, tokens: stream.length } };
  };
  const parts = { train: part("train"), validation: part("validation"), judge: part("judge") };
  const repeatedLines = long.length - lines.length;
  checkSplitSizes(parts, options.minimumSplitTokens ?? 1, documents.length, repeatedLines);
  const keptTokens = sum(kept.map((line) => line.length));
  const unknowns = sum(SPLITS.map((split) => countId(parts[split].stream, vocabulary.unknown)));
  return {
    vocabulary,
    streams: { train: parts.train.stream, validation: parts.validation.stream, judge: parts.judge.stream },
    report: {
      repeatedLines,
      candidateLines: lines.length,
      candidateTokens: sum(lines.map((line) => line.length)),
      keptLines: kept.length,
      keptTokens,
      unknownRate: unknowns / keptTokens,
      splits: { train: parts.train.report, validation: parts.validation.report, judge: parts.judge.report },
    },
  };
}

/** Lines of at least the minimum length, in the order of the hashes of the documents. */
function linesOf(
  documents: readonly string[],
  kind: TokenKind,
  minimum: number,
  fractions: SplitFractions,
  salt: number,
): readonly Line[] {
  const ordered = documents
    .map((text) => ({ text, hash: hashText(text, salt) }))
    .sort((a, b) => a.hash - b.hash || (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
  const all = ordered.flatMap(({ text, hash }, document) => {
    // Another hash than the one that sorts: with the same one, a line found in two splits would always survive
    // in the same one of them.
    const split = splitOf(hashText(text, hash), fractions);
    return documentLines(text).map((line): Line => {
      const tokens = kind === "words" ? lineWords(line) : lineCharacters(line);
      const own = typeof tokens === "string" ? tokens : tokens.join(" ");
      return { document, split, text: own, length: tokens.length };
    });
  });
  return all.filter((line) => line.length >= minimum);
}

function applyWordVocabulary(
  lines: readonly Line[],
  size: number,
  policy: UnknownPolicy,
  minimum: number,
  once: (pieces: readonly Line[]) => readonly Line[],
) {
  if (!(Number.isInteger(size) && size >= 8)) {
    throw new RangeError(
      `a vocabulary needs a whole number of at least 8 tokens, but ${size} were asked for`,
    );
  }
  const words = lines.map((line) => line.text.split(" "));
  if (policy === "keep") {
    return { vocabulary: wordVocabulary(frequentWords(words, size - 2), { unknown: true }), kept: lines };
  }
  const chosen = policy === "drop" ? closedWords(words, size - 1) : frequentWords(words, size - 1);
  const vocabulary = wordVocabulary(chosen, { unknown: false });
  const known = new Set(chosen);
  if (policy === "drop") {
    return { vocabulary, kept: lines.filter((_, i) => words[i]?.every((word) => known.has(word)) ?? false) };
  }
  const edges = countEdges(words);
  const pieces = lines.flatMap((line, i) =>
    cutLine(words[i] ?? [], known, edges).map((run) => ({
      ...line,
      text: run.join(" "),
      length: run.length,
    })),
  );
  return { vocabulary, kept: once(pieces.filter((piece) => piece.length >= minimum)) };
}

function deduplicated(lines: readonly Line[]): readonly Line[] {
  const seen = new Set<string>();
  return lines.filter(({ text }) => !seen.has(text) && seen.add(text));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function countId(stream: Int32Array, id: number | null): number {
  return id === null ? 0 : stream.reduce((count, token) => count + (token === id ? 1 : 0), 0);
}

function checkFractions(fractions: SplitFractions): SplitFractions {
  const values = SPLITS.map((split) => fractions[split]);
  if (!values.every((value) => value > 0) || Math.abs(sum(values) - 1) > 1e-9) {
    throw new RangeError(`split fractions must be positive and sum to 1, but are ${values.join(", ")}`);
  }
  return fractions;
}

/** With so many documents every split has some. */
const FEW_DOCUMENTS = 100;

function checkSplitSizes(
  parts: Readonly<Record<SplitName, { readonly stream: Int32Array }>>,
  minimum: number,
  documents: number,
  repeatedLines: number,
): void {
  const needed = Math.max(1, minimum);
  if (SPLITS.every((split) => parts[split].stream.length >= needed)) return;
  const sizes = SPLITS.map((split) => `${split} ${parts[split].stream.length}`).join(", ");
  const total = sum(SPLITS.map((split) => parts[split].stream.length));
  // Twenty times what is needed is enough of a text by the usual fractions: then it is its documents that are too few.
  if (documents < FEW_DOCUMENTS && total >= 20 * needed)
    throw new RangeError(
      `the text has too few documents, ${documents}, and none is divided between the splits, which are ${sizes} tokens and need ${needed} each; ` +
        "give a document on each line, or paragraphs with blank lines between them",
    );
  const again =
    repeatedLines === 0
      ? ""
      : `, without ${repeatedLines} repeated ${repeatedLines === 1 ? "line" : "lines"}`;
  throw new RangeError(
    `the text is too short: in tokens its splits are ${sizes}${again}, and each needs ${needed}; ` +
      "use more text, a larger vocabulary, or a shorter sequence",
  );
}
