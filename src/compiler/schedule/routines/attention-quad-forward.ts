/**
 * Attention itself for GPUs, in tiles of attention-quad-tile.ts: see attention-forward.ts for the way. Consumed by attention.ts.
 */
import type { AttentionParams } from "../../../dsl/program/program.ts";
import { below, index, numberOf, select, upTo } from "../../kernel/builder.ts";
import type { Expr, Kernel } from "../../kernel/ir.ts";
import type { Variable } from "./attention-grid.ts";
import { AttentionKernel, MASKED, add, div, exp, f32, larger, log, mul, sub } from "./attention-problem.ts";
import type { AttentionShape } from "./attention-problem.ts";
import { quadLanes } from "./attention-quad-tile.ts";
import type { QuadTile } from "./attention-quad-tile.ts";
import { QuadWriter } from "./attention-quad-writer.ts";

/** q, k, v -> o, lse */
export function quadForward(shape: AttentionShape, params: AttentionParams, tile: QuadTile): Kernel {
  const kernel = new AttentionKernel(shape, params);
  const { builder, batch, queries, keys } = kernel;
  const [q, k, v] = kernel.operands("read");
  const [o, lse] = [kernel.ofQueries(shape.width, "write"), kernel.ofQueries(1, "write")];
  const extents = { batch, held: queries, passing: keys };
  QuadWriter.each(builder, tile, Math.max(shape.depth, shape.width), extents, (flash) => {
    const ends = flash.rows.map((row) => kernel.endOfKeys(row));
    const [maxima, totals, sums] = [flash.perRow(MASKED), flash.perRow(0), flash.accumulator(shape.width)];
    const held = flash.held(q);
    flash.eachBlock(index(0), kernel.endOfKeys(flash.last), (from) => {
      const values = flash.values(v, from);
      const products = flash.products(held, flash.columns(k, from), q.end, { next: [values] });
      const scores = flash.passing(from).map((key, j) =>
        ends.map((end, r) => {
          const { score } = kernel.score(numberOf(products[j] as readonly string[], r));
          return builder.let(select(below(key, end), score, f32(MASKED)));
        }),
      );
      const found = maxima.map((maximum, r) =>
        builder.let(scores.map((row) => row[r] as Expr).reduce(larger, maximum)),
      );
      const grown = flash.combine(found, larger);
      const rescale = grown.map((maximum, r) => builder.let(exp(sub(maxima[r] as Expr, maximum))));
      flash.scale(sums, rescale);
      grown.forEach((maximum, r) => {
        builder.assign(maxima[r] as Variable, maximum);
        builder.assign(totals[r] as Variable, mul(totals[r] as Variable, rescale[r] as Expr));
      });
      const weights = scores.map((row) =>
        row.map((score, r) => {
          const weight = builder.let(exp(sub(score, maxima[r] as Expr)));
          builder.assign(totals[r] as Variable, add(totals[r] as Variable, weight));
          return weight;
        }),
      );
      flash.storeWeights(weights);
      flash.update(from, values, sums, kernel.edgeOfKeys(ends, flash.start, flash.endOfBlock(from)));
    });
    const total = flash.combine(totals, add);
    flash.scale(sums, total.map((sum) => builder.let(div(f32(1), sum)))); // prettier-ignore
    flash.storeAccumulator({ matrix: o, quads: shape.dtype === "f32" }, sums);
    flash.storeNumbers(
      lse,
      upTo(tile.held).map((r) => add(maxima[r] as Expr, log(total[r] as Expr))),
    );
  });
  return builder.finish("attention", quadLanes(tile));
}
