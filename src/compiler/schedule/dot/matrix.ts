/**
 * The top rung, for targets with matrix units: a workgroup computes a tile of the result, and its subgroups multiply fragments of the
 * operands, which lie in workgroup memory, a part of k at a time. An operand lies there along the axis that it has innermost, so that
 * neighbouring lanes load and store neighbouring elements; fragments take either order. What is beyond the end of k is zero there, and
 * what is beyond the edge of the result is computed and not stored. The sums go back through workgroup memory to be stored, as in tile.ts.
 *
 * Which subgroups there are is known when it runs: those beyond the ones that have fragments, where subgroups are smaller than the
 * largest, bring operands and store results only. Consumed by dot.ts; offered to the tuner alone (candidates.ts).
 */
import {
  LANE,
  below,
  index,
  literal,
  modulo,
  over,
  plus,
  select,
  subgroup,
  times,
} from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr, Fragment, FragmentPlace, SharedArray, Statement } from "../../kernel/ir.ts";
import type { MatrixShape, TargetLimits } from "../../kernel/plan.ts";
import { eachPart, inside, when, within } from "./problem.ts";
import type { DotJob, DotPart, DotRung } from "./problem.ts";

type Matrix = DotRung & { readonly kind: "matrix" };

/** Rows and columns of a subgroup's block of fragments, and values of k that are staged at a time, unless a fragment has more. */
const BLOCK = 32;
/** Elements that a lane loads before it stores them. */
const TOGETHER = 4;
/** Elements between lines in workgroup memory, so that lines do not begin in the same memory bank; and still at multiples of 16 bytes. */
const GAP = 8;

const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);
const fragmentsIn = (side: number): number => Math.max(1, Math.floor(BLOCK / side));

/** How a workgroup's tile is divided. */
interface Division {
  /** Subgroups with fragments, down and across the tile. */
  readonly groups: readonly [down: number, across: number];
  /** Fragments of a subgroup, down and across. */
  readonly fragments: readonly [down: number, across: number];
  /** Rows and columns of a subgroup's block. */
  readonly block: readonly [rows: number, columns: number];
  readonly depth: number;
  /** Rows of fragments whose sums are in workgroup memory at once. */
  readonly stored: number;
}

function divisionOf({ shape: { rows, columns, inner }, subgroups }: Matrix): Division {
  const down = subgroups === 1 ? 1 : 2;
  const fragments = [fragmentsIn(rows), fragmentsIn(columns)] as const;
  return {
    groups: [down, subgroups / down],
    fragments,
    block: [fragments[0] * rows, fragments[1] * columns],
    depth: fragmentsIn(inner) * inner,
    stored: fragments[0] % 2 === 0 ? fragments[0] / 2 : fragments[0],
  };
}

/** Rows and columns of the tile of a workgroup. */
export function matrixTile(rung: Matrix): { readonly rows: number; readonly columns: number } {
  const { groups, block } = divisionOf(rung);
  return { rows: groups[0] * block[0], columns: groups[1] * block[1] };
}

/** Bytes of workgroup memory. Operands may lie in either order. */
export function matrixBytes(rung: Matrix): number {
  const { rows, columns } = matrixTile(rung);
  const { depth, stored, fragments } = divisionOf(rung);
  const most = (side: number): number => Math.max((depth + GAP) * side, (side + GAP) * depth);
  const results = (rows * columns * stored) / fragments[0];
  const bytes = (element: MatrixShape["element"]): number => (element === "f16" ? 2 : 4);
  const { element, accumulator } = rung.shape;
  return bytes(element) * (most(rows) + most(columns)) + bytes(accumulator) * results;
}

/** Sums longer than this are not left to f16: they lose too much, and may overflow. */
const LONGEST_F16_SUM = 128;
/** Shapes worth timing. */
const MOST_SHAPES = 2;

