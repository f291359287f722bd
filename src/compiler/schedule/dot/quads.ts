/**
 * The rung for GPUs: tiles as in tile.ts, in quads. Lanes move four neighbours at a time, from buffers where they lie so, and always from
 * workgroup memory; while a part of k is multiplied, the next one is on its way from the buffers to registers; and the innermost loop is
 * written out. On an NVIDIA H200 that is twice as fast as tile.ts.
 *
 * Both operands lie in workgroup memory k by k. A lane sums `each[0]` × `each[1]` elements: quads of neighbours, in as many groups as
 * there are quads, so that lanes beside each other load quads beside each other. Consumed by dot.ts.
 */
import {
  COMPONENTS,
  LANE,
  below,
  component,
  index,
  literal,
  loadedQuad,
  modulo,
  numberOf,
  over,
  plus,
  select,
  times,
  upTo,
} from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr } from "../../kernel/ir.ts";
import { eachPart, fetchQuad, inside, quadWithin, when, within } from "./problem.ts";
import type { DotJob, DotPart, DotRung, OperandQuads } from "./problem.ts";

type Quads = DotRung & { readonly kind: "quads" };

/** Elements between lines in workgroup memory, so that lanes that store along k do not all meet in one memory bank. */
const GAP = 4;

/** Lanes of a workgroup. */
export const quadLanes = ({ tile, each }: Quads): number => (tile / each[0]) * (tile / each[1]);

/** What every adapter has of workgroup memory, in words. */
const LEAST_WORDS = 4096;

/** Words of an operand's part. */
const partWords = ({ tile, depth }: Quads): number => depth * (tile + GAP);
/** Words of so many rows of each lane. */
const sumWords = ({ tile, each }: Quads, own: number): number => (tile ** 2 / each[0]) * own;
/** Words of an operand's part, or of sums, which take its place: those of one operand and these are there together. */
const sharedWords = (rung: Quads, own: number): number => Math.max(partWords(rung), sumWords(rung, own));

/** Rows of a lane whose sums are in workgroup memory at once, of one quad of rows: as many as every adapter has room for. */
const rowsAtOnce = (rung: Quads): number =>
  [4, 2].find((own) => partWords(rung) + sharedWords(rung, own) <= LEAST_WORDS) ?? 1;

/** Bytes of workgroup memory. */
export const quadBytes = (rung: Quads): number => 4 * (partWords(rung) + sharedWords(rung, rowsAtOnce(rung)));

/** An operand as a rung stages it. */
interface Side {
  /** Its array in workgroup memory. */
  readonly array: number;
  /** The axis along the tile, and the end that it has. */
  readonly first: Expr;
  readonly extent: Expr;
  /** Whether neighbours lie along the tile, and not along k. */
  readonly alongTile: boolean;
  readonly quads: OperandQuads | undefined;
  load(batch: Expr, i: Expr, k: Expr): Expr;
}

/** What a lane brings of an operand at a time: where it comes from and where it goes. */
interface Piece {
  /** Loads it into its quads, which are variables. */
  load(kStart: Expr): void;
  store(): void;
}

