/**
 * The rung for few rows or few columns, matrix times vector above all: one operand is read once and decides the time, so its neighbours
 * go to neighbouring lanes. Each lane sums every kLanes-th product of `few` elements; workgroup memory adds up the lanes, in order.
 * Consumed by dot.ts.
 */
import { LANE, below, binary, index, literal, modulo, over, plus, times } from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr } from "../../kernel/ir.ts";
import { eachPart, inside, when, within } from "./problem.ts";
import type { DotJob, DotRung } from "./problem.ts";

export function writeGemv(
  builder: KernelBuilder,
  job: DotJob,
  { few, of, kLanes, wideLanes, fast }: DotRung & { readonly kind: "gemv" },
): void {
  const { extents, operands, store } = job;
  const short = of === "rows" ? extents.rows : extents.columns;
  const wide = of === "rows" ? extents.columns : extents.rows;
  /** Element of the operand with the short axis, and of the other. */
  const fewAt = (batch: Expr, i: Expr, k: Expr): Expr =>
    of === "rows" ? operands.left(batch, i, k) : operands.right(batch, k, i);
  const wideAt = (batch: Expr, i: Expr, k: Expr): Expr =>
    of === "rows" ? operands.right(batch, k, i) : operands.left(batch, i, k);
  const tile = of === "rows" ? { rows: few, columns: wideLanes } : { rows: wideLanes, columns: few };
  const outputs = few * wideLanes;
  const partial = builder.shared({ type: "f32", length: outputs * kLanes });

  eachPart(builder, job, tile, ({ rowTile, columnTile, batch, slice, from, to }) => {
    const [shortTile, wideTile] = of === "rows" ? [rowTile, columnTile] : [columnTile, rowTile];
    const shortStart = builder.let(times(shortTile, index(few)));
    const wideStart = builder.let(times(wideTile, index(wideLanes)));
    const inFast = index(fast === "k" ? kLanes : wideLanes);
    const [fastLane, slowLane] = [builder.let(modulo(LANE, inFast)), builder.let(over(LANE, inFast))];
    const [kLane, wideLane] = fast === "k" ? [fastLane, slowLane] : [slowLane, fastLane];
    const at = builder.let(within(plus(wideStart, wideLane), wide, wide, wideLanes));
    const members = Array.from({ length: few }, (_, i) => ({
      i: builder.let(within(plus(shortStart, index(i)), short, short, few)),
      sum: builder.variable(literal("f32", 0), "sum"),
    }));
    builder.for(plus(from, kLane), to, index(kLanes), (k) => {
      const value = builder.let(wideAt(batch, at, k));
      for (const { i, sum } of members)
        builder.assign(sum, binary("add", sum, binary("mul", fewAt(batch, i, k), value)));
    });
    // Neighbouring lanes read neighbouring words below.
    const place = builder.let(plus(times(kLane, index(outputs)), wideLane));
    members.forEach(({ sum }, i) =>
      builder.emit({
        kind: "storeShared",
        array: partial,
        at: plus(place, index(i * wideLanes)),
        value: sum,
      }),
    );
    builder.barrier();
    builder.if(below(LANE, index(outputs)), () => {
      const total = builder.variable(literal("f32", 0), "sum");
      builder.for(index(0), index(kLanes), index(1), (lane) => {
        const place = plus(times(lane, index(outputs)), LANE);
        builder.assign(
          total,
          binary("add", total, { kind: "shared", type: "f32", array: partial, at: place }),
        );
      });
      const i = builder.let(plus(shortStart, over(LANE, index(wideLanes))));
      const j = builder.let(plus(wideStart, modulo(LANE, index(wideLanes))));
      when(builder, [inside(i, short, short, few), inside(j, wide, wide, wideLanes)], () =>
        of === "rows" ? store(slice, batch, i, j, total) : store(slice, batch, j, i, total),
      );
    });
  });
}