/** The rungs for operands of f16 and sums of so many products: sums in f32, unless no shape has such. */
export function matrixRungs(
  { subgroups, matrices = [], lanes }: TargetLimits,
  inner: number,
): readonly Matrix[] {
  if (subgroups === undefined) return [];
  const most = Math.floor(lanes / subgroups.max);
  if (most < 1) return [];
  const of = (element: string, accumulator: string): readonly MatrixShape[] =>
    matrices.filter((shape) => shape.element === element && shape.accumulator === accumulator);
  // f32 holds what f16 does, so its products are the same.
  const exact = [of("f16", "f32"), of("f32", "f32")].find(({ length }) => length > 0);
  const shapes = exact ?? (inner <= LONGEST_F16_SUM ? of("f16", "f16") : []);
  const count = most >= 4 ? 4 : most >= 2 ? 2 : 1;
  return shapes
    .slice(0, MOST_SHAPES)
    .map((shape) => ({ kind: "matrix", shape, subgroups: count, lanes: count * subgroups.max }));
}

/** An array of f16 or f32, as fragments have their elements. */
const arrayOf = (element: MatrixShape["element"], length: number): SharedArray => ({
  type: "f32",
  length,
  ...(element === "f16" ? { half: true } : {}),
});

/** An operand's part of a tile in workgroup memory. */
interface Staged {
  readonly array: number;
  readonly stride: number;
  /** Whether k is innermost. */
  readonly alongK: boolean;
}

export function writeMatrix(builder: KernelBuilder, job: DotJob, rung: Matrix): void {
  const { shape } = rung;
  const { groups, fragments, block, depth } = divisionOf(rung);
  const tile = matrixTile(rung);
  const { layout, operands } = job;
  const { rows, columns } = job.extents;
  const staged = (side: number, alongK: boolean): Staged => {
    const [lines, length] = alongK ? [side, depth] : [depth, side];
    const stride = length + GAP;
    return { array: builder.shared(arrayOf(shape.element, lines * stride)), stride, alongK };
  };
  const left = staged(tile.rows, layout.left !== "row");
  const right = staged(tile.columns, layout.right === "k");

  eachPart(builder, job, tile, (part) => {
    const { batch, from, to } = part;
    const rowStart = builder.let(times(part.rowTile, index(tile.rows)));
    const columnStart = builder.let(times(part.columnTile, index(tile.columns)));
    const number = builder.let(subgroup("number"));
    const down = builder.let(times(over(number, index(groups[1])), index(block[0])));
    const across = builder.let(times(modulo(number, index(groups[1])), index(block[1])));
    const sums = upTo(fragments[0]).map(() =>
      upTo(fragments[1]).map(() =>
        builder.zeroFragment({ rows: shape.rows, columns: shape.columns, element: shape.accumulator }),
      ),
    );
    const stage = stagerOf(builder, job, rung, part);
    const multiplying = (write: () => void): void => builder.if(below(number, index(rung.subgroups)), write);

    builder.for(from, to, index(depth), (kStart) => {
      stage(left, tile.rows, kStart, (i, k) =>
        operands.left(batch, builder.let(within(plus(rowStart, i), rows, rows, tile.rows)), k),
      );
      stage(right, tile.columns, kStart, (i, k) =>
        operands.right(batch, k, builder.let(within(plus(columnStart, i), columns, columns, tile.columns))),
      );
      builder.barrier();
      multiplying(() =>
        builder.for(index(0), index(depth), index(shape.inner), (k) => {
          const { element, inner } = shape;
          const lefts = upTo(fragments[0]).map((n) =>
            builder.loadFragment(
              { role: "left", rows: shape.rows, columns: inner, element },
              placeOf(builder, left, plus(down, index(n * shape.rows)), k, "row-major"),
            ),
          );
          const rights = upTo(fragments[1]).map((n) =>
            builder.loadFragment(
              { role: "right", rows: inner, columns: shape.columns, element },
              placeOf(builder, right, plus(across, index(n * shape.columns)), k, "column-major"),
            ),
          );
          sums.forEach((line, i) =>
            line.forEach((accumulator, j) =>
              builder.emit({
                kind: "multiplyAccumulate",
                accumulator,
                left: lefts[i] as Fragment, // there is one for each line
                right: rights[j] as Fragment,
              }),
            ),
          );
        }),
      );
      builder.barrier();
    });
    storeSums(builder, job, rung, part, { rowStart, columnStart, down, across }, multiplying, sums);
  });
}

/** A fragment's place in an operand: `i` along the tile. @param order the one in which k is innermost */
function placeOf(
  builder: KernelBuilder,
  { array, stride, alongK }: Staged,
  i: Expr,
  k: Expr,
  order: FragmentPlace["order"],
): FragmentPlace {
  const [line, along] = alongK ? [i, k] : [k, i];
  return {
    memory: { kind: "shared", position: array },
    at: builder.let(plus(times(line, index(stride)), along)),
    stride: index(stride),
    order: alongK ? order : order === "row-major" ? "column-major" : "row-major",
  };
}

