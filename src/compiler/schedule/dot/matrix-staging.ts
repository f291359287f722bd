/**
 * How the rung of matrix units brings operands to workgroup memory, a part of k at a time. An operand lies there along the axis that it
 * has innermost, so that neighbouring lanes load and store neighbouring elements. Where it has quads, a lane moves four neighbours at a
 * time. What is beyond the end of k is zero there; what is beyond the edge of the result repeats the last row or column. Consumed by
 * matrix.ts.
 */
import {
  COMPONENTS,
  LANE,
  component,
  index,
  literal,
  modulo,
  over,
  plus,
  select,
  times,
  upTo,
} from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr, Statement } from "../../kernel/ir.ts";
import { fetchQuad, inside, quadWithin, within } from "./problem.ts";
import type { DotPart, OperandQuads } from "./problem.ts";

/** An operand's part of a tile in workgroup memory. */
export interface Staged {
  readonly array: number;
  /** From line to line. */
  readonly stride: number;
  /** Whether its elements are f16, as the operand's are: quads are so on their way as well. */
  readonly half: boolean;
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

/** What brings a part of operands that begins at some k. Every `load` comes before the `store` of the same part. */
export interface Stager {
  /** From buffers to registers, as far as operands are in quads. */
  load(kStart: Expr): void;
  /** To workgroup memory. */
  store(kStart: Expr): void;
}

export function stagerOf(builder: KernelBuilder, part: DotPart, staged: Staged, source: Source): Stager {
  const { alongK, side, depth, lanes } = staged;
  const inQuads =
    source.quads !== undefined && (alongK ? depth : side) % 4 === 0 && (side * depth) % (4 * lanes) === 0;
  return inQuads
    ? quadsOf(builder, part, staged, source, source.quads)
    : oneByOne(builder, part, staged, source);
}

function quadsOf(
  builder: KernelBuilder,
  { batch, to }: DotPart,
  { array, stride, half, alongK, side, depth, whole, lanes }: Staged,
  { first, extent, inner }: Source,
  quads: OperandQuads,
): Stager {
  // A quad along the axis on which neighbours lie, which has a multiple of four elements: it is within the operand, or beyond it.
  const length = (alongK ? depth : side) / 4;
  // Where lanes take whole lines at a time, pieces differ by a constant.
  const [firstLine, firstAlong] = [
    builder.let(over(LANE, index(length))),
    builder.let(times(modulo(LANE, index(length)), index(4))),
  ];
  const placeOf = (n: number): readonly [line: Expr, along: Expr] => {
    if (lanes % length === 0) return [builder.let(plus(firstLine, index((n * lanes) / length))), firstAlong];
    const number = builder.let(plus(LANE, index(n * lanes)));
    return [
      builder.let(over(number, index(length))),
      builder.let(times(modulo(number, index(length)), index(4))),
    ];
  };
  const firstAt = builder.let(plus(times(firstLine, index(stride)), firstAlong));
  const pieces = upTo((side * depth) / 4 / lanes).map((n) => {
    const [line, along] = placeOf(n);
    const [i, deep] = alongK ? [line, along] : [along, line];
    const wanted = plus(first, i);
    const row = builder.let(alongK ? within(wanted, extent, extent, side) : quadWithin(wanted, extent, side));
    const at =
      lanes % length === 0
        ? plus(firstAt, index(((n * lanes) / length) * stride))
        : builder.let(plus(times(line, index(stride)), along));
    const quad = builder.quadVariable({ kind: "zeros", ...(half ? { half } : {}) }, "piece");
    return { row, deep, at, quad };
  });
  return {
    load: (kStart) => {
      for (const { row, deep, quad } of pieces) {
        const k = builder.let(plus(kStart, deep));
        fetchQuad(builder, quad, inside(k, to, inner, whole), () => quads(batch, row, k), half);
      }
    },
    store: () => {
      for (const { at, quad } of pieces)
        for (const c of COMPONENTS)
          builder.emit({
            kind: "storeShared",
            array,
            at: plus(at, index(c)),
            value: component(quad, c, half),
          });
    },
  };
}

function oneByOne(
  builder: KernelBuilder,
  { to }: DotPart,
  { array, stride, alongK, side, depth, whole, lanes }: Staged,
  { first, extent, inner, load }: Source,
): Stager {
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
  return {
    load: () => undefined,
    store: (kStart) =>
      builder.for(LANE, index(words), index(together * lanes), (first) => {
        const stores = upTo(together).map((more) =>
          bring(kStart, builder.let(plus(first, index(more * lanes)))),
        );
        stores.forEach((store) => builder.emit(store));
      }),
  };
}
