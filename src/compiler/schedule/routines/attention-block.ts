/**
 * The backward pass of attention for short sequences, in one kernel: a workgroup has all queries and keys of a problem, so it computes
 * weights once, from nothing but q, k and v. See attention-transpose.ts for the formulas. Consumed by attention.ts.
 */
import type { AttentionParams } from "../../../dsl/program/program.ts";
import { below, index, select } from "../../kernel/builder.ts";
import type { Expr, Kernel } from "../../kernel/ir.ts";
import { AttentionKernel, MASKED, add, div, exp, f32, larger, mul, sub } from "./attention-problem.ts";
import type { AttentionShape } from "./attention-problem.ts";
import { lanesOf } from "./attention-tile.ts";
import type { FlashDemand, FlashTile } from "./attention-tile.ts";
import { FlashWriter } from "./attention-writer.ts";
import { overGrid } from "./attention-grid.ts";
import type { Grid } from "./attention-grid.ts";

export const blockDemand = ({ queries, keys, depth, width }: AttentionShape): FlashDemand => ({
  held: queries,
  passing: keys,
  depths: [depth, width],
  sides: 1,
  accumulators: [],
  values: [],
  weights: 2,
  combines: true,
  restaged: Math.max(depth, width),
});

/** q, k, v, ō, the cotangent of lse -> q̄, k̄, v̄ */
export function blockKernel(shape: AttentionShape, params: AttentionParams, tile: FlashTile): Kernel {
  const kernel = new AttentionKernel(shape, params);
  const { builder, batch, queries, keys } = kernel;
  const [q, k, v] = kernel.operands("read");
  const [ctO, ctLse] = [kernel.ofQueries(shape.width, "read"), kernel.ofQueries(1, "read")];
  const [ctQ, ctK, ctV] = kernel.operands("write");
  const extents = { batch, held: queries, passing: keys };
  const sees = (query: Expr, key: Expr): Expr => below(key, kernel.endOfKeys(query));
  FlashWriter.each(builder, tile, blockDemand(shape), extents, (flash) => {
    const ends = flash.rows.map((row) => kernel.endOfKeys(row));
    const [products] = flash.products([q], [k], index(0), [[[0, 0]]]) as [Grid];
    builder.barrier();
    const [cotangents] = flash.products([ctO], [v], index(0), [[[0, 0]]]) as [Grid];
    const key = flash.passing(index(0));
    const scores = overGrid(products, (product, r, c) => {
      const { score, slope } = kernel.score(product);
      const seen = builder.let(below(key[c] as Expr, ends[r] as Expr));
      return { score: builder.let(select(seen, score, f32(MASKED))), slope, seen };
    });
    const maxima = flash.combine(
      scores.map((row) => builder.let(row.map(({ score }) => score).reduce(larger))),
      larger,
    );
    const exponentials = overGrid(scores, ({ score }, r) => builder.let(exp(sub(score, maxima[r] as Expr))));
    builder.barrier();
    const totals = flash.combine(
      exponentials.map((row) => builder.let(row.reduce(add))),
      add,
    );
    builder.barrier();
    const p = overGrid(exponentials, (e, r) => builder.let(div(e, totals[r] as Expr)));
    const cts = overGrid(scores, ({ seen }, r, c) =>
      builder.let(select(seen, cotangents[r]?.[c] as Expr, f32(0))),
    );
    const ofLse = flash.numbers(ctLse, flash.rows);
    const weighted = p.map((row, r) =>
      builder.let(row.map((weight, c) => mul(weight, cts[r]?.[c] as Expr)).reduce(add)),
    );
    const deltas = flash.combine(weighted, add).map((mean, r) => builder.let(sub(mean, ofLse[r] as Expr)));
    const moved = overGrid(scores, ({ slope }, r, c) =>
      mul(mul(p[r]?.[c] as Expr, sub(cts[r]?.[c] as Expr, deltas[r] as Expr)), slope),
    );
    flash.storeWeights(0, p);
    flash.storeWeights(1, moved);
    const ofKeys = params.causal ? sees : undefined;
    const ofQueries = params.causal ? (key: Expr, query: Expr): Expr => sees(query, key) : undefined;
    flash.contract(1, "passing", k, ctQ, ofKeys);
    flash.contract(1, "held", q, ctK, ofQueries);
    flash.contract(0, "held", ctO, ctV, ofQueries);
  });
  return builder.finish("attention_transpose", lanesOf(tile));
}
