/**
 * The backward pass of attention for GPUs, in tiles of attention-quad-tile.ts: see attention-transpose.ts for the formulas and the way.
 * Consumed by attention.ts.
 */
import type { AttentionParams } from "../../../dsl/program/program.ts";
import { below, both, index, numberOf, select, unary } from "../../kernel/builder.ts";
import type { Expr, Kernel } from "../../kernel/ir.ts";
import type { Variable } from "./attention-grid.ts";
import { AttentionKernel, add, div, exp, f32, log, mul, sub } from "./attention-problem.ts";
import type { AttentionShape } from "./attention-problem.ts";
import { quadLanes } from "./attention-quad-tile.ts";
import type { QuadTile } from "./attention-quad-tile.ts";
import { QuadWriter } from "./attention-quad-writer.ts";

/** q, k, v, lse, ō, delta -> q̄, statistics */
export function quadQueries(shape: AttentionShape, params: AttentionParams, tile: QuadTile): Kernel {
  const kernel = new AttentionKernel(shape, params);
  const { builder, batch, queries, keys } = kernel;
  const { depth, width, dtype } = shape;
  const [q, k, v] = kernel.operands("read");
  const [lse, ctO] = [kernel.ofQueries(1, "read"), kernel.ofQueries(width, "read")];
  const delta = kernel.ofQueries(1, "read", "f32");
  const ctQ = kernel.ofQueries(depth, "write");
  const statistics = kernel.ofQueries(2, "write", "f32");
  const extents = { batch, held: queries, passing: keys };
  QuadWriter.each(builder, tile, depth, extents, (flash) => {
    const ends = flash.rows.map((row) => kernel.endOfKeys(row));
    const [shifts, deltas] = [flash.numbers(lse, flash.rows), flash.numbers(delta, flash.rows)];
    const [totals, sums] = [flash.perRow(0), flash.accumulator(depth)];
    const [heldQ, heldCt] = [flash.held(q), flash.held(ctO)];
    flash.eachBlock(index(0), kernel.endOfKeys(flash.last), (from) => {
      const values = flash.values(k, from);
      const [ofK, ofV] = [flash.columns(k, from), flash.columns(v, from)];
      const products = flash.products(heldQ, ofK, q.end, { next: [heldCt, ofV] });
      const weights = flash.passing(from).map((key, j) =>
        ends.map((end, r) => {
          const { score, slope } = kernel.score(numberOf(products[j] as readonly string[], r));
          const seen = builder.let(below(key, end));
          const p = builder.let(select(seen, exp(sub(score, shifts[r] as Expr)), f32(0)));
          builder.assign(totals[r] as Variable, add(totals[r] as Variable, p));
          return { p, slope, seen };
        }),
      );
      const cotangents = flash.products(heldCt, ofV, v.end, { loaded: true, next: [values] });
      flash.storeWeights(
        weights.map((row, j) =>
          row.map(({ p, slope, seen }, r) => {
            const ct = numberOf(cotangents[j] as readonly string[], r);
            const moved = mul(mul(p, sub(ct, deltas[r] as Expr)), slope);
            return builder.let(select(seen, moved, f32(0)));
          }),
        ),
      );
      flash.update(from, values, sums, kernel.edgeOfKeys(ends, flash.start, flash.endOfBlock(from)));
    });
    const total = flash.combine(totals, add);
    flash.scale(sums, total.map((sum) => builder.let(div(f32(1), sum)))); // prettier-ignore
    flash.storeAccumulator({ matrix: ctQ, quads: dtype === "f32" }, sums);
    const corrected = total.map((sum, r) => add(shifts[r] as Expr, log(sum)));
    flash.storeNumbers(statistics, corrected, 0);
    flash.storeNumbers(statistics, deltas, 1);
  });
  return builder.finish("attention_transpose_query", quadLanes(tile));
}

/** q, k, v, ō, statistics -> k̄, v̄ */
export function quadKeys(shape: AttentionShape, params: AttentionParams, tile: QuadTile): Kernel {
  const kernel = new AttentionKernel(shape, params);
  const { builder, batch, queries, keys } = kernel;
  const { depth, width, dtype } = shape;
  const [q, k, v] = kernel.operands("read");
  const [ctO, statistics] = [kernel.ofQueries(width, "read"), kernel.ofQueries(2, "read", "f32")];
  const [ctK, ctV] = [kernel.ofKeys(depth, "write"), kernel.ofKeys(width, "write")];
  const extents = { batch, held: keys, passing: queries };
  QuadWriter.each(builder, tile, Math.max(depth, width), extents, (flash) => {
    const firsts = flash.rows.map((row) => kernel.firstQuery(row));
    const [ofKeys, ofValues] = [flash.accumulator(depth), flash.accumulator(width)];
    const [heldK, heldV] = [flash.held(k), flash.held(v)];
    flash.eachBlock(kernel.firstQuery(flash.start), queries, (from) => {
      const [ctValues, qValues] = [flash.values(ctO, from), flash.values(q, from)];
      const [ofQ, ofCt] = [flash.columns(q, from), flash.columns(ctO, from)];
      const rows = flash.passing(from);
      const [shifts, deltas] = [flash.numbers(statistics, rows, 0), flash.numbers(statistics, rows, 1)];
      const products = flash.products(heldK, ofQ, k.end, { next: [heldV, ofCt] });
      const weights = rows.map((query, j) => {
        const some = builder.let(below(query, queries));
        return firsts.map((first, r) => {
          const { score, slope } = kernel.score(numberOf(products[j] as readonly string[], r));
          const seen = params.causal ? builder.let(both(some, unary("not", below(query, first)))) : some;
          const p = builder.let(select(seen, exp(sub(score, shifts[j] as Expr)), f32(0)));
          return { p, slope, seen };
        });
      });
      const cotangents = flash.products(heldV, ofCt, v.end, { loaded: true, next: [ctValues] });
      const moved = weights.map((row, j) =>
        row.map(({ p, slope, seen }, r) => {
          const ct = numberOf(cotangents[j] as readonly string[], r);
          return builder.let(select(seen, mul(mul(p, sub(ct, deltas[j] as Expr)), slope), f32(0)));
        }),
      );
      const edge = kernel.edgeOfQueries(firsts, flash.last, from);
      flash.storeWeights(weights.map((row) => row.map(({ p }) => p)));
      flash.update(from, ctValues, ofValues, edge, [qValues]);
      flash.storeWeights(moved);
      flash.update(from, qValues, ofKeys, edge);
    });
    const quads = dtype === "f32";
    flash.storeAccumulator({ matrix: ctK, quads }, ofKeys);
    flash.storeAccumulator({ matrix: ctV, quads }, ofValues);
  });
  return builder.finish("attention_transpose_keys", quadLanes(tile));
}
