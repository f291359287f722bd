/**
 * The backward pass of attention. With s̄ = p·(ō·v − delta)·slope and delta = ō·o − the cotangent of lse: q̄ = Σ s̄k over keys, and
 * k̄ = Σ s̄q, v̄ = Σ pō over queries. So there are two passes, one that holds queries and one that holds keys, after a small kernel for delta.
 *
 * The weights p come from the lse of the forward pass, which may be rounded to f16. The pass over keys sums them up, divides by their sum,
 * and leaves a corrected lse for the other pass, which never has all weights of a row. Consumed by attention.ts.
 */
import type { AttentionParams, TensorType } from "../../../dsl/program/program.ts";
import { KernelBuilder, below, index, plus, select, times } from "../../kernel/builder.ts";
import type { Expr, Kernel } from "../../kernel/ir.ts";
import { eachElement } from "../elements.ts";
import { AttentionKernel, add, div, exp, f32, log, mul, sub } from "./attention-problem.ts";
import type { AttentionShape } from "./attention-problem.ts";
import { lanesOf } from "./attention-tile.ts";
import type { FlashDemand, FlashTile } from "./attention-tile.ts";
import { FlashWriter } from "./attention-writer.ts";
import { overGrid } from "./attention-grid.ts";
import type { Grid, Variable } from "./attention-grid.ts";

export const deltaType = ({ batch, queries }: AttentionShape): TensorType => ({
  shape: [batch, queries],
  dtype: "f32",
});
/** Of each query: the corrected lse, and delta. */
export const statisticsType = ({ batch, queries }: AttentionShape): TensorType => ({
  shape: [batch, queries, 2],
  dtype: "f32",
});

/** Lanes of the kernel below. */
export const DELTA_LANES = 64;

/** o, ō, the cotangent of lse -> delta. Its parameters are the number of queries in all, each of which has a lane, and the width. */
export function deltaKernel({ dtype }: AttentionShape): Kernel {
  const builder = new KernelBuilder();
  const [o, ctO, ctLse] = [0, 1, 2].map(() => builder.buffer({ dtype, access: "read" })) as [
    number,
    number,
    number,
  ];
  const delta = builder.buffer({ dtype: "f32", access: "write" });
  const [count, width] = [builder.param(), builder.param()];
  const load = (buffer: number, at: Expr): Expr => ({ kind: "load", type: "f32", buffer, at });
  eachElement(builder, DELTA_LANES, count, (row) => {
    const sum = builder.variable(f32(0), "sum");
    const line = builder.let(times(row, width));
    builder.for(index(0), width, index(1), (column) => {
      const at = builder.let(plus(line, column));
      builder.assign(sum, add(sum, mul(load(o, at), load(ctO, at))));
    });
    builder.emit({ kind: "store", buffer: delta, at: row, value: sub(sum, load(ctLse, row)) });
  });
  return builder.finish("attention_delta", DELTA_LANES);
}

export const queryDemand = ({ queries, keys, depth, width }: AttentionShape): FlashDemand => ({
  held: queries,
  passing: keys,
  depths: [depth, width],
  sides: 1,
  accumulators: [depth],
  values: [depth],
  weights: 1,
  combines: true,
});

