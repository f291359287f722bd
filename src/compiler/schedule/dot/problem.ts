/**
 * A dot as its kernels see it: out[batch, row, column] = Σ_k left[batch, row, k] · right[batch, k, column]. Operands are expressions,
 * so that views, transposes and elementwise work before the dot cost no kernel; the store is a function, so that work after it
 * does not either.
 *
 * Consumed by the rungs of the ladder in this folder, and by the scheduler, which makes operands and stores.
 */
import {
  WORKGROUP,
  below,
  binary,
  both,
  index,
  minus,
  modulo,
  over,
  plus,
  times,
} from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr, Quad, QuadParts, QuadPlace } from "../../kernel/ir.ts";
import { MINIMUM_LIMITS } from "../../kernel/plan.ts";
import type { MatrixShape } from "../../kernel/plan.ts";

/** Extents: numbers where a kernel is chosen; where it is written, literals that stay in the text, or sizes, of which parameters are made. */
export interface DotShape<N = number> {
  readonly batch: N;
  readonly rows: N;
  readonly columns: N;
  readonly inner: N;
}

/**
 * How operands lie in memory. The axis along which neighbours lie side by side, where there is one, decides which lane loads which
 * element.
 */
export interface DotLayout {
  readonly left: "k" | "row" | undefined;
  readonly right: "k" | "column" | undefined;
  /** Type of both operands. Default f32. */
  readonly dtype?: "f32" | "f16";
  /** Whether an operand is computed, in f32, as it is read. Default false: both are read as they are stored. */
  readonly computed?: boolean;
}

/** Elements as f32. Indices are in bounds, literals or bound to names, and within one scope of the builder never the same twice. */
export interface DotOperands {
  left(batch: Expr, row: Expr, k: Expr): Expr;
  right(batch: Expr, k: Expr, column: Expr): Expr;
  /** Where operands have quads along the axis on which neighbours lie: its extent, and where quads begin, are multiples of four. */
  readonly leftQuads?: OperandQuads | undefined;
  readonly rightQuads?: OperandQuads | undefined;
}

/** Where a quad of an operand is. `i` is a row of the left one, a column of the right one. */
export type OperandQuads = (batch: Expr, i: Expr, k: Expr) => QuadPlace;

/** Called in a scope of its own, more than once for large tiles, with indices in bounds that are bound to names. */
export type DotStore = (batch: Expr, row: Expr, column: Expr, value: Expr) => void;

/** As `DotStore`, for four neighbours in a row, the first at a multiple of four: where rows have a multiple of four elements. */
export type DotStoreQuad = (batch: Expr, row: Expr, column: Expr, values: QuadParts) => void;

/** Where a dot's elements go. */
export interface DotResults {
  readonly store: DotStore;
  /** Undefined where they do not lie in quads. A kernel uses this one or the other. */
  readonly storeQuad?: DotStoreQuad | undefined;
}

/** How a dot is computed. */
export type DotRung =
  /** A lane for each element, no workgroup memory. */
  | { readonly kind: "direct" }
  /** For few rows or columns: `few` sums per lane. Lanes lie along k and along the axis that is not short; `fast` says along which
   * they are neighbours. */
  | {
      readonly kind: "gemv";
      readonly few: number;
      readonly of: "rows" | "columns";
      readonly kLanes: number;
      readonly wideLanes: number;
      readonly fast: "k" | "wide";
    }
  /** For few rows or columns: `few` sums per lane, and lanes of a subgroup exchange values. They lie along k, and add their sums up;
   * or along the axis that is not short, and each loads a part of what all of them need. */
  | {
      readonly kind: "subgroups";
      readonly few: number;
      readonly of: "rows" | "columns";
      readonly along: "k" | "wide";
    }
  /** `each` × `each` sums per lane, and no workgroup memory for the operands. */
  | { readonly kind: "registers"; readonly each: number }
  /** Square tiles, `depth` values of k at a time staged in workgroup memory; `each` × `each` sums per lane. */
  | {
      readonly kind: "tile";
      readonly tile: number;
      readonly depth: number;
      readonly each: number;
      /** Values of k that the innermost loop's text has. Its length is no constant, or compilers would write out all of it. */
      readonly unroll: number;
      /** Operands are f16 in workgroup memory too: for those that are stored so. */
      readonly half?: true;
    }
  /** Square tiles in quads: `each` rows × columns of sums per lane, multiples of four; the innermost loop is written out. */
  | {
      readonly kind: "quads";
      readonly tile: number;
      readonly depth: number;
      readonly each: readonly [rows: number, columns: number];
    }
  /** Tiles whose products matrix units make, in fragments of that shape. So many subgroups of the workgroup have fragments of the tile;
   * where subgroups are smaller than the largest, there are more, without any. For operands that are stored as f16. */
  | {
      readonly kind: "matrix";
      readonly shape: MatrixShape;
      /** Rows and columns of a subgroup's block of fragments, about. */
      readonly block: 32 | 64;
      readonly subgroups: 1 | 2 | 4 | 8;
      readonly lanes: number;
      /** A part of k is on its way to registers while the one before is multiplied. */
      readonly ahead?: true;
      /** Subgroups may be smaller than the largest. */
      readonly spare?: true;
    };

/** A slice along k is a multiple of it: of the depth of every tile, mostly. */
export const CHUNK = 32;

