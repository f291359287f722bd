/**
 * The top rung, for targets with matrix units: a workgroup computes a tile of the result, and its subgroups multiply fragments of the
 * operands, which lie in workgroup memory (matrix-staging.ts), a part of k at a time. Fragments take either order. What is beyond the
 * edge of the result is computed and not stored. The sums go back through workgroup memory to be stored, as in tile.ts.
 *
 * Which subgroups there are is known when it runs: those beyond the ones that have fragments, where subgroups are smaller than the
 * largest, bring operands and store results only. Consumed by dot.ts.
 */
import { LANE, below, index, modulo, over, plus, subgroup, times, upTo } from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr, Fragment, FragmentPlace, SharedArray } from "../../kernel/ir.ts";
import type { MatrixShape, TargetLimits } from "../../kernel/plan.ts";
import { stagerOf } from "./matrix-staging.ts";
import type { Staged } from "./matrix-staging.ts";
import { CHUNK, eachPart, inside, when } from "./problem.ts";
import type { DotJob, DotPart, DotRung } from "./problem.ts";

type Matrix = DotRung & { readonly kind: "matrix" };

/** Values of k that are staged at a time, unless a fragment has more. */
const DEPTH = 32;
/** Elements between lines in workgroup memory, so that lines do not begin in the same memory bank; and still at multiples of 16 bytes. */
const GAP = 8;
/** Rows of each block whose sums are in workgroup memory at once, unless a fragment has more. */
const STORED = 16;
/** Sums that are there at once, if there are fragments so small. */
const MOST_STORED = 4096;

const fragmentsIn = (length: number, side: number): number => Math.max(1, Math.floor(length / side));

/** How a workgroup's tile is divided. */
interface Division {
  /** Subgroups with fragments, down and across the tile. */
  readonly groups: readonly [down: number, across: number];
  /** Fragments of a subgroup, down and across. */
  readonly fragments: readonly [down: number, across: number];
  /** Rows and columns of a subgroup's block. */
  readonly block: readonly [rows: number, columns: number];
  readonly depth: number;
  /** Fragments of each block whose sums are in workgroup memory at once, down and across. */
  readonly stored: readonly [down: number, across: number];
}

/** The largest number up to `most` that divides another. */
const divisor = (of: number, most: number): number =>
  upTo(most)
    .map((n) => most - n)
    .find((n) => of % n === 0) ?? 1;

