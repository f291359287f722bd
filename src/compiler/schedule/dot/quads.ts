/**
 * The rung for GPUs: tiles as in tile.ts, in quads. Lanes move four neighbours at a time, from buffers where they lie so, and always from
 * workgroup memory; while a part of k is multiplied, the next one is on its way from the buffers to registers; and the innermost loop is
 * written out. On an NVIDIA H200 that is twice as fast as tile.ts.
 *
 * Both operands lie in workgroup memory k by k. A lane sums `each[0]` × `each[1]` elements: quads of neighbours, in as many groups as
 * there are quads, so that lanes beside each other load quads beside each other. Consumed by dot.ts.
 */
import {
  LANE,
  below,
  component,
  index,
  literal,
  loadedQuad,
  minus,
  modulo,
  over,
  plus,
  select,
  times,
} from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr } from "../../kernel/ir.ts";
import { eachPart, inside, when, within } from "./problem.ts";
import type { DotJob, DotPart, DotRung, OperandQuads } from "./problem.ts";

type Quads = DotRung & { readonly kind: "quads" };

/** Elements between lines in workgroup memory, so that lanes that store along k do not all meet in one memory bank. */
const GAP = 4;
const COMPONENTS = [0, 1, 2, 3] as const;

const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);

/** Lanes of a workgroup. */
export const quadLanes = ({ tile, each }: Quads): number => (tile / each[0]) * (tile / each[1]);

const words = ({ tile, depth }: Quads): number => 2 * depth * (tile + GAP);
/** Bytes of workgroup memory. */
export const quadBytes = (rung: Quads): number => 4 * words(rung);

/** Rows of a lane whose sums are in workgroup memory at once: of one quad of rows, and all lanes' must fit. */
const rowsAtOnce = (rung: Quads): number => {
  const fit = Math.floor((words(rung) * rung.each[0]) / rung.tile ** 2);
  return fit >= 4 ? 4 : fit >= 2 ? 2 : 1;
};

/** An operand as a rung stages it. */
interface Side {
  /** First word in workgroup memory. */
  readonly start: number;
  /** The axis along the tile, and the end that it has. */
  readonly first: Expr;
  readonly extent: Expr;
  /** Whether neighbours lie along the tile, and not along k. */
  readonly alongTile: boolean;
  readonly quads: OperandQuads | undefined;
  load(i: Expr, k: Expr): Expr;
}

/** What a lane brings of an operand at a time: where it comes from and where it goes. */
interface Piece {
  /** Loads it into its quad, a variable. */
  load(kStart: Expr): void;
  store(): void;
}

export function writeQuads(builder: KernelBuilder, job: DotJob, rung: Quads): void {
  const { tile, depth, each } = rung;
  const { extents, layout, operands } = job;
  const stride = tile + GAP;
  const array = builder.shared({ type: "f32", length: words(rung), quads: true });
  /** Lanes along a row of the tile, and quads of a lane down and across. */
  const across = tile / each[1];
  const [down, wide] = [each[0] / 4, each[1] / 4];

  eachPart(builder, job, { rows: tile, columns: tile }, (part) => {
    const { batch, from, to } = part;
    const rowStart = builder.let(times(part.rowTile, index(tile)));
    const columnStart = builder.let(times(part.columnTile, index(tile)));
    const x = builder.let(modulo(LANE, index(across)));
    const y = builder.let(over(LANE, index(across)));
    const sums = upTo(each[0]).map(() =>
      upTo(wide).map(() => builder.quadVariable({ kind: "zeros" }, "sum")),
    );
    const left: Side = {
      start: 0,
      first: rowStart,
      extent: extents.rows,
      alongTile: layout.left === "row",
      quads: operands.leftQuads,
      load: (i, k) => operands.left(batch, i, k),
    };
    const right: Side = {
      start: depth * stride,
      first: columnStart,
      extent: extents.columns,
      alongTile: layout.right === "column",
      quads: operands.rightQuads,
      load: (i, k) => operands.right(batch, k, i),
    };
    const pieces = [left, right].flatMap((side) => piecesOf(builder, job, rung, side, part, array));
    for (const piece of pieces) piece.load(from);
    builder.for(from, to, index(depth), (kStart) => {
      for (const piece of pieces) piece.store();
      builder.barrier();
      const next = builder.let(plus(kStart, index(depth)));
      builder.if(below(next, to), () => {
        for (const piece of pieces) piece.load(next);
      });
      const at = (start: number, n: number, groups: number, lane: Expr, k: number): Expr =>
        plus(times(lane, index(4)), index(start + k * stride + (n * tile) / groups));
      const quad = (place: Expr): string => builder.quad(loadedQuad("shared", array, builder.let(place)));
      for (const k of upTo(depth)) {
        const lefts = upTo(down).map((n) => quad(at(0, n, down, y, k)));
        const rights = upTo(wide).map((n) => quad(at(right.start, n, wide, x, k)));
        sums.forEach((line, i) =>
          line.forEach((sum, n) => {
            const factor = component(lefts[i >> 2] as string, COMPONENTS[i & 3] as 0); // there is one for each row
            builder.emit({ kind: "addScaled", sums: sum, quad: rights[n] as string, x: factor });
          }),
        );
      }
      builder.barrier();
    });
    storeSums(builder, job, rung, part, array, { rowStart, columnStart, x, y }, sums);
  });
}