/** What a rung is given. With `slices`, k is cut into that many ranges, whose sums go to different places. */
export interface DotJob {
  readonly extents: DotShape<Expr>;
  readonly layout: DotLayout;
  readonly operands: DotOperands;
  readonly slices: { readonly count: Expr; readonly chunk: Expr } | undefined;
  readonly store: (slice: Expr, batch: Expr, row: Expr, column: Expr, value: Expr) => void;
  /** For dots that are not cut, where their elements lie in quads. */
  readonly storeQuad?: DotStoreQuad | undefined;
}

/** The part of the result that a workgroup computes, and the range of k that it sums over. */
export interface DotPart {
  readonly rowTile: Expr;
  readonly columnTile: Expr;
  readonly batch: Expr;
  readonly slice: Expr;
  readonly from: Expr;
  readonly to: Expr;
}

const tiles = (extent: Expr, tile: number): Expr => over(plus(extent, index(tile - 1)), index(tile));

/** The number of a literal that stays in the text. */
const inText = (x: Expr): number | undefined =>
  x.kind === "literal" && x.size !== true ? x.value : undefined;

/** Rows of tiles of which workgroups that run at the same time share columns: their operands stay in a cache. */
const BAND = 8;

/** Gives each workgroup a tile of the result, and nothing to those beyond the last. */
export function eachPart(
  builder: KernelBuilder,
  { extents, slices }: DotJob,
  tile: { readonly rows: number; readonly columns: number },
  write: (part: DotPart) => void,
): void {
  const rowTiles = builder.let(tiles(extents.rows, tile.rows));
  const columnTiles = builder.let(tiles(extents.columns, tile.columns));
  const outer = slices === undefined ? extents.batch : times(slices.count, extents.batch);
  const total = times(times(outer, rowTiles), columnTiles);
  const writePart = (): void => {
    const [columnTile, rows] = tileOf(builder, rowTiles, columnTiles);
    const rowTile = builder.let(modulo(rows, rowTiles));
    const rest = builder.let(over(rows, rowTiles));
    if (slices === undefined) {
      const to = extents.inner;
      write({ rowTile, columnTile, batch: rest, slice: index(0), from: index(0), to });
    } else {
      const batch = builder.let(modulo(rest, extents.batch));
      const slice = builder.let(over(rest, extents.batch));
      const from = builder.let(times(slice, slices.chunk));
      const to = builder.let(binary("min", plus(from, slices.chunk), extents.inner));
      write({ rowTile, columnTile, batch, slice, from, to });
    }
  };
  // Along one dimension there are as many workgroups as were asked for.
  if ((inText(total) ?? Infinity) <= MINIMUM_LIMITS.workgroups) writePart();
  else builder.if(below(WORKGROUP, total), writePart);
}

/**
 * The column of tiles that is a workgroup's, and the row, counted through all batches and slices. Where rows are known to be whole bands,
 * tiles go down a band before they go along it: on an NVIDIA H200 a product of 4096 is 1 % faster then.
 */
function tileOf(
  builder: KernelBuilder,
  rowTiles: Expr,
  columnTiles: Expr,
): readonly [columnTile: Expr, row: Expr] {
  const rows = inText(rowTiles);
  if (rows === undefined || rows % BAND !== 0)
    return [builder.let(modulo(WORKGROUP, columnTiles)), builder.let(over(WORKGROUP, columnTiles))];
  const tiles = times(columnTiles, index(BAND));
  const within = builder.let(modulo(WORKGROUP, tiles));
  const first = times(over(WORKGROUP, tiles), index(BAND));
  return [builder.let(over(within, index(BAND))), builder.let(plus(first, modulo(within, index(BAND))))];
}

/** Whether an extent is known to be a multiple of `tile`: then nothing is beyond the edge. */
const fits = (extent: Expr, tile: number): boolean => extent.kind === "literal" && extent.value % tile === 0;

/** An index in a tile, moved onto the last below `end` where it is beyond. Of `extent`, `end` is the end or a multiple of `tile`. */
export const within = (x: Expr, end: Expr, extent: Expr, tile: number): Expr =>
  fits(extent, tile) ? x : binary("min", x, minus(end, index(1)));

/** Whether an index in a tile is below `end`; undefined when it always is. */
export const inside = (x: Expr, end: Expr, extent: Expr, tile: number): Expr | undefined =>
  fits(extent, tile) ? undefined : below(x, end);

/** As `within`, for the first of a quad along the tile. The extent is a multiple of four there: a quad is within the operand, or beyond it. */
export const quadWithin = (x: Expr, extent: Expr, tile: number): Expr =>
  fits(extent, tile) ? x : binary("min", x, minus(extent, index(4)));

/**
 * Has a variable be a quad of an operand, or zeros where that is beyond the end of k: a quad along k is before it or beyond.
 * @param half the variable's numbers are f16
 */
export function fetchQuad(
  builder: KernelBuilder,
  name: string,
  before: Expr | undefined,
  from: () => QuadPlace,
  half = false,
): void {
  const kept = half ? ({ half } as const) : {};
  const assign = (value: Quad): void => builder.emit({ kind: "assignQuad", name, value });
  const take = (): void => assign({ kind: "loaded", from: from(), ...kept });
  if (before === undefined) take();
  else builder.if(before, take, () => assign({ kind: "zeros", ...kept }));
}

/** Emits what `write` does where all conditions hold. */
export function when(
  builder: KernelBuilder,
  conditions: readonly (Expr | undefined)[],
  write: () => void,
): void {
  const given = conditions.filter((condition) => condition !== undefined);
  const [first, ...rest] = given;
  if (first === undefined) for (const statement of builder.block(write)) builder.emit(statement);
  else builder.if(rest.reduce(both, first), write);
}
