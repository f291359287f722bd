/**
 * operand[…, indices, …] += updates, without atomics and in a fixed order, so that equal inputs give equal bits.
 *
 * Few updates: each element of the result looks through all indices. Many: the indices are sorted (stably), `starts` says where the
 * updates of each row begin, and each element adds up its own. Since one row may have most updates, as padding has in
 * a batch of texts, blocks of updates that belong to one row are summed beforehand: then no lane adds up more than a few blocks and
 * what is left at the ends. Work: indices·log(indices) + updates + result.
 *
 * Consumed by the table of routines.
 */
import { sizeOf } from "../../../dsl/program/program.ts";
import type { TensorType } from "../../../dsl/program/program.ts";
import type { DType } from "../../../dsl/types/dtype.ts";
import {
  KernelBuilder,
  below,
  binary,
  cast,
  index,
  literal,
  minus,
  modulo,
  over,
  plus,
  times,
} from "../../kernel/builder.ts";
import { scalarOf } from "../../kernel/ir.ts";
import type { Expr, Kernel } from "../../kernel/ir.ts";
import { eachElement, workgroupsFor } from "../elements.ts";
import type { RoutineBuffer, RoutineRule, Stage } from "./routine.ts";
import { sortStages } from "./sorted-runs.ts";

const LANES = 64;
/** So many comparisons with an index are cheaper than sorting. */
const FEW_INDICES = 32;
const FEW_COMPARISONS = 2 ** 20;
/** Fewer indices are not summed in blocks. */
const MANY_INDICES = 256;

/** The result is [batch, middle, rows, inner]; indices are [batch, count], updates [batch, middle, count, inner]. */
interface Extents<N> {
  readonly batch: N;
  readonly middle: N;
  readonly rows: N;
  readonly inner: N;
  readonly count: N;
}

export const scatterAdd: RoutineRule<"scatterAdd"> = (inputs, { axis, batchDims }) => {
  const [operand, indices] = inputs as readonly [TensorType, TensorType, TensorType];
  const { shape, dtype } = operand;
  const extents: Extents<number> = {
    batch: sizeOf(shape.slice(0, batchDims)),
    middle: sizeOf(shape.slice(batchDims, axis)),
    rows: shape[axis] as number, // axes are legal
    inner: sizeOf(shape.slice(axis + 1)),
    count: sizeOf(indices.shape.slice(batchDims)),
  };
  const { batch, middle, rows, inner, count } = extents;
  const results = batch * middle * rows * inner;
  const updates = batch * middle * count * inner;
  const sizes = [batch, middle, rows, inner, count];
  const out: RoutineBuffer = { output: 0 };
  const [from, where, what] = [0, 1, 2].map((input): RoutineBuffer => ({ input })) as [
    RoutineBuffer,
    RoutineBuffer,
    RoutineBuffer,
  ];
  if (count <= FEW_INDICES || results * count <= FEW_COMPARISONS) {
    const stage: Stage = {
      kernel: compared(dtype),
      buffers: [from, where, what, out],
      params: sizes,
      workgroups: workgroupsFor(results, LANES),
      flops: results * count,
    };
    return { temporaries: [], stages: [stage] };
  }

  const temporaries: TensorType[] = [];
  const temporary = (dtype: DType, elements: number): RoutineBuffer => ({
    temporary: temporaries.push({ shape: [elements], dtype }) - 1,
  });
  const keys = temporary("i32", batch * count);
  const orders = temporary("u32", batch * count);
  const starts = temporary("u32", batch * (rows + 1));
  const stages: Stage[] = [
    ...sortStages(
      { buffer: where, dtype: "i32", lines: { count: batch, extent: count, inner: 1 }, limit: rows },
      { kind: "runs", keys, orders },
      temporary,
    ),
    {
      kernel: findStarts(),
      buffers: [keys, starts],
      params: [...sizes, Math.ceil(Math.log2(count + 1))],
      workgroups: workgroupsFor(batch * (rows + 1), LANES),
      flops: batch * rows * Math.ceil(Math.log2(count + 1)),
    },
  ];
  if (count < MANY_INDICES) {
    stages.push({
      kernel: gathered(dtype, false),
      buffers: [from, what, orders, starts, out],
      params: sizes,
      workgroups: workgroupsFor(results, LANES),
      flops: updates,
    });
    return { temporaries, stages };
  }
  // At worst a lane adds up count / block blocks and two ends: least where the block is the square root.
  const block = 2 ** Math.round(Math.log2(count) / 2);
  const blocks = Math.floor(count / block);
  const sums = temporary(scalarOf(dtype) as DType, batch * middle * blocks * inner); // bools are not added
  stages.push(
    {
      kernel: blockSums(dtype),
      buffers: [what, keys, orders, sums],
      params: [...sizes, block],
      workgroups: workgroupsFor(batch * middle * blocks * inner, LANES),
      flops: updates,
    },
    {
      kernel: gathered(dtype, true),
      buffers: [from, what, orders, starts, sums, out],
      params: [...sizes, block],
      workgroups: workgroupsFor(results, LANES),
      flops: updates,
    },
  );
  return { temporaries, stages };
};