export function writeQuads(builder: KernelBuilder, job: DotJob, rung: Quads): void {
  const { tile, depth, each } = rung;
  const { extents, layout, operands } = job;
  const stride = tile + GAP;
  const own = rowsAtOnce(rung);
  /** Sums go where the right operand was. */
  const arrayOf = (inQuads: boolean, length: number): number =>
    builder.shared({ type: "f32", length, ...(inQuads ? { quads: true } : {}) });
  const [leftAlong, rightAlong] = [layout.left === "row", layout.right === "column"];
  const leftArray = arrayOf(storesQuads(operands.leftQuads, leftAlong), partWords(rung));
  const rightInQuads = storesQuads(operands.rightQuads, rightAlong);
  const rightArray = arrayOf(rightInQuads, sharedWords(rung, own));
  /** Lanes along a row of the tile, and quads of a lane down and across. */
  const across = tile / each[1];
  const [down, wide] = [each[0] / 4, each[1] / 4];

  eachPart(builder, job, { rows: tile, columns: tile }, (part) => {
    const { from, to } = part;
    const rowStart = builder.let(times(part.rowTile, index(tile)));
    const columnStart = builder.let(times(part.columnTile, index(tile)));
    const x = builder.let(modulo(LANE, index(across)));
    const y = builder.let(over(LANE, index(across)));
    const sums = upTo(each[0]).map(() =>
      upTo(wide).map(() => builder.quadVariable({ kind: "zeros" }, "sum")),
    );
    const left: Side = {
      array: leftArray,
      first: rowStart,
      extent: extents.rows,
      alongTile: leftAlong,
      quads: operands.leftQuads,
      load: (batch, i, k) => operands.left(batch, i, k),
    };
    const right: Side = {
      array: rightArray,
      first: columnStart,
      extent: extents.columns,
      alongTile: rightAlong,
      quads: operands.rightQuads,
      load: (batch, i, k) => operands.right(batch, k, i),
    };
    const pieces = [left, right].flatMap((side) => piecesOf(builder, job, rung, side, part));
    for (const piece of pieces) piece.load(from);
    builder.for(from, to, index(depth), (kStart) => {
      for (const piece of pieces) piece.store();
      builder.barrier();
      const next = builder.let(plus(kStart, index(depth)));
      builder.if(below(next, to), () => {
        for (const piece of pieces) piece.load(next);
      });
      const quad = (
        { array, quads, alongTile }: Side,
        lane: Expr,
        n: number,
        groups: number,
        k: number,
      ): string => {
        const at = builder.let(plus(times(lane, index(4)), index(k * stride + (n * tile) / groups)));
        if (storesQuads(quads, alongTile)) return builder.quad(loadedQuad("shared", array, at));
        const parts = COMPONENTS.map((c): Expr => ({
          kind: "shared",
          type: "f32",
          array,
          at: plus(at, index(c)),
        }));
        return builder.quad({ kind: "parts", parts: parts as [Expr, Expr, Expr, Expr] }); // four
      };
      for (const k of upTo(depth)) {
        const lefts = upTo(down).map((n) => quad(left, y, n, down, k));
        const rights = upTo(wide).map((n) => quad(right, x, n, wide, k));
        sums.forEach((line, i) =>
          line.forEach((sum, n) => {
            const factor = numberOf(lefts, i); // there is one for each row
            builder.emit({ kind: "addScaled", sums: sum, quad: rights[n] as string, x: factor });
          }),
        );
      }
      builder.barrier();
    });
    storeSums(
      builder,
      job,
      rung,
      part,
      { array: rightArray, inQuads: rightInQuads },
      { rowStart, columnStart, x, y },
      sums,
    );
  });
}

/**
 * Whether an operand is stored to workgroup memory in quads along the tile, and its array has quads; else number by number. WGSL lets a
 * store of one number of a vector write all four, so lanes may not store numbers of one quad. What is computed comes in quads of its own.
 */
const storesQuads = (quads: OperandQuads | undefined, alongTile: boolean): boolean =>
  quads === undefined || alongTile;

/** The pieces of an operand's part of a tile, as many for each lane. What is beyond the end of k is zero in workgroup memory. */
function piecesOf(
  builder: KernelBuilder,
  job: DotJob,
  rung: Quads,
  side: Side,
  part: DotPart,
): readonly Piece[] {
  const make = side.quads === undefined ? numbersOf : side.alongTile ? quadOf : lineOf;
  const lanes = quadLanes(rung);
  return upTo((rung.tile * rung.depth) / 4 / lanes).map((n) =>
    make(builder, job, rung, side, part, builder.let(plus(LANE, index(n * lanes)))),
  );
}

type MakePiece = (
  builder: KernelBuilder,
  job: DotJob,
  rung: Quads,
  side: Side,
  part: DotPart,
  unit: Expr,
) => Piece;

const placeOf = ({ tile }: Quads, i: Expr, deep: Expr): Expr => plus(times(deep, index(tile + GAP)), i);

/** Stores a quad of neighbours along the tile. */
const storeAt = (builder: KernelBuilder, { array }: Side, place: Expr, quad: string): void =>
  builder.emit({
    kind: "storeQuad",
    quad,
    to: { memory: { kind: "shared", position: array }, at: builder.let(place) },
  });

/** A quad along the tile, on which neighbours lie: it has a multiple of four elements, so a quad is within the operand, or beyond it. */
const quadOf: MakePiece = (builder, job, rung, side, { batch, to }, unit) => {
  const { tile, depth } = rung;
  const piece = builder.quadVariable({ kind: "zeros" }, "piece");
  const i = builder.let(times(modulo(unit, index(tile / 4)), index(4)));
  const deep = builder.let(over(unit, index(tile / 4)));
  const first = builder.let(quadWithin(plus(side.first, i), side.extent, tile));
  return {
    load: (kStart) => {
      const k = builder.let(plus(kStart, deep));
      fetchQuad(builder, piece, inside(k, to, job.extents.inner, depth), () =>
        (side.quads as OperandQuads)(batch, first, k),
      ); // that is when it is made
    },
    store: () => storeAt(builder, side, placeOf(rung, i, deep), piece),
  };
};

