/**
 * How the rung of matrix units brings operands to workgroup memory, a part of k at a time. An operand lies there along the axis that it
 * has innermost, so that neighbouring lanes load and store neighbouring elements. Where it has quads, a lane moves four neighbours at a
 * time. What is beyond the end of k is zero there; what is beyond the edge of the result repeats the last row or column. Consumed by
 * matrix.ts.
 */
import {
  LANE,
  component,
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
import type { Expr, Statement } from "../../kernel/ir.ts";
import { inside, within } from "./problem.ts";
import type { DotPart, OperandQuads } from "./problem.ts";

/** An operand's part of a tile in workgroup memory. */
export interface Staged {
  readonly array: number;
  /** From line to line. */
  readonly stride: number;
  /** Whether k is innermost. */
  readonly alongK: boolean;
  /** Rows of the left operand's part, columns of the right one's. */
  readonly side: number;
  readonly depth: number;
  /** Where `inner` is a multiple of it, so is the end of each slice. */
  readonly whole: number;
  /** Lanes that bring it. */
  readonly lanes: number;
}

/** An operand where it is read. */
export interface Source {
  /** Of the tile, and the end: rows of the left operand, columns of the right one. */
  readonly first: Expr;
  readonly extent: Expr;
  readonly inner: Expr;
  load(i: Expr, k: Expr): Expr;
  readonly quads: OperandQuads | undefined;
}

/** Elements that a lane loads before it stores them, where they come one by one. */
const TOGETHER = 4;
const COMPONENTS = [0, 1, 2, 3] as const;

const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);

/**
 * What brings operands, given the first k: all loads come before the stores where they are in quads.
 * @param operands in the same order as `part` wants them
 */
export function stager(
  builder: KernelBuilder,
  part: DotPart,
  operands: readonly (readonly [Staged, Source])[],
): (kStart: Expr) => void {
  const ways = operands.map(([staged, source]) => {
    const { alongK, side, depth, lanes } = staged;
    const inQuads =
      source.quads !== undefined && (alongK ? depth : side) % 4 === 0 && (side * depth) % (4 * lanes) === 0;
    return inQuads
      ? quadsOf(builder, part, staged, source, source.quads)
      : oneByOne(builder, part, staged, source);
  });
  return (kStart) => {
    const stores = ways.map((load) => load(kStart));
    for (const store of stores) store();
  };
}

/** Loads a part of an operand; what it returns stores it. */
type Way = (kStart: Expr) => () => void;

function quadsOf(
  builder: KernelBuilder,
  { batch, to }: DotPart,
  { array, stride, alongK, side, depth, whole, lanes }: Staged,
  { first, extent, inner }: Source,
  quads: OperandQuads,
): Way {
  // A quad along the axis on which neighbours lie, which has a multiple of four elements: it is within the operand, or beyond it.
  const length = (alongK ? depth : side) / 4;
  const pieces = upTo((side * depth) / 4 / lanes).map((n) => {
    const number = builder.let(plus(LANE, index(n * lanes)));
    const along = builder.let(times(modulo(number, index(length)), index(4)));
    const line = builder.let(over(number, index(length)));
    const [i, deep] = alongK ? [line, along] : [along, line];
    const wanted = plus(first, i);
    const row = builder.let(
      !alongK && inside(wanted, extent, extent, side) !== undefined
        ? { kind: "binary", type: "u32", op: "min", x: wanted, y: minus(extent, index(4)) }
        : within(wanted, extent, extent, side),
    );
    return { row, deep, at: builder.let(plus(times(line, index(stride)), along)) };
  });
  return (kStart) => {
    const loaded = pieces.map(({ row, deep }) => {
      const k = builder.let(plus(kStart, deep));
      const before = inside(k, to, inner, whole);
      const from = (): { readonly kind: "loaded"; readonly from: ReturnType<OperandQuads> } => ({
        kind: "loaded",
        from: quads(batch, row, k),
      });
      if (before === undefined) return builder.quad(from());
      const quad = builder.quadVariable({ kind: "zeros" }, "piece");
      builder.if(before, () => builder.emit({ kind: "assignQuad", name: quad, value: from() }));
      return quad;
    });
    return () =>
      pieces.forEach(({ at }, n) => {
        for (const c of COMPONENTS)
          builder.emit({
            kind: "storeShared",
            array,
            at: plus(at, index(c)),
            value: component(loaded[n] as string, c), // there is one for each piece
          });
      });
  };
}

function oneByOne(
  builder: KernelBuilder,
  { to }: DotPart,
  { array, stride, alongK, side, depth, whole, lanes }: Staged,
  { first, extent, inner, load }: Source,
): Way {
  const length = alongK ? depth : side;
  const words = side * depth;
  const together = words % (TOGETHER * lanes) === 0 ? TOGETHER : 1;
  const bring = (kStart: Expr, word: Expr): Statement => {
    const line = builder.let(over(word, index(length)));
    const along = builder.let(modulo(word, index(length)));
    const [i, deep] = alongK ? [line, along] : [along, line];
    const k = builder.let(plus(kStart, deep));
    const row = builder.let(within(plus(first, i), extent, extent, side));
    const value = load(row, builder.let(within(k, to, inner, whole)));
    const before = inside(k, to, inner, whole);
    return {
      kind: "storeShared",
      array,
      at: plus(times(line, index(stride)), along),
      value: builder.let(before === undefined ? value : select(before, value, literal("f32", 0))),
    };
  };
  return (kStart) => {
    builder.for(LANE, index(words), index(together * lanes), (first) => {
      const stores = upTo(together).map((more) =>
        bring(kStart, builder.let(plus(first, index(more * lanes)))),
      );
      stores.forEach((store) => builder.emit(store));
    });
    return () => undefined;
  };
}
