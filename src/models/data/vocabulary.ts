/**
 * A vocabulary is pure data: the token strings in order of their ids, and the ids with a special meaning.
 * Consumed by the packing, by the networks (its size is V), and by everything that prints samples; it is
 * stored in a run's configuration, so it must survive JSON.
 * To add a kind of token, add it to `TokenKind`, give it a constructor here, and a case to `encodeLine` and
 * `decode`.
 */

/** `words`: one token a word. `chars`: the 27 symbols space and a-z. */
export type TokenKind = "words" | "chars";

/** Token strings and special ids. `tokens.length` is V. */
export interface Vocabulary {
  readonly kind: TokenKind;
  readonly tokens: readonly string[];
  /** The id that stands between two lines of a packed stream. In `chars` it is the space. */
  readonly separator: number;
  /** The id of every word outside the vocabulary, or `null` where there is none. */
  readonly unknown: number | null;
}

export const SEPARATOR_TOKEN = "<sep>";
export const UNKNOWN_TOKEN = "<unk>";

/**
 * A word vocabulary: separator, unknown, then the given words in their order.
 *
 * @param words distinct, non-empty; V = words.length + 2, or + 1 without an unknown token
 * @throws RangeError if a word repeats or is one of the special tokens
 */
export function wordVocabulary(
  words: readonly string[],
  options: { readonly unknown?: boolean } = {},
): Vocabulary {
  const withUnknown = options.unknown ?? true;
  const tokens = withUnknown ? [SEPARATOR_TOKEN, UNKNOWN_TOKEN, ...words] : [SEPARATOR_TOKEN, ...words];
  return checkVocabulary({ kind: "words", tokens, separator: 0, unknown: withUnknown ? 1 : null });
}

/** Space and a-z, V = 27, as in the text8 corpus. Lines are separated by a space, like words. */
export function charVocabulary(): Vocabulary {
  return { kind: "chars", tokens: [...CHARACTERS], separator: 0, unknown: null };
}

/**
 * The same text as ids, without a separator.
 *
 * @param line the words of a line (`lineWords`), or its characters (`lineCharacters`), matching the
 * vocabulary
 * @throws RangeError for a token outside a vocabulary that has no unknown token
 */
export function encodeLine(vocabulary: Vocabulary, line: Iterable<string>): Int32Array {
  const ids = idsOf(vocabulary);
  return Int32Array.from(line, (token) => {
    const id = ids.get(token) ?? vocabulary.unknown;
    if (id === null)
      throw new RangeError(`"${token}" is not in the vocabulary of ${vocabulary.tokens.length} tokens`);
    return id;
  });
}

/**
 * Ids as readable text: words with spaces between them, a separator as ` | ` (or as `separator`); characters
 * as they are. Separators at either end and doubled ones are shown too, since a sample may contain them.
 *
 * @throws RangeError for an id outside [0, V)
 */
export function decode(
  vocabulary: Vocabulary,
  ids: Iterable<number>,
  options: { readonly separator?: string } = {},
) {
  const words = Array.from(ids, (id) => {
    const token = vocabulary.tokens[id];
    if (token === undefined)
      throw new RangeError(`token id ${id} is outside [0, ${vocabulary.tokens.length})`);
    return vocabulary.kind === "words" && id === vocabulary.separator ? (options.separator ?? "|") : token;
  });
  return words.join(vocabulary.kind === "chars" ? "" : " ");
}

/**
 * A vocabulary from parsed JSON, checked.
 *
 * @throws RangeError that says which part is wrong
 */
export function vocabularyFromJson(value: unknown): Vocabulary {
  if (typeof value !== "object" || value === null) throw new RangeError("a vocabulary must be an object");
  // An object has some fields; each is checked below.
  const { kind, tokens, separator, unknown } = value as Readonly<Record<string, unknown>>;
  if (kind !== "words" && kind !== "chars")
    throw new RangeError('a vocabulary\'s kind must be "words" or "chars"');
  if (!Array.isArray(tokens) || !tokens.every((token): token is string => typeof token === "string")) {
    throw new RangeError("a vocabulary's tokens must be a list of strings");
  }
  if (typeof separator !== "number") throw new RangeError("a vocabulary's separator must be a token id");
  if (unknown !== null && typeof unknown !== "number") {
    throw new RangeError("a vocabulary's unknown must be a token id or null");
  }
  return checkVocabulary({ kind, tokens, separator, unknown });
}

const CHARACTERS = " abcdefghijklmnopqrstuvwxyz";

const idTables = new WeakMap<Vocabulary, ReadonlyMap<string, number>>();

/** Token to id; remembered per vocabulary, because lines are encoded one at a time. */
function idsOf(vocabulary: Vocabulary): ReadonlyMap<string, number> {
  const known = idTables.get(vocabulary);
  if (known) return known;
  const table = new Map(vocabulary.tokens.map((token, id) => [token, id]));
  idTables.set(vocabulary, table);
  return table;
}

function checkVocabulary(vocabulary: Vocabulary): Vocabulary {
  const { tokens, separator, unknown } = vocabulary;
  const seen = new Set<string>();
  for (const token of tokens) {
    if (token === "") throw new RangeError("a vocabulary has an empty token");
    if (seen.has(token)) throw new RangeError(`a vocabulary has the token "${token}" twice`);
    seen.add(token);
  }
  for (const id of unknown === null ? [separator] : [separator, unknown]) {
    if (!Number.isInteger(id) || id < 0 || id >= tokens.length) {
      throw new RangeError(`a vocabulary's special id ${id} is outside [0, ${tokens.length})`);
    }
  }
  return vocabulary;
}
