/**
 * How the kernels of attention for GPUs share work and workgroup memory: as in attention-tile.ts, but lanes move quads, the innermost loops
 * are written out, and a lane has rows and columns by fours. A workgroup holds a block of rows and passes through the rows of the other
 * kind block by block. Of its lanes, `down` side by side have different held rows, and `across` have different passing rows and columns.
 *
 * Consumed by attention-quad-writer.ts, which writes kernels for a tile, and attention-choice.ts, which says when there is one.
 */
import type { AttentionShape } from "./attention-problem.ts";

export interface QuadTile {
  readonly across: number;
  readonly down: number;
  /** Held and passing rows of a lane, multiples of four. */
  readonly held: number;
  readonly passing: number;
  /** Columns, or rows of values, that are in workgroup memory at a time; the innermost loop is written out for so many. */
  readonly part: number;
}

export const quadHeld = ({ down, held }: QuadTile): number => down * held;
export const quadPassing = ({ across, passing }: QuadTile): number => across * passing;
export const quadLanes = ({ across, down }: QuadTile): number => across * down;

/** Columns that the lanes of a workgroup have side by side, a quad each. */
export const quadColumns = ({ across }: QuadTile): number => 4 * across;

/** Workgroups for `batch` independent problems of so many held rows. */
export const quadBlocks = (tile: QuadTile, batch: number, held: number): number =>
  batch * Math.ceil(held / quadHeld(tile));

/** Arrays in workgroup memory: parts of held and passing rows, of values, weights of a block, and a number of each lane to be combined. */
export type QuadArray = "held" | "passing" | "values" | "weights" | "combined";

/** Their lengths, when the widest matrix has so many columns. */
export const quadMemory = (tile: QuadTile, columns: number): Readonly<Record<QuadArray, number>> => ({
  held: tile.part * quadHeld(tile),
  passing: tile.part * quadPassing(tile),
  values: tile.part * columns,
  weights: quadPassing(tile) * quadHeld(tile),
  combined: tile.across * quadHeld(tile),
});

export const quadBytes = (tile: QuadTile, columns: number): number =>
  4 * Object.values(quadMemory(tile, columns)).reduce((sum, words) => sum + words, 0);

/** Whether the lanes of a tile can share matrices of these columns. */
export const sharesColumns = (tile: QuadTile, { depth, width }: AttentionShape): boolean =>
  [depth, width].every((columns) => columns % quadColumns(tile) === 0 && columns % tile.part === 0) &&
  quadPassing(tile) % tile.part === 0;
