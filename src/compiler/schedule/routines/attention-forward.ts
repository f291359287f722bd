/**
 * Attention itself: a workgroup holds queries and passes once through the keys that they see; the softmax so far is rescaled whenever
 * the maximum of a row grows. Consumed by attention.ts.
 */
import type { AttentionParams } from "../../../dsl/program/program.ts";
import { below, index, select } from "../../kernel/builder.ts";
import type { Expr, Kernel } from "../../kernel/ir.ts";
import { AttentionKernel, MASKED, add, div, exp, f32, larger, log, mul, sub } from "./attention-problem.ts";
import type { AttentionShape } from "./attention-problem.ts";
import { lanesOf } from "./attention-tile.ts";
import type { FlashDemand, FlashTile } from "./attention-tile.ts";
import { FlashWriter } from "./attention-writer.ts";
import { overGrid } from "./attention-grid.ts";
import type { Grid, Variable } from "./attention-grid.ts";

export const forwardDemand = ({ queries, keys, depth, width }: AttentionShape): FlashDemand => ({
  held: queries,
  passing: keys,
  depths: [depth],
  sides: 1,
  accumulators: [width],
  values: [width],
  weights: 1,
  combines: true,
});

/** q, k, v -> o, lse */
export function forwardKernel(shape: AttentionShape, params: AttentionParams, tile: FlashTile): Kernel {
  const kernel = new AttentionKernel(shape, params);
  const { builder, batch, queries, keys } = kernel;
  const [q, k, v] = kernel.operands("read");
  const [o, lse] = [kernel.ofQueries(shape.width, "write"), kernel.ofQueries(1, "write")];
  const extents = { batch, held: queries, passing: keys };
  FlashWriter.each(builder, tile, forwardDemand(shape), extents, (flash) => {
    const ends = flash.rows.map((row) => kernel.endOfKeys(row));
    const [maxima, totals, sums] = [flash.perRow(MASKED), flash.perRow(0), flash.accumulator(shape.width)];
    const seenKeys = kernel.seenKeys(ends, flash.start);
    flash.eachBlock(index(0), kernel.endOfKeys(flash.last), (from) => {
      const [products] = flash.products([q], [k], from, [[[0, 0]]]) as [Grid];
      const key = flash.passing(from);
      const scores = overGrid(products, (product, r, c) => {
        const seen = below(key[c] as Expr, ends[r] as Expr);
        return builder.let(select(seen, kernel.score(product).score, f32(MASKED)));
      });
      const found = scores.map((row, r) => builder.let(row.reduce(larger, maxima[r] as Expr)));
      const weights = flash.combine(found, larger).map((maximum, r) => {
        const total = totals[r] as Variable;
        const rescale = builder.let(exp(sub(maxima[r] as Expr, maximum)));
        builder.assign(maxima[r] as Variable, maximum);
        for (const sum of [total, ...(sums[r] ?? [])]) builder.assign(sum, mul(sum, rescale));
        return scores[r]?.map((score) => {
          const weight = builder.let(exp(sub(score, maximum)));
          builder.assign(total, add(total, weight));
          return weight;
        });
      }) as Grid;
      flash.storeWeights(0, weights);
      flash.update(from, [{ into: sums, terms: [[0, v]] }], seenKeys);
    });
    const total = flash.combine(totals, add);
    flash.storeAccumulator(o, sums, (sum, r) => div(sum, total[r] as Expr));
    flash.storeNumbers(
      lse,
      total.map((sum, r) => add(maxima[r] as Expr, log(sum))),
    );
  });
  return builder.finish("attention", lanesOf(tile));
}