function divisionOf({ shape: { rows, columns, inner }, block, subgroups }: Matrix): Division {
  const down = subgroups === 1 ? 1 : 2;
  const fragments = [fragmentsIn(block, rows), fragmentsIn(block, columns)] as const;
  const stored = divisor(fragments[0], fragmentsIn(STORED, rows));
  // Of the fragments that are beside each other as many as there is room for.
  const room = fragmentsIn(MOST_STORED, subgroups * stored * rows * columns);
  return {
    groups: [down, subgroups / down],
    fragments,
    block: [fragments[0] * rows, fragments[1] * columns],
    depth: fragmentsIn(DEPTH, inner) * inner,
    stored: [stored, divisor(fragments[1], Math.min(room, fragments[1]))],
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
  const results = rows * columns * (stored[0] / fragments[0]) * (stored[1] / fragments[1]);
  const bytes = (element: MatrixShape["element"]): number => (element === "f16" ? 2 : 4);
  const { element, accumulator } = rung.shape;
  return bytes(element) * (most(rows) + most(columns)) + bytes(accumulator) * results;
}

/** Sums longer than this are not left to f16: they lose too much, and may overflow. */
const LONGEST_F16_SUM = 128;
/** Shapes worth timing. */
const MOST_SHAPES = 2;

/** Accumulators of a lane that leave registers for the rest. */
const MOST_SUMS = 128;

/** The rungs for operands of f16 and sums of so many products: sums in f32, unless no shape has such. The largest blocks first. */
export function matrixRungs(
  { subgroups, matrices = [], lanes }: TargetLimits,
  inner: number,
): readonly Matrix[] {
  if (subgroups === undefined) return [];
  const { min, max } = subgroups;
  const most = Math.floor(lanes / max);
  if (most < 1) return [];
  const of = (element: string, accumulator: string): readonly MatrixShape[] =>
    matrices.filter((shape) => shape.element === element && shape.accumulator === accumulator);
  // f32 holds what f16 does, so its products are the same.
  const exact = [of("f16", "f32"), of("f32", "f32")].find(({ length }) => length > 0);
  const shapes = exact ?? (inner <= LONGEST_F16_SUM ? of("f16", "f16") : []);
  const of4 = most >= 4 ? 4 : most >= 2 ? 2 : 1;
  const rung = (shape: MatrixShape, block: Matrix["block"], subgroups: Matrix["subgroups"]): Matrix => ({
    kind: "matrix",
    shape,
    block,
    subgroups,
    lanes: subgroups * max,
    ...(min < max ? { spare: true } : {}),
  });
  return ([64, 32] as const)
    .filter((block) => block ** 2 <= MOST_SUMS * min)
    .flatMap((block) =>
      shapes.slice(0, MOST_SHAPES).flatMap((shape, n): readonly Matrix[] => [
        rung(shape, block, of4),
        // A quarter fewer loads for each product; one such workgroup fills a multiprocessor, so nothing else hides their latency.
        ...(block === 64 && n === 0 && most >= 8 ? [{ ...rung(shape, block, 8), ahead: true as const }] : []),
      ]),
    );
}

/** An array of f16 or f32, as fragments have their elements. */
const arrayOf = (element: MatrixShape["element"], length: number): SharedArray => ({
  type: "f32",
  length,
  ...(element === "f16" ? { half: true } : {}),
});

export function writeMatrix(builder: KernelBuilder, job: DotJob, rung: Matrix): void {
  const { shape } = rung;
  const { groups, fragments, block, depth } = divisionOf(rung);
  const tile = matrixTile(rung);
  const { layout, operands, slices, extents } = job;
  const { rows, columns, inner } = extents;
  const staged = (side: number, alongK: boolean): Staged => {
    const [lines, length] = alongK ? [side, depth] : [depth, side];
    const stride = length + GAP;
    const array = builder.shared(arrayOf(shape.element, lines * stride));
    const whole = slices === undefined || CHUNK % depth === 0 ? depth : Infinity;
    return { array, stride, half: shape.element === "f16", alongK, side, depth, whole, lanes: rung.lanes };
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
    const stagers = [
      stagerOf(builder, part, left, {
        first: rowStart,
        extent: rows,
        inner,
        load: (i, k) => operands.left(batch, i, k),
        quads: operands.leftQuads,
      }),
      stagerOf(builder, part, right, {
        first: columnStart,
        extent: columns,
        inner,
        load: (i, k) => operands.right(batch, k, i),
        quads: operands.rightQuads,
      }),
    ];
    const load = (k: Expr): void => stagers.forEach((stager) => stager.load(k));
    const multiplying = (write: () => void): void =>
      rung.spare === true
        ? builder.if(below(number, index(rung.subgroups)), write)
        : builder.block(write).forEach((statement) => builder.emit(statement));
    const leftAt = placesOf(builder, left, down, "row-major");
    const rightAt = placesOf(builder, right, across, "column-major");

    if (rung.ahead === true) {
      const some = from.kind === "literal" && to.kind === "literal" && from.value < to.value;
      when(builder, [some ? undefined : below(from, to)], () => load(from));
    }
    builder.for(from, to, index(depth), (kStart) => {
      if (rung.ahead !== true) load(kStart);
      for (const stager of stagers) stager.store(kStart);
      builder.barrier();
      if (rung.ahead === true) {
        const next = builder.let(plus(kStart, index(depth)));
        builder.if(below(next, to), () => load(next));
      }
      multiplying(() => {
        const { element } = shape;
        for (let k = 0; k < depth; k += shape.inner) {
          const lefts = upTo(fragments[0]).map((n) =>
            builder.loadFragment(
              { role: "left", rows: shape.rows, columns: shape.inner, element },
              leftAt(n * shape.rows, k),
            ),
          );
          for (const j of upTo(fragments[1])) {
            const right = builder.loadFragment(
              { role: "right", rows: shape.inner, columns: shape.columns, element },
              rightAt(j * shape.columns, k),
            );
            sums.forEach((line, i) =>
              builder.emit({
                kind: "multiplyAccumulate",
                accumulator: line[j] as Fragment, // there is one for each column of fragments, and a left one for each row
                left: lefts[i] as Fragment,
                right,
              }),
            );
          }
        }
      });
      builder.barrier();
    });
    storeSums(builder, job, rung, part, { rowStart, columnStart, down, across }, multiplying, sums);
  });
}