/** q, k, v, lse, ō, delta -> q̄, statistics */
export function queryKernel(shape: AttentionShape, params: AttentionParams, tile: FlashTile): Kernel {
  const kernel = new AttentionKernel(shape, params);
  const { builder, batch, queries, keys } = kernel;
  const [q, k, v] = kernel.operands("read");
  const [lse, ctO] = [kernel.ofQueries(1, "read"), kernel.ofQueries(shape.width, "read")];
  const delta = kernel.ofQueries(1, "read", "f32");
  const ctQ = kernel.ofQueries(shape.depth, "write");
  const statistics = kernel.ofQueries(2, "write", "f32");
  const extents = { batch, held: queries, passing: keys };
  FlashWriter.each(builder, tile, queryDemand(shape), extents, (flash) => {
    const ends = flash.rows.map((row) => kernel.endOfKeys(row));
    const [shifts, deltas] = [flash.numbers(lse, flash.rows), flash.numbers(delta, flash.rows)];
    const [totals, sums] = [flash.perRow(0), flash.accumulator(shape.depth)];
    const seenKeys = kernel.seenKeys(ends, flash.start);
    flash.eachBlock(index(0), kernel.endOfKeys(flash.last), (from) => {
      const [products] = flash.products([q], [k], from, [[[0, 0]]]) as [Grid];
      builder.barrier();
      const [cotangents] = flash.products([ctO], [v], from, [[[0, 0]]]) as [Grid];
      const key = flash.passing(from);
      const weights = overGrid(products, (product, r, c) => {
        const { score, slope } = kernel.score(product);
        const seen = builder.let(below(key[c] as Expr, ends[r] as Expr));
        const p = builder.let(select(seen, exp(sub(score, shifts[r] as Expr)), f32(0)));
        const total = totals[r] as Variable;
        builder.assign(total, add(total, p));
        const moved = mul(mul(p, sub(cotangents[r]?.[c] as Expr, deltas[r] as Expr)), slope);
        return builder.let(select(seen, moved, f32(0)));
      });
      flash.storeWeights(0, weights);
      flash.update(from, [{ into: sums, terms: [[0, k]] }], seenKeys);
    });
    const total = flash.combine(totals, add);
    flash.storeAccumulator(ctQ, sums, (sum, r) => div(sum, total[r] as Expr));
    const corrected = total.map((sum, r) => add(shifts[r] as Expr, log(sum)));
    flash.storeNumbers(statistics, corrected, 0);
    flash.storeNumbers(statistics, deltas, 1);
  });
  return builder.finish("attention_transpose_query", lanesOf(tile));
}

export const keyDemand = ({ queries, keys, depth, width }: AttentionShape): FlashDemand => ({
  held: keys,
  passing: queries,
  depths: [depth, width],
  sides: 1,
  accumulators: [depth, width],
  values: [depth, width],
  weights: 2,
  combines: false,
});

/** q, k, v, ō, statistics -> k̄, v̄ */
export function keyKernel(shape: AttentionShape, params: AttentionParams, tile: FlashTile): Kernel {
  const kernel = new AttentionKernel(shape, params);
  const { builder, batch, queries, keys } = kernel;
  const { depth, width } = shape;
  const [q, k, v] = kernel.operands("read");
  const [ctO, statistics] = [kernel.ofQueries(width, "read"), kernel.ofQueries(2, "read", "f32")];
  const [ctK, ctV] = [kernel.ofKeys(depth, "write"), kernel.ofKeys(width, "write")];
  const extents = { batch, held: keys, passing: queries };
  FlashWriter.each(builder, tile, keyDemand(shape), extents, (flash) => {
    const firsts = flash.rows.map((row) => kernel.firstQuery(row));
    const [ofK, ofV] = [flash.accumulator(depth), flash.accumulator(width)];
    const seenQueries = kernel.seenQueries(firsts, flash.last);
    flash.eachBlock(kernel.firstQuery(flash.start), queries, (from) => {
      const [products] = flash.products([k], [q], from, [[[0, 0]]]) as [Grid];
      builder.barrier();
      const [cotangents] = flash.products([v], [ctO], from, [[[0, 0]]]) as [Grid];
      const query = flash.passing(from);
      const [shifts, deltas] = [0, 1].map((column) => flash.numbers(statistics, query, column)) as [
        readonly Expr[],
        readonly Expr[],
      ];
      const weights = overGrid(products, (product, r, c) => {
        const { score, slope } = kernel.score(product);
        const weight = exp(sub(score, shifts[c] as Expr));
        // Queries beyond the last are not summed over.
        const before = builder.let(below(query[c] as Expr, firsts[r] as Expr));
        const seen = (x: Expr): Expr => builder.let(params.causal ? select(before, f32(0), x) : x);
        const p = seen(weight);
        return [p, seen(mul(mul(p, sub(cotangents[r]?.[c] as Expr, deltas[c] as Expr)), slope))];
      });
      [0, 1].forEach((n) =>
        flash.storeWeights(
          n,
          overGrid(weights, (pair) => pair[n] as Expr),
        ),
      );
      const updates = [
        { into: ofK, terms: [[1, q]] },
        { into: ofV, terms: [[0, ctO]] },
      ] as const;
      flash.update(from, updates, seenQueries);
    });
    flash.storeAccumulator(ctK, ofK);
    flash.storeAccumulator(ctV, ofV);
  });
  return builder.finish("attention_transpose_keys", lanesOf(tile));
}
