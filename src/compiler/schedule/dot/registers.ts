/**
 * The rung without workgroup memory: each lane of 8 × 8 sums `each` × `each` elements in registers and loads both operands where they
 * are. Lanes that share a row or a column load the same words, so this is for targets where workgroup memory is no faster than any
 * other, and barriers are dear: those that compute on a CPU.
 *
 * A lane leaves its sums in workgroup memory and takes them back one by one, so that the text of the store is there once; no other lane
 * touches them. Consumed by dot.ts.
 */
import { LANE, binary, index, literal, modulo, over, plus, times } from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import { eachPart, inside, when, within } from "./problem.ts";
import type { DotJob, DotRung } from "./problem.ts";

/** Lanes along a side of the tile. */
const ACROSS = 8;
export const REGISTER_LANES = ACROSS ** 2;

type Registers = DotRung & { readonly kind: "registers" };

/** Side of the tile of the result that a workgroup computes. */
export const registerTile = ({ each }: Registers): number => ACROSS * each;
/** Words of workgroup memory. */
export const registerWords = ({ each }: Registers): number => REGISTER_LANES * each ** 2;

export function writeRegisters(builder: KernelBuilder, job: DotJob, rung: Registers): void {
  const { each } = rung;
  const { operands, store } = job;
  const { rows, columns } = job.extents;
  const tile = registerTile(rung);
  const array = builder.shared({ type: "f32", length: registerWords(rung) });
  const upTo = Array.from({ length: each }, (_, i) => i);

  eachPart(builder, job, { rows: tile, columns: tile }, ({ rowTile, columnTile, batch, slice, from, to }) => {
    const x = builder.let(modulo(LANE, index(ACROSS)));
    const y = builder.let(over(LANE, index(ACROSS)));
    const rowStart = builder.let(plus(times(rowTile, index(tile)), y));
    const columnStart = builder.let(plus(times(columnTile, index(tile)), x));
    const ownRows = upTo.map((i) => builder.let(within(plus(rowStart, index(i * ACROSS)), rows, rows, tile)));
    const ownColumns = upTo.map((j) =>
      builder.let(within(plus(columnStart, index(j * ACROSS)), columns, columns, tile)),
    );
    const sums = upTo.map(() => upTo.map(() => builder.variable(literal("f32", 0), "sum")));
    builder.for(from, to, index(1), (k) => {
      const lefts = ownRows.map((row) => builder.let(operands.left(batch, row, k)));
      const rights = ownColumns.map((column) => builder.let(operands.right(batch, k, column)));
      lefts.forEach((left, i) =>
        rights.forEach((right, j) => {
          const sum = sums[i]?.[j] as (typeof sums)[number][number]; // there is one for each pair
          builder.assign(sum, binary("add", sum, binary("mul", left, right)));
        }),
      );
    });
    sums.flat().forEach((value, n) => {
      builder.emit({ kind: "storeShared", array, at: plus(LANE, index(n * REGISTER_LANES)), value });
    });
    builder.for(index(0), index(each ** 2), index(1), (n) => {
      const row = builder.let(plus(rowStart, times(over(n, index(each)), index(ACROSS))));
      const column = builder.let(plus(columnStart, times(modulo(n, index(each)), index(ACROSS))));
      when(builder, [inside(row, rows, rows, tile), inside(column, columns, columns, tile)], () => {
        const at = plus(times(n, index(REGISTER_LANES)), LANE);
        store(slice, batch, row, column, builder.let({ kind: "shared", type: "f32", array, at }));
      });
    });
  });
}