/** Places of a subgroup's fragments in an operand, `i` along its block. @param order the one in which k is innermost */
function placesOf(
  builder: KernelBuilder,
  { array, stride, alongK }: Staged,
  block: Expr,
  order: FragmentPlace["order"],
): (i: number, k: number) => FragmentPlace {
  const first = builder.let(alongK ? times(block, index(stride)) : block);
  return (i, k) => ({
    memory: { kind: "shared", position: array },
    at: plus(first, index(alongK ? i * stride + k : k * stride + i)),
    stride: index(stride),
    order: alongK ? order : order === "row-major" ? "column-major" : "row-major",
  });
}

/** Stores a tile's sums, some of each subgroup's fragments at a time. */
function storeSums(
  builder: KernelBuilder,
  { extents: { rows, columns }, store, storeQuad }: DotJob,
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
  /** Rows and columns of each block in one part, and of all blocks. */
  const own = [stored[0] * shape.rows, stored[1] * shape.columns] as const;
  const [high, wide] = [groups[0] * own[0], groups[1] * own[1]];
  const array = builder.shared(arrayOf(shape.accumulator, high * wide));
  /** Parts of a block. */
  const parts = [fragments[0] / stored[0], fragments[1] / stored[1]] as const;
  /** Where a row or column of a part is in the tile. */
  const inTile = (axis: 0 | 1, at: Expr, part: number): Expr =>
    parts[axis] === 1
      ? at
      : plus(
          times(over(at, index(own[axis])), index(block[axis])),
          plus(modulo(at, index(own[axis])), index(part * own[axis])),
        );
  /** Sums that a lane stores at a time: neighbours, so in a row of the result or beyond it. */
  const each = storeQuad !== undefined && own[1] % 4 === 0 ? 4 : 1;
  for (const part of upTo(parts[0] * parts[1])) {
    const [partDown, partAcross] = [Math.floor(part / parts[1]), part % parts[1]];
    multiplying(() =>
      sums.slice(partDown * stored[0], (partDown + 1) * stored[0]).forEach((line, i) =>
        line.slice(partAcross * stored[1], (partAcross + 1) * stored[1]).forEach((fragment, j) => {
          const row = plus(over(down, index(parts[0])), index(i * shape.rows)); // blocks are of `parts` parts
          const column = plus(over(across, index(parts[1])), index(j * shape.columns));
          const to: FragmentPlace = {
            memory: { kind: "shared", position: array },
            at: builder.let(plus(times(row, index(wide)), column)),
            stride: index(wide),
            order: "row-major",
          };
          builder.emit({ kind: "storeFragment", fragment, to });
        }),
      ),
    );
    builder.barrier();
    builder.for(LANE, index((high * wide) / each), index(rung.lanes), (number) => {
      const line = builder.let(over(number, index(wide / each)));
      const along = builder.let(times(modulo(number, index(wide / each)), index(each)));
      const row = builder.let(plus(rowStart, inTile(0, line, partDown)));
      const column = builder.let(plus(columnStart, inTile(1, along, partAcross)));
      const word = builder.let(times(number, index(each)));
      const sum = (c: number): Expr =>
        builder.let({ kind: "shared", type: "f32", array, at: plus(word, index(c)) });
      when(
        builder,
        [inside(row, rows, rows, tile.rows), inside(column, columns, columns, tile.columns)],
        () => {
          if (each === 1 || storeQuad === undefined) store(slice, batch, row, column, sum(0));
          else storeQuad(batch, row, column, [sum(0), sum(1), sum(2), sum(3)]);
        },
      );
    });
    if (part < parts[0] * parts[1] - 1) builder.barrier();
  }
}

/** The shape in words. */
export const matrixName = ({
  shape: { rows, columns, inner, element, accumulator },
  block,
  subgroups,
  ahead,
}: Matrix): string =>
  `${rows} x ${columns} x ${inner} matrices of ${element} summed in ${accumulator}, ${subgroups} subgroups with blocks of ${block}${ahead === true ? ", loaded ahead" : ""}`;
