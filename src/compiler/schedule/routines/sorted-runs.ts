/**
 * Sorting lines: blocks are sorted in workgroup memory by a bitonic network, then runs are merged, twice as long each time, by
 * computing for each element its place in the merged run. Elements are (key, order) pairs and `order` differs in all of them, so
 * the result is stable and each place is taken once.
 *
 * `order` is the position in the line, and what comes after all numbers has a bit set above it: NaN, then padding. So keys are compared
 * between numbers only, and no key is NaN.
 *
 * Consumed by sort and scatterAdd.
 */
import type { DType } from "../../../dsl/types/dtype.ts";
import {
  KernelBuilder,
  LANE,
  WORKGROUP,
  below,
  binary,
  both,
  index,
  literal,
  minus,
  modulo,
  over,
  plus,
  select,
  times,
} from "../../kernel/builder.ts";
import { scalarOf } from "../../kernel/ir.ts";
import type { Expr, Kernel, Scalar } from "../../kernel/ir.ts";
import { eachElement, workgroupsFor } from "../elements.ts";
import { declareLines, lineAt, lineParams, powerOfTwo } from "./lines.ts";
import type { Lines } from "./lines.ts";
import type { RoutineBuffer, Stage } from "./routine.ts";

/** Elements that a workgroup sorts, with its lanes: few for short lines. Workgroup memory costs as it is declared, used or not. */
const SIZES = [
  { elements: 128, lanes: 64 },
  { elements: 512, lanes: 256 },
] as const;
const [SMALL, LARGE] = SIZES;
type Size = (typeof SIZES)[number];

const MERGE_LANES = 64;

const NAN_BIT = 2 ** 30;
const PADDING_BIT = 2 ** 31;

/** A pair in registers. */
interface Element {
  readonly key: Expr;
  readonly order: Expr;
}

function less(x: Element, y: Element): Expr {
  const numbers = below(binary("or", x.order, y.order), index(NAN_BIT));
  const byKey = both(numbers, unequal(x.key, y.key));
  const [keys, orders] = [below(x.key, y.key), below(x.order, y.order)];
  return binary("or", both(byKey, keys), both(not(byKey), orders));
}

const not = (x: Expr): Expr => ({ kind: "unary", type: "bool", op: "not", x });
const unequal = (x: Expr, y: Expr): Expr => not(binary("equal", x, y));

/** The position in the line that an element came from. */
const positionOf = (order: Expr): Expr => binary("and", order, index(NAN_BIT - 1));

/** What is sorted: the lines of a tensor. With `limit`, its elements moved between 0 and below the limit. */
export interface SortSource {
  readonly buffer: RoutineBuffer;
  readonly dtype: DType;
  readonly lines: Lines;
  readonly limit?: number;
}

/**
 * Where sorted lines go: `values` and i32 `positions` laid out as the source is; or keys in the source's scalar type and u32 orders (equal
 * to positions unless there is NaN), line after line.
 */
export type SortTarget =
  | { readonly kind: "tensors"; readonly values: RoutineBuffer; readonly positions: RoutineBuffer }
  | { readonly kind: "runs"; readonly keys: RoutineBuffer; readonly orders: RoutineBuffer };

/** @param temporary makes a buffer for so many elements */
export function sortStages(
  source: SortSource,
  target: SortTarget,
  temporary: (dtype: DType, elements: number) => RoutineBuffer,
): readonly Stage[] {
  const { lines, dtype, limit } = source;
  const { count, extent } = lines;
  const size = extent <= SMALL.elements ? SMALL : LARGE;
  const levels = Math.min(Math.ceil(Math.log2(extent)), Math.log2(size.elements));
  const blocks = Math.ceil(extent / 2 ** levels);
  const merges = Math.ceil(Math.log2(blocks));
  const limits = limit === undefined ? [] : [limit];
  // Runs go to and fro between two pairs of buffers; the last merge goes to the target.
  const pair = (): SortTarget => ({
    kind: "runs",
    keys: temporary(scalarOf(dtype) as DType, count * extent), // no source is of bools
    orders: temporary("u32", count * extent),
  });
  const pairs = Array.from({ length: Math.min(merges, 2) }, pair);
  const targetOf = (merge: number): SortTarget =>
    merge === merges ? target : (pairs[merge % 2] as SortTarget);
  const bound = (to: SortTarget): readonly RoutineBuffer[] =>
    to.kind === "runs" ? [to.keys, to.orders] : [to.values, to.positions];
  const compares = count * extent;

  const stages: Stage[] = [
    {
      kernel: sortBlocks(dtype, size, targetOf(0).kind, limit !== undefined),
      buffers: [source.buffer, ...bound(targetOf(0))],
      params: [...lineParams(lines), levels, ...limits],
      workgroups: Math.ceil((count * blocks) / (size.elements / 2 ** levels)),
      flops: (compares * levels * (levels + 1)) / 2,
    },
  ];
  for (let merge = 1; merge <= merges; merge++) {
    const [from, to] = [targetOf(merge - 1), targetOf(merge)];
    const level = levels + merge - 1;
    stages.push({
      kernel: mergeRuns(dtype, to.kind),
      buffers: [...bound(from), ...(to.kind === "tensors" ? [source.buffer] : []), ...bound(to)],
      params: [...lineParams(lines), level],
      workgroups: workgroupsFor(compares, MERGE_LANES),
      flops: compares * (level + 1),
    });
  }
  return stages;
}