/** A quad along k, on which neighbours lie: its numbers go to four lines of workgroup memory. */
const lineOf: MakePiece = (builder, job, rung, side, { batch, to }, unit) => {
  const { tile, depth } = rung;
  const piece = builder.quadVariable({ kind: "zeros" }, "piece");
  const deep = builder.let(times(modulo(unit, index(depth / 4)), index(4)));
  const i = builder.let(over(unit, index(depth / 4)));
  const row = builder.let(within(plus(side.first, i), side.extent, side.extent, tile));
  const place = builder.let(placeOf(rung, i, deep));
  return {
    load: (kStart) => {
      const k = builder.let(plus(kStart, deep));
      fetchQuad(builder, piece, inside(k, to, job.extents.inner, depth), () =>
        (side.quads as OperandQuads)(batch, row, k),
      ); // that is when it is made
    },
    store: () => {
      for (const c of COMPONENTS) {
        const at = plus(place, index(c * (tile + GAP)));
        builder.emit({ kind: "storeShared", array: side.array, at, value: component(piece, c) });
      }
    },
  };
};

/** Four neighbours along the tile, one by one. */
const numbersOf: MakePiece = (builder, job, rung, side, { batch, to }, unit) => {
  const { tile, depth } = rung;
  const piece = builder.quadVariable({ kind: "zeros" }, "piece");
  const length = index(side.alongTile ? tile / 4 : depth);
  const [along, line] = [builder.let(modulo(unit, length)), builder.let(over(unit, length))];
  const [group, deep] = side.alongTile ? [along, line] : [line, along];
  const i = builder.let(times(group, index(4)));
  const rows = COMPONENTS.map((c) =>
    builder.let(within(plus(plus(side.first, i), index(c)), side.extent, side.extent, tile)),
  );
  return {
    load: (kStart) => {
      const wanted = builder.let(plus(kStart, deep));
      const before = inside(wanted, to, job.extents.inner, depth);
      const k = builder.let(within(wanted, to, job.extents.inner, depth));
      const parts = rows.map((row) => {
        const value = side.load(batch, row, k);
        return builder.let(before === undefined ? value : select(before, value, literal("f32", 0)));
      }) as [Expr, Expr, Expr, Expr]; // four
      builder.emit({ kind: "assignQuad", name: piece, value: { kind: "parts", parts } });
    },
    store: () => storeAt(builder, side, placeOf(rung, i, deep), piece),
  };
};

/** Stores a tile's sums through workgroup memory, as tile.ts does: some rows of each lane at a time. */
function storeSums(
  builder: KernelBuilder,
  { extents: { rows, columns }, store }: DotJob,
  rung: Quads,
  { batch, slice }: DotPart,
  { array, inQuads }: { readonly array: number; readonly inQuads: boolean },
  { rowStart, columnStart, x, y }: { readonly [name in "rowStart" | "columnStart" | "x" | "y"]: Expr },
  sums: readonly (readonly string[])[],
): void {
  const { tile, each } = rung;
  const own = rowsAtOnce(rung);
  /** Rows of the tile in one part, and in the group of a quad. */
  const [high, group] = [(tile / each[0]) * own, (4 * tile) / each[0]];
  const wide = each[1] / 4;
  const place = builder.let(plus(times(y, index(own * tile)), times(x, index(4))));
  for (const part of upTo(each[0] / own)) {
    const before = part * own;
    sums.slice(before, before + own).forEach((line, i) =>
      line.forEach((quad, n) => {
        const at = plus(place, index(i * tile + (n * tile) / wide));
        if (inQuads)
          builder.emit({ kind: "storeQuad", quad, to: { memory: { kind: "shared", position: array }, at } });
        else
          for (const c of COMPONENTS)
            builder.emit({ kind: "storeShared", array, at: plus(at, index(c)), value: component(quad, c) });
      }),
    );
    builder.barrier();
    builder.for(LANE, index(high * tile), index(quadLanes(rung)), (word) => {
      const line = builder.let(over(word, index(tile)));
      const lane = times(over(line, index(own)), index(4));
      const within = plus(modulo(line, index(own)), index((before >> 2) * group + (before & 3)));
      const row = builder.let(plus(rowStart, plus(lane, within)));
      const column = builder.let(plus(columnStart, modulo(word, index(tile))));
      when(builder, [inside(row, rows, rows, tile), inside(column, columns, columns, tile)], () =>
        store(slice, batch, row, column, builder.let({ kind: "shared", type: "f32", array, at: word })),
      );
    });
    if (part < each[0] / own - 1) builder.barrier();
  }
}