const declareExtents = (builder: KernelBuilder): Extents<Expr> => ({
  batch: builder.param(),
  middle: builder.param(),
  rows: builder.param(),
  inner: builder.param(),
  count: builder.param(),
});

const load = (builder: KernelBuilder, buffer: number, dtype: DType, at: Expr): Expr =>
  builder.let({ kind: "load", type: scalarOf(dtype), buffer, at });

/** An element of the result: its row, and which line of updates it draws from. */
interface Target {
  readonly element: Expr;
  readonly row: Expr;
  readonly batch: Expr;
  /** Where the update of the k-th index for this element lies. */
  readonly update: (k: Expr) => Expr;
  /** Number of [batch, middle], and place in the inner axes. */
  readonly outer: Expr;
  readonly rest: Expr;
}

function eachTarget(builder: KernelBuilder, extents: Extents<Expr>, write: (target: Target) => void): void {
  const { batch, middle, rows, inner, count } = extents;
  eachElement(builder, LANES, times(times(times(batch, middle), rows), inner), (element) => {
    const rest = builder.let(modulo(element, inner));
    const line = builder.let(over(element, inner));
    const row = builder.let(modulo(line, rows));
    const outer = builder.let(over(line, rows));
    const start = builder.let(times(outer, count));
    const update = (k: Expr): Expr => plus(times(plus(start, k), inner), rest);
    write({ element, row, batch: builder.let(over(outer, middle)), update, outer, rest });
  });
}

/** Each element of the result looks through all indices. */
function compared(dtype: DType): Kernel {
  const builder = new KernelBuilder();
  const extents = declareExtents(builder);
  const from = builder.buffer({ dtype, access: "read" });
  const where = builder.buffer({ dtype: "i32", access: "read" });
  const what = builder.buffer({ dtype, access: "read" });
  const to = builder.buffer({ dtype, access: "write" });
  eachTarget(builder, extents, ({ element, row, batch, update }) => {
    const sum = builder.variable(load(builder, from, dtype, element), "sum");
    const own = builder.let(cast("i32", row));
    const top = builder.let(cast("i32", minus(extents.rows, index(1))));
    const start = builder.let(times(batch, extents.count));
    builder.for(index(0), extents.count, index(1), (k) => {
      const given = load(builder, where, "i32", plus(start, k));
      const clamped = binary("min", binary("max", given, literal("i32", 0)), top);
      builder.if(binary("equal", clamped, own), () =>
        builder.assign(sum, binary("add", sum, load(builder, what, dtype, update(k)))),
      );
    });
    builder.emit({ kind: "store", buffer: to, at: element, value: sum });
  });
  return builder.finish("scatter_few", LANES);
}

/** For each row, and one beyond the last: how many sorted indices are below it. */
function findStarts(): Kernel {
  const builder = new KernelBuilder();
  const { batch, rows, count } = declareExtents(builder);
  const steps = builder.param();
  const keys = builder.buffer({ dtype: "i32", access: "read" });
  const to = builder.buffer({ dtype: "u32", access: "write" });
  const perBatch = builder.let(plus(rows, index(1)));
  eachElement(builder, LANES, times(batch, perBatch), (element) => {
    const row = builder.let(cast("i32", modulo(element, perBatch)));
    const start = builder.let(times(over(element, perBatch), count));
    const low = builder.variable(index(0), "low");
    const high = builder.variable(count, "high");
    builder.for(index(0), steps, index(1), () =>
      builder.if(below(low, high), () => {
        const middle = builder.let(over(plus(low, high), index(2)));
        builder.if(
          below(load(builder, keys, "i32", plus(start, middle)), row),
          () => builder.assign(low, plus(middle, index(1))),
          () => builder.assign(high, middle),
        );
      }),
    );
    builder.emit({ kind: "store", buffer: to, at: element, value: low });
  });
  return builder.finish("scatter_starts", LANES);
}