/** Declares the buffers of a target; what it returns stores the element that comes i-th in a line. */
function storeTo(
  builder: KernelBuilder,
  kind: SortTarget["kind"],
  dtype: DType,
  source: number,
): (lines: Lines<Expr>, line: Expr, i: Expr, element: Element) => void {
  const type = scalarOf(dtype);
  if (kind === "runs") {
    const keys = builder.buffer({ dtype: type, access: "write" });
    const orders = builder.buffer({ dtype: "u32", access: "write" });
    return ({ extent }, line, i, { key, order }) => {
      const at = builder.let(plus(times(line, extent), i));
      builder.emit({ kind: "store", buffer: keys, at, value: key });
      builder.emit({ kind: "store", buffer: orders, at, value: order });
    };
  }
  const values = builder.buffer({ dtype, access: "write" });
  const positions = builder.buffer({ dtype: "i32", access: "write" });
  return (lines, line, i, { order }) => {
    const at = lineAt(builder, lines, line);
    const to = builder.let(at(i));
    const position = builder.let(positionOf(order));
    // The key says nothing of NaN.
    const value: Expr = { kind: "load", type, buffer: source, at: at(position) };
    builder.emit({ kind: "store", buffer: values, at: to, value });
    builder.emit({ kind: "store", buffer: positions, at: to, value: castI32(position) });
  };
}

const castI32 = (x: Expr): Expr => ({ kind: "cast", type: "i32", x });

/** Sorts blocks of 2^levels elements, several to a workgroup if they are short. */
function sortBlocks(
  dtype: DType,
  { elements, lanes }: Size,
  kind: SortTarget["kind"],
  limited: boolean,
): Kernel {
  const builder = new KernelBuilder();
  const type = scalarOf(dtype);
  const lines = declareLines(builder);
  const levels = builder.param();
  const limit = limited ? builder.param() : undefined;
  const source = builder.buffer({ dtype, access: "read" });
  const store = storeTo(builder, kind, dtype, source);
  const keys = builder.shared({ type, length: elements });
  const orders = builder.shared({ type: "u32", length: elements });
  const elementAt = (at: Expr): Element => ({
    key: builder.let({ kind: "shared", type, array: keys, at }),
    order: builder.let({ kind: "shared", type: "u32", array: orders, at }),
  });
  const put = (at: Expr, { key, order }: Element): void => {
    builder.emit({ kind: "storeShared", array: keys, at, value: key });
    builder.emit({ kind: "storeShared", array: orders, at, value: order });
  };
  /** Calls `write` for each of a lane's elements (or pairs of them). */
  const each = (count: number, write: (at: Expr) => void): void =>
    builder.for(index(0), index(count / lanes), index(1), (step) =>
      write(builder.let(plus(times(step, index(lanes)), LANE))),
    );

  const length = builder.let(powerOfTwo(levels));
  const blocks = builder.let(over(plus(lines.extent, minus(length, index(1))), length));
  const perWorkgroup = builder.let(over(index(elements), length));
  const total = builder.let(times(lines.count, blocks));
  /** Where an element of the workgroup is in its line, and whether there is one. */
  const placeOf = (at: Expr): { readonly line: Expr; readonly i: Expr; readonly exists: Expr } => {
    const block = builder.let(plus(times(WORKGROUP, perWorkgroup), over(at, length)));
    const i = builder.let(plus(times(modulo(block, blocks), length), modulo(at, length)));
    const exists = builder.let(both(below(block, total), below(i, lines.extent)));
    return { line: builder.let(over(block, blocks)), i, exists };
  };

  builder.if(below(times(WORKGROUP, perWorkgroup), total), () => {
    each(elements, (at) => {
      const { line, i, exists } = placeOf(at);
      const key = builder.variable(literal(type, 0), "key");
      const order = builder.variable(binary("or", at, index(PADDING_BIT)), "order");
      builder.if(exists, () => {
        const place = lineAt(builder, lines, line)(i);
        const value = builder.let({ kind: "load", type, buffer: source, at: place });
        if (type === "f32") {
          const isNan = builder.let({ kind: "isNan", type: "bool", x: value });
          builder.assign(key, select(isNan, literal(type, 0), value));
          builder.assign(order, select(isNan, binary("or", i, index(NAN_BIT)), i));
        } else {
          builder.assign(key, limit === undefined ? value : clamped(value, limit, type));
          builder.assign(order, i);
        }
      });
      put(at, { key, order });
    });
    builder.barrier();
    // Runs of 2^run elements, ascending and descending by turns, are made from those half as long, until one is left.
    builder.for(index(1), plus(levels, index(1)), index(1), (run) => {
      builder.for(index(0), run, index(1), (step) => {
        const distance = builder.let(powerOfTwo(minus(minus(run, index(1)), step)));
        each(elements / 2, (pair) => {
          const low = builder.let(minus(times(pair, index(2)), modulo(pair, distance)));
          const high = builder.let(plus(low, distance));
          const turn = over(modulo(low, length), powerOfTwo(run));
          const ascending = binary("equal", modulo(turn, index(2)), index(0));
          const [first, second] = [elementAt(low), elementAt(high)];
          builder.if(binary("equal", less(second, first), ascending), () => {
            put(low, second);
            put(high, first);
          });
        });
        builder.barrier();
      });
    });
    each(elements, (at) => {
      const { line, i, exists } = placeOf(at);
      builder.if(exists, () => store(lines, line, i, elementAt(at)));
    });
  });
  return builder.finish("sort_blocks", lanes);
}

