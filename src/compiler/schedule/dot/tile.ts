/**
 * The upper rungs: a workgroup computes a square tile of the result, `depth` values of k at a time. Its lanes bring both operands to
 * workgroup memory, then each sums `each` × `each` elements in registers, so that a word of workgroup memory serves `each` products.
 * The sums go back through workgroup memory to be stored: neighbouring lanes then store neighbouring elements, and the text of the
 * store, which may be long, is there once or twice. Consumed by dot.ts.
 */
import {
  LANE,
  binary,
  index,
  literal,
  minus,
  modulo,
  over,
  plus,
  select,
  times,
  upTo,
} from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr, Statement } from "../../kernel/ir.ts";
import { eachPart, inside, when, within } from "./problem.ts";
import type { DotJob, DotPart, DotRung } from "./problem.ts";

type Tile = DotRung & { readonly kind: "tile" };

/** Words of each operand that a lane loads before it stores them: under way at once, and in the text. */
const TOGETHER = 4;

/** Lanes of a workgroup. */
export const tileLanes = ({ tile, each }: Tile): number => (tile / each) ** 2;

/** Parts in which the sums of a tile are stored: as many as it takes for each to fit where the operands were. */
const storedIn = ({ tile, depth }: Tile): number => Math.ceil(tile ** 2 / (2 * depth * (tile + 1)));

/** Bytes of workgroup memory. */
export const tileBytes = (rung: Tile): number => {
  const words = 2 * rung.depth * (rung.tile + 1);
  return rung.half === true ? 2 * words + (4 * rung.tile ** 2) / storedIn(rung) : 4 * words;
};

export function writeTile(builder: KernelBuilder, job: DotJob, rung: Tile): void {
  const { tile, depth, each, unroll } = rung;
  const { extents, layout, operands } = job;
  // A row of `tile` words and one more, so that lanes that store a column do not meet in one memory bank.
  const stride = tile + 1;
  const length = 2 * depth * stride;
  const array = builder.shared({ type: "f32", length, ...(rung.half === true ? { half: true } : {}) });
  // Sums are no f16.
  const results =
    rung.half === true ? builder.shared({ type: "f32", length: tile ** 2 / storedIn(rung) }) : array;
  const across = tile / each;

  eachPart(builder, job, { rows: tile, columns: tile }, (part) => {
    const { batch, from, to } = part;
    const rowStart = builder.let(times(part.rowTile, index(tile)));
    const columnStart = builder.let(times(part.columnTile, index(tile)));
    const x = builder.let(modulo(LANE, index(across)));
    const y = builder.let(over(LANE, index(across)));
    const sums = upTo(each).map(() => upTo(each).map(() => builder.variable(literal("f32", 0), "sum")));
    const right = depth * stride;
    const [leftHalf, rightHalf] = [
      { array, start: 0 },
      { array, start: right },
    ];
    const { rows, columns, inner } = extents;
    const stageLeft = stager(builder, rung, inner, leftHalf, layout.left === "row", part, (i, k) =>
      operands.left(batch, builder.let(within(plus(rowStart, i), rows, rows, tile)), k),
    );
    const stageRight = stager(builder, rung, inner, rightHalf, layout.right === "column", part, (i, k) =>
      operands.right(batch, k, builder.let(within(plus(columnStart, i), columns, columns, tile))),
    );
    const words = (tile * depth) / tileLanes(rung);
    const together = Math.min(TOGETHER, words);
    builder.for(from, to, index(depth), (kStart) => {
      builder.for(index(0), index(words), index(together), (step) => {
        const steps = upTo(together).map((more) => builder.let(plus(step, index(more))));
        const stores = [stageLeft, stageRight].flatMap((stage) => steps.map((at) => stage(kStart, at)));
        stores.forEach((store) => builder.emit(store));
      });
      builder.barrier();
      builder.for(index(0), binary("min", index(depth), minus(to, kStart)), index(unroll), (k) =>
        upTo(unroll).forEach((more) => {
          const line = builder.let(times(plus(k, index(more)), index(stride)));
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
        }),
      );
      builder.barrier();
    });
    storeTile(builder, job, rung, part, results, { rowStart, columnStart, x, y }, sums);
  });
}

/**
 * Brings one operand's part of a tile to workgroup memory, k-major; `i` runs along the tile. Neighbouring lanes take neighbouring i, or
 * else neighbouring k. What is beyond the end of k is zero there: the last round of the innermost loop may sum it.
 * @returns what loads the lane's word of a step, and gives the statement that stores it
 */
function stager(
  builder: KernelBuilder,
  rung: Tile,
  inner: Expr,
  { array, start }: { readonly array: number; readonly start: number },
  alongTile: boolean,
  { to }: DotPart,
  load: (i: Expr, k: Expr) => Expr,
): (kStart: Expr, step: Expr) => Statement {
  const { tile, depth } = rung;
  const stride = tile + 1;
  const lanes = tileLanes(rung);
  const neighbours = alongTile ? tile : depth;
  const fast = builder.let(modulo(LANE, index(neighbours)));
  const slow = builder.let(over(LANE, index(neighbours)));
  return (kStart, step) => {
    const far = builder.let(plus(slow, times(step, index(lanes / neighbours))));
    const [i, deep] = alongTile ? [fast, far] : [far, fast];
    const k = builder.let(plus(kStart, deep));
    const value = load(i, builder.let(within(k, to, inner, depth)));
    const before = inside(k, to, inner, depth);
    const kept = builder.let(before === undefined ? value : select(before, value, literal("f32", 0)));
    const at = plus(plus(times(deep, index(stride)), i), index(start));
    return { kind: "storeShared", array, at, value: kept };
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
  const { tile, each } = rung;
  const { rows, columns } = extents;
  const across = tile / each;
  const parts = storedIn(rung);
  /** Rows of sums of a lane, and rows of the tile, in one part. */
  const [own, high] = [each / parts, tile / parts];
  const place = builder.let(plus(times(y, index(tile)), x));
  for (const part of upTo(parts)) {
    sums.slice(part * own, (part + 1) * own).forEach((line, i) =>
      line.forEach((value, j) => {
        const at = plus(place, index(i * across * tile + j * across));
        builder.emit({ kind: "storeShared", array, at, value });
      }),
    );
    builder.barrier();
    // The number of rounds is no constant here either: the text of the store may be long.
    builder.for(LANE, index(high * tile), index(tileLanes(rung)), (word) => {
      const row = builder.let(plus(rowStart, plus(over(word, index(tile)), index(part * high))));
      const column = builder.let(plus(columnStart, modulo(word, index(tile))));
      when(builder, [inside(row, rows, rows, tile), inside(column, columns, columns, tile)], () =>
        store(slice, batch, row, column, builder.let({ kind: "shared", type: "f32", array, at: word })),
      );
    });
    if (part < parts - 1) builder.barrier();
  }
}