/** Sums of whole blocks of sorted updates, where all of a block go to one row; nobody asks for the others. */
function blockSums(dtype: DType): Kernel {
  const builder = new KernelBuilder();
  const { batch, middle, inner, count } = declareExtents(builder);
  const block = builder.param();
  const what = builder.buffer({ dtype, access: "read" });
  const keys = builder.buffer({ dtype: "i32", access: "read" });
  const orders = builder.buffer({ dtype: "u32", access: "read" });
  const to = builder.buffer({ dtype: scalarOf(dtype), access: "write" });
  const blocks = builder.let(over(count, block));
  eachElement(builder, LANES, times(times(times(batch, middle), blocks), inner), (element) => {
    const rest = builder.let(modulo(element, inner));
    const line = builder.let(over(element, inner));
    const outer = builder.let(over(line, blocks));
    const first = builder.let(plus(times(over(outer, middle), count), times(modulo(line, blocks), block)));
    const last = plus(first, minus(block, index(1)));
    builder.if(binary("equal", load(builder, keys, "i32", first), load(builder, keys, "i32", last)), () => {
      const sum = builder.variable(literal(scalarOf(dtype), 0), "sum");
      builder.for(index(0), block, index(1), (k) => {
        const order = load(builder, orders, "u32", plus(first, k));
        const at = plus(times(plus(times(outer, count), order), inner), rest);
        builder.assign(sum, binary("add", sum, load(builder, what, dtype, at)));
      });
      builder.emit({ kind: "store", buffer: to, at: element, value: sum });
    });
  });
  return builder.finish("scatter_blocks", LANES);
}

/** @param summed whole blocks within a row's updates are there as sums */
function gathered(dtype: DType, summed: boolean): Kernel {
  const builder = new KernelBuilder();
  const extents = declareExtents(builder);
  const block = summed ? builder.param() : undefined;
  const type = scalarOf(dtype);
  const from = builder.buffer({ dtype, access: "read" });
  const what = builder.buffer({ dtype, access: "read" });
  const orders = builder.buffer({ dtype: "u32", access: "read" });
  const starts = builder.buffer({ dtype: "u32", access: "read" });
  const sums = summed ? builder.buffer({ dtype: type, access: "read" }) : undefined;
  const to = builder.buffer({ dtype, access: "write" });
  eachTarget(builder, extents, ({ element, row, batch, update, outer, rest }) => {
    const { rows, inner, count } = extents;
    const place = builder.let(plus(times(batch, plus(rows, index(1))), row));
    const begin = load(builder, starts, "u32", place);
    const end = load(builder, starts, "u32", plus(place, index(1)));
    const sum = builder.variable(load(builder, from, dtype, element), "sum");
    const add = (value: Expr): void => builder.assign(sum, binary("add", sum, value));
    const ordered = builder.let(times(batch, count));
    const one = (k: Expr): void => {
      const order = load(builder, orders, "u32", plus(ordered, k));
      add(load(builder, what, dtype, update(order)));
    };
    if (block === undefined || sums === undefined) builder.for(begin, end, index(1), one);
    else {
      // Up to the first whole block; whole blocks; from the last.
      const [first, last] = [
        builder.let(over(plus(begin, minus(block, index(1))), block)),
        builder.let(over(end, block)),
      ];
      const headEnd = builder.let(binary("min", times(first, block), end));
      builder.for(begin, headEnd, index(1), one);
      const line = builder.let(times(outer, over(count, block)));
      builder.for(first, last, index(1), (b) =>
        add(load(builder, sums, type, plus(times(plus(line, b), inner), rest))),
      );
      builder.for(binary("max", times(last, block), headEnd), end, index(1), one);
    }
    builder.emit({ kind: "store", buffer: to, at: element, value: sum });
  });
  return builder.finish("scatter_sorted", LANES);
}
