/**
 * How the kernels of attention share work and workgroup memory. A workgroup holds a block of rows (of queries, or of keys) and passes
 * through the rows of the other kind block by block. Its lanes form a grid: `across` of them side by side share passing rows and columns,
 * `down` of them share held rows.
 *
 * Consumed by attention-writer.ts, which writes kernels for a tile, and attention-choice.ts, which chooses one.
 */

export interface FlashTile {
  readonly across: number;
  readonly down: number;
  /** What one lane has of a block: held rows, passing rows, and columns of its widest accumulator. */
  readonly held: number;
  readonly passing: number;
  readonly columns: number;
  /** The most columns that are in workgroup memory at a time while dot products are summed. */
  readonly chunk: number;
}

/** What a kernel does, as far as its tile depends on it. */
export interface FlashDemand {
  /** Rows in all. */
  readonly held: number;
  readonly passing: number;
  /** Columns of the matrices in dot products, and how many such matrices there are at a time on each side. */
  readonly depths: readonly number[];
  readonly sides: number;
  /** Columns of each accumulator of held rows. */
  readonly accumulators: readonly number[];
  /** Columns of each matrix of passing rows that weights are combined with; and how many kinds of weights there are. */
  readonly values: readonly number[];
  readonly weights: number;
  /** Whether lanes combine numbers of their held rows. */
  readonly combines: boolean;
  /** The most columns of a matrix that is staged, a part at a time, where dot products were summed before. */
  readonly restaged?: number;
}

export const heldRows = ({ down, held }: FlashTile): number => down * held;
export const passingRows = ({ across, passing }: FlashTile): number => across * passing;
export const lanesOf = ({ across, down }: FlashTile): number => across * down;

/** Columns that one lane has of `columns` in all, or of the part of them that a workgroup has. */
export const columnsOfLane = (tile: FlashTile, columns: number): number =>
  Math.min(tile.columns, Math.ceil(columns / tile.across));

/** Workgroups side by side that share the columns of the widest accumulator; each computes the weights for itself. */
export const columnBlocks = ({ across, columns }: FlashTile, { accumulators }: FlashDemand): number =>
  Math.ceil(Math.max(1, ...accumulators) / (across * columns));

/** Workgroups for `batch` independent problems. */
export const blocksOf = (tile: FlashTile, demand: FlashDemand, batch: number): number =>
  batch * Math.ceil(demand.held / heldRows(tile)) * columnBlocks(tile, demand);

/** Columns that are staged at a time: equal parts of all of them. */
export const chunkOf = ({ chunk }: FlashTile, columns: number): number =>
  Math.ceil(columns / Math.ceil(columns / chunk));

/** Words from one column of held or passing rows to the next: one more than the rows, so that lanes do not meet in a memory bank. */
export const heldStride = (tile: FlashTile): number => heldRows(tile) + 1;
export const passingStride = (tile: FlashTile): number => passingRows(tile) + 1;

/** Lengths of the arrays in workgroup memory. */
export interface FlashMemory {
  /** For dot products, and what they are used for later. */
  readonly staged: number;
  readonly values: readonly number[];
  readonly weights: readonly number[];
  readonly combined: number;
}

export function memoryOf(tile: FlashTile, demand: FlashDemand): FlashMemory {
  const chunk = Math.max(...demand.depths.map((columns) => chunkOf(tile, columns)));
  const rows = passingRows(tile);
  const restaged = columnsOfLane(tile, demand.restaged ?? 0) * tile.across;
  return {
    staged: Math.max(
      demand.sides * chunk * (heldStride(tile) + passingStride(tile)),
      Math.max(heldRows(tile), rows) * restaged,
    ),
    values: demand.values.map((columns) => rows * columnsOfLane(tile, columns) * tile.across),
    weights: Array.from({ length: demand.weights }, () => rows * heldStride(tile)),
    combined: demand.combines ? heldRows(tile) * tile.across : 0,
  };
}

export const wordsOf = ({ staged, values, weights, combined }: FlashMemory): number =>
  [staged, combined, ...values, ...weights].reduce((sum, words) => sum + words, 0);
