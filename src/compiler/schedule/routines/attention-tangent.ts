/**
 * The tangent of attention in one pass: ȯ = Σp(ṡv + v̇) − (Σpṡ)·o, and Σpṡ is the tangent of lse. The weights p come from the lse of the
 * forward pass; it may be rounded to f16, so they are summed too and divided by their sum.
 *
 * The pass has ten buffers. Where a kernel binds fewer, it leaves both sums of a row side by side, and a second kernel makes the results
 * of them. Consumed by attention.ts.
 */
import type { AttentionParams, TensorType } from "../../../dsl/program/program.ts";
import {
  KernelBuilder,
  below,
  binary,
  index,
  modulo,
  over,
  plus,
  select,
  times,
} from "../../kernel/builder.ts";
import type { Expr, Kernel } from "../../kernel/ir.ts";
import { eachElement } from "../elements.ts";
import { AttentionKernel, add, div, exp, f32, mul, sub } from "./attention-problem.ts";
import type { AttentionShape } from "./attention-problem.ts";
import { lanesOf } from "./attention-tile.ts";
import type { FlashDemand, FlashTile } from "./attention-tile.ts";
import { FlashWriter } from "./attention-writer.ts";
import { overGrid } from "./attention-grid.ts";
import type { Grid, Matrix, Variable } from "./attention-grid.ts";

export const tangentDemand = ({ queries, keys, depth, width }: AttentionShape): FlashDemand => ({
  held: queries,
  passing: keys,
  depths: [depth],
  sides: 2,
  accumulators: [width],
  values: [width, width],
  weights: 2,
  combines: true,
});

/** Buffers of the whole tangent in one kernel. */
export const WHOLE_TANGENT_BUFFERS = 10;

/** What the pass leaves for the second kernel: each row ends with Σpṡ. */
export const partsType = ({ batch, queries, width }: AttentionShape): TensorType => ({
  shape: [batch, queries, width + 1],
  dtype: "f32",
});

/** q, k, v, lse, q̇, k̇, v̇ -> parts; or with `whole`, q, k, v, lse, q̇, k̇, v̇, o -> ȯ, the tangent of lse */
export function tangentKernel(
  shape: AttentionShape,
  params: AttentionParams,
  tile: FlashTile,
  whole: boolean,
): Kernel {
  const kernel = new AttentionKernel(shape, params);
  const { builder, batch, queries, keys } = kernel;
  const { width } = shape;
  const [q, k, v] = kernel.operands("read");
  const lse = kernel.ofQueries(1, "read");
  const [dq, dk, dv] = kernel.operands("read");
  const results = tangentResults(kernel, width, whole);
  const extents = { batch, held: queries, passing: keys };
  FlashWriter.each(builder, tile, tangentDemand(shape), extents, (flash) => {
    const ends = flash.rows.map((row) => kernel.endOfKeys(row));
    const shifts = flash.numbers(lse, flash.rows);
    const [totals, means, sums] = [flash.perRow(0), flash.perRow(0), flash.accumulator(width)];
    const seenKeys = kernel.seenKeys(ends, flash.start);
    flash.eachBlock(index(0), kernel.endOfKeys(flash.last), (from) => {
      const [products, tangents] = flash.products([q, dq], [k, dk], from, [
        [[0, 0]],
        [[1, 0], [0, 1]],
      ]) as [Grid, Grid]; // prettier-ignore
      const key = flash.passing(from);
      const weights = overGrid(products, (product, r, c) => {
        const { score, slope } = kernel.score(product);
        const seen = builder.let(below(key[c] as Expr, ends[r] as Expr));
        const p = builder.let(select(seen, exp(sub(score, shifts[r] as Expr)), f32(0)));
        const moved = builder.let(select(seen, mul(p, mul(tangents[r]?.[c] as Expr, slope)), f32(0)));
        const [total, mean] = [totals[r], means[r]] as [Variable, Variable];
        builder.assign(total, add(total, p));
        builder.assign(mean, add(mean, moved));
        return [p, moved] as const;
      });
      [0, 1].forEach((n) =>
        flash.storeWeights(
          n,
          overGrid(weights, (pair) => pair[n] as Expr),
        ),
      );
      const terms = [[1, v], [0, dv]] as const; // prettier-ignore
      flash.update(from, [{ into: sums, terms }], seenKeys);
    });
    const total = flash.combine(totals, add);
    builder.barrier();
    const mean = flash.combine(means, add).map((sum, r) => builder.let(div(sum, total[r] as Expr)));
    const { o } = results;
    flash.storeAccumulator(results.ofO, sums, (sum, r, column) => {
      const part = div(sum, total[r] as Expr);
      return o === undefined
        ? part
        : sub(part, mul(mean[r] as Expr, flash.load(o, flash.rows[r] as Expr, column)));
    });
    flash.storeNumbers(results.ofLse, mean, results.column);
  });
  return builder.finish("attention_tangent", lanesOf(tile));
}

/** Where the results go, or the parts of them; and o, where it is at hand. */
interface Results {
  readonly o: Matrix | undefined;
  readonly ofO: Matrix;
  /** The number for each row goes to a column of it. */
  readonly ofLse: Matrix;
  readonly column: number;
}

export const tangentResults = (kernel: AttentionKernel, width: number, whole: boolean): Results =>
  whole ? wholeResults(kernel, width) : parts(kernel, width);

const wholeResults = (kernel: AttentionKernel, width: number): Results => ({
  o: kernel.ofQueries(width, "read"),
  ofO: kernel.ofQueries(width, "write"),
  ofLse: kernel.ofQueries(1, "write"),
  column: 0,
});

function parts(kernel: AttentionKernel, width: number): Results {
  const both = kernel.ofQueries(width + 1, "write", "f32");
  return { o: undefined, ofO: { ...both, columns: width }, ofLse: both, column: width };
}

/** Lanes of the kernel below. */
export const TANGENT_END_LANES = 64;

/** parts, o -> ȯ, the tangent of lse. Its parameter is the number of elements of o; it has a lane for each. */
export function tangentEnd({ width, dtype }: AttentionShape): Kernel {
  const builder = new KernelBuilder();
  const parts = builder.buffer({ dtype: "f32", access: "read" });
  const [o, dO, dLse] = (["read", "write", "write"] as const).map((access) =>
    builder.buffer({ dtype, access }),
  ) as [number, number, number];
  const load = (buffer: number, at: Expr): Expr => ({ kind: "load", type: "f32", buffer, at });
  eachElement(builder, TANGENT_END_LANES, builder.param(), (element) => {
    const row = builder.let(over(element, index(width)));
    const column = builder.let(modulo(element, index(width)));
    const line = builder.let(times(row, index(width + 1)));
    const mean = builder.let(load(parts, plus(line, index(width))));
    const value = sub(load(parts, plus(line, column)), mul(mean, load(o, element)));
    builder.emit({ kind: "store", buffer: dO, at: element, value });
    builder.if(binary("equal", column, index(0)), () =>
      builder.emit({ kind: "store", buffer: dLse, at: row, value: mean }),
    );
  });
  return builder.finish("attention_tangent_end", TANGENT_END_LANES);
}
