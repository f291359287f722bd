/**
 * The rungs for few rows or few columns whose lanes exchange values without memory, on targets with subgroups (see gemv.ts for those
 * without). Along k, each lane sums a part of `few` elements, and subgroups add the parts up; for operands with k innermost. Along the
 * wide axis, each lane has `few` sums of its own, and what all need of the other operand is loaded once for the subgroup, an element a
 * lane, and handed around. Consumed by dot.ts.
 */
import {
  LANE,
  below,
  binary,
  index,
  literal,
  minus,
  over,
  plus,
  shuffle,
  subgroup,
  subgroupSum,
  times,
} from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr } from "../../kernel/ir.ts";
import type { TargetLimits } from "../../kernel/plan.ts";
import { eachPart, inside, when, within } from "./problem.ts";
import type { DotJob, DotPart, DotRung } from "./problem.ts";

export const SUBGROUP_LANES = 64;

/** Whether there are subgroups, and a workgroup of these rungs has full ones only. */
export const fillsSubgroups = ({ subgroups }: TargetLimits): boolean =>
  subgroups !== undefined && SUBGROUP_LANES % subgroups.max === 0;

type Subgroups = DotRung & { readonly kind: "subgroups" };

/** Elements along the wide axis that a workgroup computes. */
export const subgroupsWide = ({ along }: Subgroups): number => (along === "k" ? 1 : SUBGROUP_LANES);

type Variable = Expr & { readonly kind: "name" };

/** Elements of the result of a lane: their indices along the short axis, and their sums. */
interface Member {
  readonly i: Expr;
  readonly sum: Variable;
}

export function writeSubgroups(builder: KernelBuilder, job: DotJob, rung: Subgroups): void {
  const { few, of, along } = rung;
  const { extents, operands, store } = job;
  const [short, wide] = of === "rows" ? [extents.rows, extents.columns] : [extents.columns, extents.rows];
  const perGroup = subgroupsWide(rung);
  const tile = of === "rows" ? { rows: few, columns: perGroup } : { rows: perGroup, columns: few };

  eachPart(builder, job, tile, (part) => {
    const { rowTile, columnTile, batch, slice } = part;
    const [shortTile, wideTile] = of === "rows" ? [rowTile, columnTile] : [columnTile, rowTile];
    const shortStart = builder.let(times(shortTile, index(few)));
    const lanes: Lanes = {
      builder,
      part,
      inner: extents.inner,
      fewAt: (i, k) => (of === "rows" ? operands.left(batch, i, k) : operands.right(batch, k, i)),
      wideAt: (j, k) => (of === "rows" ? operands.right(batch, k, j) : operands.left(batch, j, k)),
      members: Array.from({ length: few }, (_, n) => ({
        i: builder.let(within(plus(shortStart, index(n)), short, short, few)),
        sum: builder.variable(literal("f32", 0), "sum"),
      })),
    };
    const storeAt = (i: Expr, j: Expr, value: Expr): void =>
      when(builder, [inside(i, short, short, few), inside(j, wide, wide, perGroup)], () =>
        of === "rows" ? store(slice, batch, i, j, value) : store(slice, batch, j, i, value),
      );
    if (along === "k")
      sumAlongK(lanes, wideTile, (n, value) => storeAt(builder.let(plus(shortStart, n)), wideTile, value));
    else {
      const j = builder.let(plus(times(wideTile, index(perGroup)), LANE));
      sumAlongWide(lanes, builder.let(within(j, wide, wide, perGroup)));
      lanes.members.forEach(({ sum }, n) => storeAt(builder.let(plus(shortStart, index(n))), j, sum));
    }
  });
}

interface Lanes {
  readonly builder: KernelBuilder;
  readonly part: DotPart;
  readonly inner: Expr;
  readonly members: readonly Member[];
  /** Element of the operand with the short axis, and of the other. */
  fewAt(i: Expr, k: Expr): Expr;
  wideAt(j: Expr, k: Expr): Expr;
}

/** Lane n of the workgroup, where n is below the number of members, stores the sum of member n. */
function sumAlongK(
  { builder, part: { from, to }, members, fewAt, wideAt }: Lanes,
  j: Expr,
  store: (n: Expr, value: Expr) => void,
): void {
  const few = members.length;
  builder.for(plus(from, LANE), to, index(SUBGROUP_LANES), (k) => {
    const value = builder.let(wideAt(j, k));
    for (const { i, sum } of members)
      builder.assign(sum, binary("add", sum, binary("mul", fewAt(i, k), value)));
  });
  const sums = members.map(({ sum }) => builder.let(subgroupSum(sum)));
  // One subgroup has all lanes, or their sums meet in workgroup memory.
  const partial = builder.shared({ type: "f32", length: few * SUBGROUP_LANES });
  const place = builder.let(times(subgroup("number"), index(few)));
  builder.if(binary("equal", subgroup("lane"), index(0)), () =>
    sums.forEach((value, n) =>
      builder.emit({ kind: "storeShared", array: partial, at: plus(place, index(n)), value }),
    ),
  );
  builder.barrier();
  builder.if(below(LANE, index(few)), () => {
    const total = builder.variable(literal("f32", 0), "sum");
    builder.for(index(0), over(index(SUBGROUP_LANES), subgroup("size")), index(1), (number) => {
      const at = plus(times(number, index(few)), LANE);
      builder.assign(total, binary("add", total, { kind: "shared", type: "f32", array: partial, at }));
    });
    store(LANE, total);
  });
}

function sumAlongWide({ builder, part: { from, to }, inner, members, fewAt, wideAt }: Lanes, j: Expr): void {
  builder.for(from, to, subgroup("size"), (start) => {
    const own = builder.let(plus(start, subgroup("lane")));
    const at = builder.let(within(own, to, inner, Infinity));
    const lefts = members.map(({ i }) => builder.let(fewAt(i, at)));
    const rest = builder.let(minus(to, start));
    builder.for(index(0), builder.let(binary("min", subgroup("size"), rest)), index(1), (lane) => {
      const value = builder.let(wideAt(j, builder.let(plus(start, lane))));
      members.forEach(({ sum }, n) => {
        const left = shuffle(lefts[n] as Expr, lane); // one for each member
        builder.assign(sum, binary("add", sum, binary("mul", left, value)));
      });
    });
  });
}
