/**
 * How lanes combine their shares: one accumulator or a pair per reduction, then a tree over shared memory in a fixed order, so that a
 * sum does not depend on timing. Consumed by the row and column kernels. To add a reduction: an entry in `REDUCERS`.
 */
import type { DType } from "../../dsl/types/dtype.ts";
import {
  LANE,
  below,
  binary,
  both,
  extent as size,
  index,
  literal,
  minus,
  plus,
  select,
  unary,
} from "../kernel/builder.ts";
import type { KernelBuilder } from "../kernel/builder.ts";
import { scalarOf } from "../kernel/ir.ts";
import type { Expr, Scalar } from "../kernel/ir.ts";

/** The words of an accumulator: a value, for argmax with its position. */
type Words = readonly Expr[];

interface Reducer {
  /** What nothing combines to. */
  start(dtype: DType): Words;
  /** The accumulator that stands for one element. */
  lift(value: Expr, position: Expr): Words;
  /** Combines two accumulators of the same element type; the first comes from earlier or other positions. */
  combine(builder: KernelBuilder, a: Words, b: Words): Words;
  /** The result of an accumulator. */
  result(words: Words): Expr;
}

const lowest = (dtype: DType): Expr => {
  const type = scalarOf(dtype);
  return literal(type, type === "f32" ? -Infinity : type === "i32" ? -(2 ** 31) : 0);
};

const single = (op: "add" | "max", start: (dtype: DType) => Expr): Reducer => ({
  start: (dtype) => [start(dtype)],
  lift: (value) => [value],
  combine: (_builder, [a], [b]) => [binary(op, a as Expr, b as Expr)],
  result: ([value]) => value as Expr,
});

const isNan = (x: Expr): Expr => (x.type === "f32" ? { kind: "isNan", type: "bool", x } : literal("bool", 0));

/** Whether x comes before y in ascending order, NaN last. */
const ascends = (x: Expr, y: Expr): Expr => {
  const less = below(x, y);
  return x.type === "f32" ? binary("or", less, both(isNan(y), unary("not", isNan(x)))) : less;
};

export const REDUCERS = {
  reduceSum: single("add", (dtype) => literal(scalarOf(dtype), 0)),
  reduceMax: single("max", lowest),
  /** Positions start beyond any, so that an element wins against the start even when it is equal. */
  argmax: {
    start: (dtype) => [lowest(dtype), literal("u32", 0xffffffff)],
    lift: (value, position) => [value, position],
    combine: (builder, [x, i], [y, j]) => {
      const [a, b, p, q] = [x, y, i, j] as [Expr, Expr, Expr, Expr]; // two words each
      const later = builder.let(ascends(a, b));
      const equal = both(unary("not", ascends(b, a)), below(q, p));
      const takes = builder.let(binary("or", later, equal));
      return [select(takes, b, a), select(takes, q, p)];
    },
    result: ([, position]) => ({ kind: "cast", type: "i32", x: position as Expr }),
  },
} as const satisfies Readonly<Record<string, Reducer>>;

export type ReductionOp = keyof typeof REDUCERS;

type Variable = Expr & { readonly kind: "name" };

/** One reduction in progress in a kernel. */
export class Accumulator {
  readonly #builder: KernelBuilder;
  readonly #reducer: Reducer;
  readonly #words: readonly Variable[];

  constructor(builder: KernelBuilder, op: ReductionOp, dtype: DType) {
    this.#builder = builder;
    this.#reducer = REDUCERS[op];
    this.#words = this.#reducer.start(dtype).map((word) => builder.variable(word, "a"));
  }

  /** Takes one element in; where `inside` is given, only if it holds. */
  take(value: Expr, position: Expr, inside?: Expr): void {
    const next = this.#reducer.combine(this.#builder, this.#words, this.#reducer.lift(value, position));
    this.#set(
      inside === undefined ? next : next.map((word, i) => select(inside, word, this.#words[i] as Variable)),
    );
  }

  #set(words: Words): void {
    const bound = words.length > 1 ? words.map((word) => this.#builder.let(word)) : words;
    bound.forEach((word, i) => this.#builder.assign(this.#words[i] as Variable, word));
  }

  /**
   * The result over teams of `lanes` (a power of two) lanes at a distance of `stride`: lane t·stride + s of a block of lanes·stride is
   * member t of team s. Every lane of a team gets it. Contains barriers: in uniform control flow only.
   * @param lane the position t of this lane in its team; `base` the lane of its member 0
   */
  combine(lanes: number, stride: number, total: number, lane: Expr, base: Expr): Expr {
    const builder = this.#builder;
    if (lanes === 1) return builder.let(this.#reducer.result(this.#words));
    const arrays = this.#words.map((word) => builder.shared({ type: word.type, length: total }));
    const at = (array: number, position: Expr): Expr => ({
      kind: "shared",
      type: (this.#words[arrays.indexOf(array)] as Variable).type as Scalar,
      array,
      at: position,
    });
    arrays.forEach((array, i) =>
      builder.emit({ kind: "storeShared", array, at: LANE, value: this.#words[i] as Variable }),
    );
    builder.barrier();
    for (let half = lanes / 2; half >= 1; half /= 2) {
      builder.if(below(lane, index(half)), () => {
        const other = plus(LANE, index(half * stride));
        const mine = arrays.map((array) => builder.let(at(array, LANE)));
        const theirs = arrays.map((array) => builder.let(at(array, other)));
        this.#reducer.combine(builder, mine, theirs).forEach((value, i) => {
          builder.emit({ kind: "storeShared", array: arrays[i] as number, at: LANE, value });
        });
      });
      builder.barrier();
    }
    const words = arrays.map((array) => builder.let(at(array, base)));
    return builder.let(this.#reducer.result(words));
  }
}

/** The largest power of two that is at most x, at least 1. */
export const powerBelow = (x: number): number => 2 ** Math.max(0, Math.floor(Math.log2(Math.max(1, x))));
/** The smallest power of two that is at least x. */
export const powerAbove = (x: number): number => 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(1, x))));

/** The last index below an extent: keeps the loads of surplus lanes in bounds. */
export const lastOf = (extent: number): Expr => minus(size(extent), index(1));
