/**
 * States: where a flow lives. The clean state of a token is its one-hot row in R^vocab, or its row of a table of vectors, in R^width, with
 * noise of the table's own space.
 *
 * Consumed by flow(). What training and sampling do in a space is state-space.ts, which makes one of these: `spaceFor`.
 */
import { partsOf, requireWord } from "./declared-parts.ts";

/** Rows of the vocabulary's identity: on R^vocab. */
export interface OneHotStates {
  readonly kind: "one-hot";
}

/** Rows of a table, as they are or brought to one length. */
export interface EmbeddedStates {
  readonly kind: "embedded";
  /** "learned" and "frozen" are the network's own table E, with and without a gradient; or the table itself, [vocab][width]. */
  readonly table: "learned" | "frozen" | readonly (readonly number[])[];
  /** What every row's length is made: a number, or the root of the width, so that coordinates are of size 1. As they are by default. */
  readonly norm?: RowNorm;
}

export type States = OneHotStates | EmbeddedStates;
export type RowNorm = number | "root of width";

interface NormOptions {
  readonly norm?: RowNorm;
}

/** One-hot states, the default. */
export const oneHotStates: OneHotStates = { kind: "one-hot" };

function embedded(table: EmbeddedStates["table"], { norm }: NormOptions): EmbeddedStates {
  if (norm !== undefined && typeof norm !== "number")
    requireWord("An embedding", "norm", norm, ["root of width"]);
  if (typeof norm === "number" && !(norm > 0 && Number.isFinite(norm)))
    throw new RangeError(`Rows of an embedding are brought to a positive length, got ${norm}.`);
  return { kind: "embedded", table, ...(norm === undefined ? {} : { norm }) };
}

/**
 * Rows of the network's table E, which learns with the flow. What judges tokens keeps them apart; a squared error to points that learn
 * would be least where all of them are 0, and flow() refuses it.
 * @throws RangeError for a norm that is not positive
 */
export const learnedEmbedding = (options: NormOptions = {}): EmbeddedStates =>
  embedded("learned", partsOf("A learned embedding", options, ["norm"]));

/**
 * Rows that stay as they are: of a given table, or of the network's as it is initialized.
 * @throws RangeError for a norm that is not positive, for a table whose rows have different numbers of entries, and for a row of zeros that is to
 *   have a length
 */
export function frozenEmbedding(
  declared: NormOptions & { readonly table?: readonly (readonly number[])[] } = {},
): EmbeddedStates {
  const { table, ...options } = partsOf("A frozen embedding", declared, ["norm", "table"]);
  if (table === undefined) return embedded("frozen", options);
  const width = table[0]?.length ?? 0;
  if (width === 0 || table.some((row) => row.length !== width || !row.every(Number.isFinite)))
    throw new RangeError(
      "A table of embeddings has a row of finite numbers for every token, all of one length that is not 0.",
    );
  const without = options.norm === undefined ? -1 : table.findIndex((row) => row.every((x) => x === 0));
  if (without >= 0)
    throw new RangeError(
      `Rows of an embedding are brought to one length, and row ${without} of the given table is 0, which has no direction.`,
    );
  return embedded(table, options);
}

/** How states are called in a sentence. */
export const statesName = (states: States): string =>
  states.kind === "one-hot"
    ? "one-hot"
    : states.table === "learned"
      ? "rows of a learned embedding"
      : "rows of a frozen embedding";

/** The length that rows of a width are brought to. */
export const normOf = (norm: RowNorm, width: number): number =>
  norm === "root of width" ? Math.sqrt(width) : norm;
