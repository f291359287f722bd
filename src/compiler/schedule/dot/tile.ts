/**
 * The upper rungs: a workgroup computes a square tile of the result, `depth` values of k at a time. Its lanes bring both operands to
 * workgroup memory, then each sums `each` × `each` elements in registers, so that a word of workgroup memory serves `each` products.
 * The sums go back through workgroup memory to be stored: neighbouring lanes then store neighbouring elements, and the text of the
 * store is there once. Consumed by dot.ts.
 */
import {
  LANE,
  below,
  binary,
  index,
  literal,
  minus,
  modulo,
  over,
  plus,
  select,
  times,
} from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr } from "../../kernel/ir.ts";
import { eachPart, fits, inside, when, within } from "./problem.ts";
import type { DotJob, DotPart, DotRung } from "./problem.ts";

type Tile = DotRung & { readonly kind: "tile" };

/** Lanes of a workgroup. */
export const tileLanes = ({ tile, each }: Tile): number => (tile / each) ** 2;

const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);

export function writeTile(builder: KernelBuilder, job: DotJob, rung: Tile): void {
  const { tile, depth, each } = rung;
  const { extents, layout, operands } = job;
  // A row of `tile` words and one more, so that lanes that store a column do not meet in one memory bank.
  const stride = tile + 1;
  const array = builder.shared({ type: "f32", length: 2 * depth * stride });
  const across = tile / each;

  eachPart(builder, job, { rows: tile, columns: tile }, (part) => {
    const { batch, from, to } = part;
    const rowStart = builder.let(times(part.rowTile, index(tile)));
    const columnStart = builder.let(times(part.columnTile, index(tile)));
    const x = builder.let(modulo(LANE, index(across)));
    const y = builder.let(over(LANE, index(across)));
    const sums = upTo(each).map(() => upTo(each).map(() => builder.variable(literal("f32", 0), "sum")));
    const right = depth * stride;
    const whole = fits(extents.inner, depth);
    const [leftHalf, rightHalf] = [
      { array, start: 0 },
      { array, start: right },
    ];
    const stageLeft = stager(builder, rung, leftHalf, layout.left === "row", part, whole, (i, k) =>
      operands.left(batch, builder.let(within(plus(rowStart, i), extents.rows, tile)), k),
    );
    const stageRight = stager(builder, rung, rightHalf, layout.right === "column", part, whole, (i, k) =>
      operands.right(batch, k, builder.let(within(plus(columnStart, i), extents.columns, tile))),
    );
    builder.for(from, to, index(depth), (kStart) => {
      stageLeft(kStart);
      stageRight(kStart);
      builder.barrier();
      builder.for(index(0), index(depth), index(1), (k) => {
        const line = builder.let(times(k, index(stride)));
        const word = (first: Expr, offset: number): Expr =>
          builder.let({ kind: "shared", type: "f32", array, at: plus(first, index(offset)) });
        const [leftAt, rightAt] = [builder.let(plus(line, y)), builder.let(plus(line, x))];
        const lefts = upTo(each).map((i) => word(leftAt, i * across));
        const rights = upTo(each).map((j) => word(rightAt, right + j * across));
        sums.forEach((row, i) =>
          row.forEach((sum, j) =>
            builder.assign(sum, binary("add", sum, binary("mul", lefts[i] as Expr, rights[j] as Expr))),
          ),
        );
      });
      builder.barrier();
    });
    storeTile(builder, job, rung, part, array, { rowStart, columnStart, x, y }, sums);
  });
}

/**
 * Brings one operand's part of a tile to workgroup memory, k-major; what is beyond the end of k is zero there. `i` runs along the
 * tile. Neighbouring lanes take neighbouring i, or else neighbouring k.
 */
function stager(
  builder: KernelBuilder,
  rung: Tile,
  { array, start }: { readonly array: number; readonly start: number },
  alongTile: boolean,
  { to }: DotPart,
  whole: boolean,
  load: (i: Expr, k: Expr) => Expr,
): (kStart: Expr) => void {
  const { tile, depth } = rung;
  const stride = tile + 1;
  const lanes = tileLanes(rung);
  const neighbours = alongTile ? tile : depth;
  const fast = builder.let(modulo(LANE, index(neighbours)));
  const slow = builder.let(over(LANE, index(neighbours)));
  return (kStart) => {
    builder.for(index(0), index((tile * depth) / lanes), index(1), (step) => {
      const far = builder.let(plus(slow, times(step, index(lanes / neighbours))));
      const [i, deep] = alongTile ? [fast, far] : [far, fast];
      const k = builder.let(plus(kStart, deep));
      const value = whole
        ? load(i, k)
        : select(
            below(k, to),
            load(i, builder.let(binary("min", k, minus(to, index(1))))),
            literal("f32", 0),
          );
      const at = plus(plus(times(deep, index(stride)), i), index(start));
      builder.emit({ kind: "storeShared", array, at, value });
    });
  };
}

/** Stores a tile's sums, as many at a time as workgroup memory holds. */
function storeTile(
  builder: KernelBuilder,
  { extents, store }: DotJob,
  rung: Tile,
  { batch, slice }: DotPart,
  array: number,
  { rowStart, columnStart, x, y }: { readonly [name in "rowStart" | "columnStart" | "x" | "y"]: Expr },
  sums: readonly (readonly Expr[])[],
): void {
  const { tile, depth, each } = rung;
  const across = tile / each;
  const parts = Math.ceil(tile ** 2 / (2 * depth * (tile + 1)));
  /** Rows of accumulators of a lane, and rows of the tile, in one part. */
  const [own, rows] = [each / parts, tile / parts];
  const place = builder.let(plus(times(y, index(tile)), x));
  const write = (part: number): void =>
    sums.slice(part * own, (part + 1) * own).forEach((row, i) =>
      row.forEach((value, j) => {
        const at = plus(place, index(i * across * tile + j * across));
        builder.emit({ kind: "storeShared", array, at, value });
      }),
    );
  /** Registers have no index: a chain of branches picks those of the part. */
  const pick = (part: Expr, from: number): void => {
    if (from === parts - 1) return write(from);
    builder.if(
      binary("equal", part, index(from)),
      () => write(from),
      () => pick(part, from + 1),
    );
  };
  builder.for(index(0), index(parts), index(1), (part) => {
    pick(part, 0);
    builder.barrier();
    const lanes = tileLanes(rung);
    builder.for(index(0), index((rows * tile) / lanes), index(1), (step) => {
      const word = builder.let(plus(times(step, index(lanes)), LANE));
      const inTile = plus(times(part, index(rows)), over(word, index(tile)));
      const row = builder.let(plus(rowStart, inTile));
      const column = builder.let(plus(columnStart, modulo(word, index(tile))));
      when(builder, [inside(row, extents.rows, tile), inside(column, extents.columns, tile)], () =>
        store(slice, batch, row, column, builder.let({ kind: "shared", type: "f32", array, at: word })),
      );
    });
    builder.barrier();
  });
}