/** What brings an operand's part of a tile to workgroup memory, from `kStart` on: neighbouring lanes bring neighbours. */
function stagerOf(
  builder: KernelBuilder,
  { extents: { inner }, slices }: DotJob,
  rung: Matrix,
  { to }: DotPart,
): (staged: Staged, side: number, kStart: Expr, load: (i: Expr, k: Expr) => Expr) => void {
  const { depth } = divisionOf(rung);
  // A slice may end anywhere.
  const whole = slices === undefined ? depth : Infinity;
  return ({ array, stride, alongK }, side, kStart, load) => {
    const length = alongK ? depth : side;
    const words = side * depth;
    const together = words % (TOGETHER * rung.lanes) === 0 ? TOGETHER : 1;
    builder.for(LANE, index(words), index(together * rung.lanes), (first) => {
      const stores = upTo(together).map((more): Statement => {
        const word = builder.let(plus(first, index(more * rung.lanes)));
        const line = builder.let(over(word, index(length)));
        const along = builder.let(modulo(word, index(length)));
        const [i, deep] = alongK ? [line, along] : [along, line];
        const k = builder.let(plus(kStart, deep));
        const before = inside(k, to, inner, whole);
        const value = load(i, builder.let(within(k, to, inner, whole)));
        return {
          kind: "storeShared",
          array,
          at: plus(times(line, index(stride)), along),
          value: builder.let(before === undefined ? value : select(before, value, literal("f32", 0))),
        };
      });
      stores.forEach((store) => builder.emit(store));
    });
  };
}

/** Stores a tile's sums, some rows of each subgroup's fragments at a time. */
function storeSums(
  builder: KernelBuilder,
  { extents: { rows, columns }, store }: DotJob,
  rung: Matrix,
  { batch, slice }: DotPart,
  {
    rowStart,
    columnStart,
    down,
    across,
  }: { readonly [name in "rowStart" | "columnStart" | "down" | "across"]: Expr },
  multiplying: (write: () => void) => void,
  sums: readonly (readonly Fragment[])[],
): void {
  const { shape } = rung;
  const { groups, block, fragments, stored } = divisionOf(rung);
  const tile = matrixTile(rung);
  /** Rows of each block in one part, and of all blocks. */
  const own = stored * shape.rows;
  const high = groups[0] * own;
  const array = builder.shared(arrayOf(shape.accumulator, high * tile.columns));
  const parts = fragments[0] / stored;
  for (const part of upTo(parts)) {
    multiplying(() =>
      sums.slice(part * stored, (part + 1) * stored).forEach((line, i) =>
        line.forEach((fragment, j) => {
          const row = plus(over(down, index(parts)), index(i * shape.rows)); // blocks are of `parts` parts
          const column = plus(across, index(j * shape.columns));
          const at = builder.let(plus(times(row, index(tile.columns)), column));
          const to: FragmentPlace = {
            memory: { kind: "shared", position: array },
            at,
            stride: index(tile.columns),
            order: "row-major",
          };
          builder.emit({ kind: "storeFragment", fragment, to });
        }),
      ),
    );
    builder.barrier();
    builder.for(LANE, index(high * tile.columns), index(rung.lanes), (word) => {
      const line = builder.let(over(word, index(tile.columns)));
      const blockRow = times(over(line, index(own)), index(block[0]));
      const row = builder.let(
        plus(plus(rowStart, blockRow), plus(modulo(line, index(own)), index(part * own))),
      );
      const column = builder.let(plus(columnStart, modulo(word, index(tile.columns))));
      when(
        builder,
        [inside(row, rows, rows, tile.rows), inside(column, columns, columns, tile.columns)],
        () => store(slice, batch, row, column, builder.let({ kind: "shared", type: "f32", array, at: word })),
      );
    });
    if (part < parts - 1) builder.barrier();
  }
}

/** The shape in words. */
export const matrixName = ({
  shape: { rows, columns, inner, element, accumulator },
  subgroups,
}: Matrix): string =>
  `${rows} x ${columns} x ${inner} matrices of ${element} summed in ${accumulator}, ${subgroups} subgroups`;
