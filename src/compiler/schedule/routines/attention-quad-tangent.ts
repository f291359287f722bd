/**
 * The tangent of attention for GPUs, in tiles of attention-quad-tile.ts: see attention-tangent.ts for the formulas and for where the
 * results go. Consumed by attention.ts.
 */
import type { AttentionParams } from "../../../dsl/program/program.ts";
import { below, index, numberOf, select, unary } from "../../kernel/builder.ts";
import type { Expr, Kernel } from "../../kernel/ir.ts";
import type { Variable } from "./attention-grid.ts";
import { AttentionKernel, add, div, exp, f32, mul, sub } from "./attention-problem.ts";
import type { AttentionShape } from "./attention-problem.ts";
import { quadLanes } from "./attention-quad-tile.ts";
import type { QuadTile } from "./attention-quad-tile.ts";
import { QuadWriter } from "./attention-quad-writer.ts";
import { tangentResults } from "./attention-tangent.ts";

/** q, k, v, lse, q̇, k̇, v̇ -> parts; or with `whole`, q, k, v, lse, q̇, k̇, v̇, o -> ȯ, the tangent of lse */
export function quadTangent(
  shape: AttentionShape,
  params: AttentionParams,
  tile: QuadTile,
  whole: boolean,
): Kernel {
  const kernel = new AttentionKernel(shape, params);
  const { builder, batch, queries, keys } = kernel;
  const { depth, width, dtype } = shape;
  const [q, k, v] = kernel.operands("read");
  const lse = kernel.ofQueries(1, "read");
  const [dq, dk, dv] = kernel.operands("read");
  const results = tangentResults(kernel, width, whole);
  const extents = { batch, held: queries, passing: keys };
  QuadWriter.each(builder, tile, Math.max(depth, width), extents, (flash) => {
    const ends = flash.rows.map((row) => kernel.endOfKeys(row));
    const shifts = flash.numbers(lse, flash.rows);
    const [totals, means, sums] = [flash.perRow(0), flash.perRow(0), flash.accumulator(width)];
    const [heldQ, heldDq] = [flash.held(q), flash.held(dq)];
    flash.eachBlock(index(0), kernel.endOfKeys(flash.last), (from) => {
      const [ofK, ofDk] = [flash.columns(k, from), flash.columns(dk, from)];
      const [values, tangentValues] = [flash.values(v, from), flash.values(dv, from)];
      const products = flash.products(heldQ, ofK, q.end, { next: [heldDq, ofK] });
      const tangents = flash.products(heldDq, ofK, q.end, { loaded: true, next: [heldQ, ofDk] });
      flash.products(heldQ, ofDk, q.end, { loaded: true, next: [values] }, tangents);
      const weights = flash.passing(from).map((key, j) =>
        ends.map((end, r) => {
          const { score, slope } = kernel.score(numberOf(products[j] as readonly string[], r));
          const seen = builder.let(below(key, end));
          const p = builder.let(select(seen, exp(sub(score, shifts[r] as Expr)), f32(0)));
          const tangent = mul(numberOf(tangents[j] as readonly string[], r), slope);
          const moved = builder.let(select(seen, mul(p, tangent), f32(0)));
          const [total, mean] = [totals[r], means[r]] as [Variable, Variable];
          builder.assign(total, add(total, p));
          builder.assign(mean, add(mean, moved));
          return { p, moved };
        }),
      );
      const edge = kernel.edgeOfKeys(ends, flash.start, flash.endOfBlock(from));
      flash.storeWeights(weights.map((row) => row.map(({ moved }) => moved)));
      flash.update(from, values, sums, edge, [tangentValues]);
      flash.storeWeights(weights.map((row) => row.map(({ p }) => p)));
      flash.update(from, tangentValues, sums, edge);
    });
    const total = flash.combine(totals, add);
    builder.barrier();
    const mean = flash.combine(means, add).map((sum, r) => builder.let(div(sum, total[r] as Expr)));
    flash.scale(sums, total.map((sum) => builder.let(div(f32(1), sum)))); // prettier-ignore
    if (results.o !== undefined) flash.addRows(sums, results.o, mean.map((x) => unary("neg", x))); // prettier-ignore
    flash.storeAccumulator({ matrix: results.ofO, quads: whole && dtype === "f32" }, sums);
    flash.storeNumbers(results.ofLse, mean, results.column);
  });
  return builder.finish("attention_tangent", quadLanes(tile));
}