/** The pieces of an operand's part of a tile. What is beyond the end of k is zero in workgroup memory. */
function piecesOf(
  builder: KernelBuilder,
  { extents: { inner } }: DotJob,
  rung: Quads,
  { start, first, extent, alongTile, quads, load }: Side,
  { batch, to }: DotPart,
  array: number,
): readonly Piece[] {
  const { tile, depth } = rung;
  const stride = tile + GAP;
  const lanes = quadLanes(rung);
  const place = (i: Expr, deep: Expr): Expr => plus(plus(times(deep, index(stride)), i), index(start));
  return upTo((tile * depth) / 4 / lanes).map((n): Piece => {
    const piece = builder.quadVariable({ kind: "zeros" }, "piece");
    if (quads !== undefined) {
      // A quad along the axis on which neighbours lie, which has a multiple of four elements: it is within the operand, or beyond it.
      const length = (alongTile ? tile : depth) / 4;
      const number = builder.let(plus(LANE, index(n * lanes)));
      const along = builder.let(times(modulo(number, index(length)), index(4)));
      const line = builder.let(over(number, index(length)));
      const [i, deep] = alongTile ? [along, line] : [line, along];
      const wanted = plus(first, i);
      const row = builder.let(
        alongTile && inside(wanted, extent, extent, tile) !== undefined
          ? { kind: "binary", type: "u32", op: "min", x: wanted, y: minus(extent, index(4)) }
          : within(wanted, extent, extent, tile),
      );
      return {
        load: (kStart) => {
          const k = builder.let(plus(kStart, deep));
          const take = (): void =>
            builder.emit({
              kind: "assignQuad",
              name: piece,
              value: { kind: "loaded", from: quads(batch, row, k) },
            });
          const before = inside(k, to, inner, depth);
          if (before === undefined) take();
          else
            builder.if(before, take, () =>
              builder.emit({ kind: "assignQuad", name: piece, value: { kind: "zeros" } }),
            );
        },
        store: () => {
          if (alongTile) {
            const to = {
              memory: { kind: "shared", position: array },
              at: builder.let(place(i, deep)),
            } as const;
            builder.emit({ kind: "storeQuad", quad: piece, to });
          } else
            for (const c of COMPONENTS)
              builder.emit({
                kind: "storeShared",
                array,
                at: plus(place(i, deep), index(c * stride)),
                value: component(piece, c),
              });
        },
      };
    }
    const length = alongTile ? tile : depth;
    const places = COMPONENTS.map((c) => {
      const word = builder.let(plus(LANE, index((4 * n + c) * lanes)));
      const [along, line] = [
        builder.let(modulo(word, index(length))),
        builder.let(over(word, index(length))),
      ];
      const [i, deep] = alongTile ? [along, line] : [line, along];
      return { i, deep, row: builder.let(within(plus(first, i), extent, extent, tile)) };
    });
    return {
      load: (kStart) => {
        const parts = places.map(({ deep, row }) => {
          const k = builder.let(plus(kStart, deep));
          const value = load(row, builder.let(within(k, to, inner, depth)));
          const before = inside(k, to, inner, depth);
          return builder.let(before === undefined ? value : select(before, value, literal("f32", 0)));
        });
        const value = {
          kind: "parts",
          parts: parts as unknown as readonly [Expr, Expr, Expr, Expr],
        } as const; // four
        builder.emit({ kind: "assignQuad", name: piece, value });
      },
      store: () =>
        places.forEach(({ i, deep }, c) =>
          builder.emit({
            kind: "storeShared",
            array,
            at: place(i, deep),
            value: component(piece, COMPONENTS[c] as 0), // there is one for each place
          }),
        ),
    };
  });
}

/** Stores a tile's sums through workgroup memory, as tile.ts does: some rows of each lane at a time. */
function storeSums(
  builder: KernelBuilder,
  { extents: { rows, columns }, store }: DotJob,
  rung: Quads,
  { batch, slice }: DotPart,
  array: number,
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
        builder.emit({ kind: "storeQuad", quad, to: { memory: { kind: "shared", position: array }, at } });
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
