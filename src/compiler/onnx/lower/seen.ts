/**
 * What causal attention may not look at: keys that come after a query. Their weights are 0, and in a product of matrices 0 times a NaN or
 * an infinity is NaN; by definition such a key is not there at all. So a product is taken as usual, and once more, term by term, in the
 * rare case that a NaN comes out.
 *
 * Consumed by `attention.ts`.
 */
import { sizeOf } from "../../../dsl/program/program.ts";
import { graph, int, ints } from "../emitter.ts";
import type { Emitter } from "../emitter.ts";
import { ElementType } from "../proto.ts";
import type { Value } from "../value.ts";
import { graphOf } from "./control.ts";
import { matmul } from "./dot.ts";
import { unlessNaN } from "./nan.ts";

/** How sums over queries or keys are taken. */
export interface Sums {
  readonly emit: Emitter;
  /** Weights [batch..., queries, keys] times rows of keys [batch..., keys, n]; `overQueries`, transposed weights times rows of queries. */
  product(weights: Value, rows: Value, overQueries?: "overQueries"): Value;
  /** Numbers for each query and key, 0 where the query does not see the key. */
  hide(numbers: Value): Value;
}

const plain = (emit: Emitter): Sums => ({
  emit,
  product: (weights, rows, over) => matmul(emit, weights, rows, { a: over !== undefined }),
  hide: (numbers) => numbers,
});

const zero = (emit: Emitter): Value => emit.scalar(ElementType.float32, 0);

/** @param seen bools [queries, keys] */
const careful = (emit: Emitter, seen: Value): Sums => ({
  emit,
  product: (weights, rows, over) => seenProduct(emit, weights, rows, seen, over !== undefined),
  hide: (numbers) => emit.elementwise("Where", [seen, numbers, zero(emit)]),
});

/**
 * What `compute` makes of f32 operands, none of whose terms are of keys that are not seen.
 * @param seen bools [queries, keys]; undefined where every key is seen
 */
export function ofSeen(
  emit: Emitter,
  seen: Value | undefined,
  compute: (sums: Sums) => readonly Value[],
): readonly Value[] {
  const usual = compute(plain(emit));
  const filled = usual.filter(({ shape }) => sizeOf(shape) > 0);
  if (seen === undefined || filled.length === 0) return usual;
  const total = filled
    .map((value): Value => {
      const axes = emit.indices(value.held.map((_, axis) => axis));
      return emit.make("ReduceSum", [value.name, axes], value.element, [], { keepdims: int(0) });
    })
    .reduce((a, b) => emit.elementwise("Add", [a, b]));
  return unlessNaN(emit, total, usual, (inner) => compute(careful(inner, seen)));
}

/** The product as a loop over its terms, of which those that are not seen are left out. */
function seenProduct(emit: Emitter, weights: Value, rows: Value, seen: Value, overQueries: boolean): Value {
  const rank = weights.shape.length;
  // Of each operand the axis that is summed over: that of keys comes last in the weights, that of queries before it.
  const axes = overQueries ? [rank - 2, rank - 2, 0] : [rank - 1, rank - 2, 1];
  const sources = [weights, rows, seen].map((value) => emit.whole(value));
  const inner = emit.child();
  inner.origin = emit.origin;
  const batch = weights.shape.slice(0, -2);
  const width = rows.shape[rank - 1] as number;
  const count = weights.shape[overQueries ? rank - 1 : rank - 2] as number;
  const fresh = (stem: string, like: Value, shape: readonly number[]): Value => ({
    name: inner.fresh(stem),
    element: like.element,
    shape,
    held: shape,
  });
  const sum = fresh("sum", weights, [...batch, count, width]);
  const [weight, row, visible] = [
    fresh("weight", weights, [...batch, count]),
    fresh("row", rows, [...batch, width]),
    fresh("seen", seen, [count]),
  ] as const;
  const term = inner.elementwise("Where", [
    inner.reshape(visible, [count, 1]),
    inner.elementwise("Mul", [
      inner.reshape(weight, [...batch, count, 1]),
      inner.reshape(row, [...batch, 1, width]),
    ]),
    zero(inner),
  ]);
  const body = graphOf(
    inner,
    "seen terms",
    [sum, weight, row, visible],
    [inner.elementwise("Add", [sum, term])],
  );
  const start = emit.whole(emit.splat(weights.element, sum.shape, 0));
  return emit.make("Scan", [start.name, ...sources.map(({ name }) => name)], weights.element, sum.shape, {
    body: graph(body),
    num_scan_inputs: int(3),
    scan_input_axes: ints(axes),
  });
}