/** An integer moved between 0 and below the limit. */
function clamped(value: Expr, limit: Expr, type: Scalar): Expr {
  const top: Expr = { kind: "cast", type, x: minus(limit, index(1)) };
  return binary("min", binary("max", value, literal(type, 0)), top);
}

/** Merges each two runs of 2^level elements. */
function mergeRuns(dtype: DType, kind: SortTarget["kind"]): Kernel {
  const builder = new KernelBuilder();
  const type = scalarOf(dtype);
  const lines = declareLines(builder);
  const level = builder.param();
  const keys = builder.buffer({ dtype: type, access: "read" });
  const orders = builder.buffer({ dtype: "u32", access: "read" });
  const source = kind === "tensors" ? builder.buffer({ dtype, access: "read" }) : 0;
  const store = storeTo(builder, kind, dtype, source);
  const elementAt = (at: Expr): Element => ({
    key: builder.let({ kind: "load", type, buffer: keys, at }),
    order: builder.let({ kind: "load", type: "u32", buffer: orders, at }),
  });
  const length = builder.let(powerOfTwo(level));
  eachElement(builder, MERGE_LANES, times(lines.count, lines.extent), (place) => {
    const [line, i] = [builder.let(over(place, lines.extent)), builder.let(modulo(place, lines.extent))];
    const start = builder.let(minus(place, i));
    const own = elementAt(place);
    const merged = builder.let(times(length, index(2)));
    const first = builder.let(minus(i, modulo(i, merged)));
    const second = builder.let(binary("min", plus(first, length), lines.extent));
    const end = builder.let(binary("min", plus(first, merged), lines.extent));
    const isFirst = builder.let(below(i, second));
    // How many of the other run come before this element.
    const other = builder.let(select(isFirst, second, first));
    const low = builder.variable(other, "low");
    const high = builder.variable(select(isFirst, end, second), "high");
    builder.for(index(0), plus(level, index(1)), index(1), () =>
      builder.if(below(low, high), () => {
        const middle = builder.let(over(plus(low, high), index(2)));
        builder.if(
          less(elementAt(plus(start, middle)), own),
          () => builder.assign(low, plus(middle, index(1))),
          () => builder.assign(high, middle),
        );
      }),
    );
    const before = plus(minus(i, select(isFirst, first, second)), minus(low, other));
    store(lines, line, builder.let(plus(first, before)), own);
  });
  return builder.finish("sort_merge", MERGE_LANES);
}
