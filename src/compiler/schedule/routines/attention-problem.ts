/**
 * Attention as its kernels see it: sizes, buffers, which keys a query sees, and scores. Consumed by the kernels of attention in this folder.
 */
import { LARGEST_F32 } from "../../../dsl/numerics/float32.ts";
import type { AttentionParams, TensorType } from "../../../dsl/program/program.ts";
import { sizeOf } from "../../../dsl/program/program.ts";
import type { DType } from "../../../dsl/types/dtype.ts";
import {
  KernelBuilder,
  below,
  binary,
  index,
  literal,
  minus,
  plus,
  select,
  unary,
} from "../../kernel/builder.ts";
import type { Access, Expr } from "../../kernel/ir.ts";
import type { Edge, Matrix, SeenRows } from "./attention-grid.ts";

export interface AttentionShape {
  /** Number of problems: the product of the leading axes. */
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  /** Columns of q and k, and of v and o. */
  readonly depth: number;
  readonly width: number;
  readonly dtype: DType;
}

/** @param inputs q, k, v, and maybe more */
export function attentionShape(inputs: readonly TensorType[]): AttentionShape {
  const [q, k, v] = inputs as readonly [TensorType, TensorType, TensorType];
  const extent = ({ shape }: TensorType, fromEnd: number): number => shape.at(-fromEnd) as number; // rank >= 2
  return {
    batch: sizeOf(q.shape.slice(0, -2)),
    queries: extent(q, 2),
    keys: extent(k, 2),
    depth: extent(q, 1),
    width: extent(v, 1),
    dtype: q.dtype,
  };
}

export const f32 = (value: number): Expr => literal("f32", value);
export const add = (x: Expr, y: Expr): Expr => binary("add", x, y);
export const sub = (x: Expr, y: Expr): Expr => binary("sub", x, y);
export const mul = (x: Expr, y: Expr): Expr => binary("mul", x, y);
export const div = (x: Expr, y: Expr): Expr => binary("div", x, y);
export const exp = (x: Expr): Expr => unary("exp", x);
export const log = (x: Expr): Expr => unary("log", x);
/** Not the op `max`, which takes longer because it passes NaN on: the sums that follow do so anyway. */
export const larger = (x: Expr, y: Expr): Expr => select(below(x, y), y, x);
/**
 * The score of a key that is not seen: its exponential is 0 next to that of any higher score, and none is lower. Finite, because targets
 * need not support infinities.
 */
export const MASKED = -LARGEST_F32;

/** The values of the parameters that an `AttentionKernel` declares. */
export const paramsOf = ({ batch, queries, keys, depth, width }: AttentionShape): readonly number[] => [
  batch, queries, keys, depth, width,
]; // prettier-ignore

/** Sizes are parameters where they can be, so that programs share kernels. Buffers are bound in the order in which they are declared. */
export class AttentionKernel {
  readonly builder = new KernelBuilder();
  readonly batch = this.builder.param();
  readonly queries = this.builder.param();
  readonly keys = this.builder.param();
  readonly #depth = this.builder.param();
  readonly #width = this.builder.param();
  readonly #shape: AttentionShape;
  readonly #params: AttentionParams;

  constructor(shape: AttentionShape, params: AttentionParams) {
    [this.#shape, this.#params] = [shape, params];
  }

  #matrix(rows: Expr, columns: number, access: Access, dtype = this.#shape.dtype): Matrix {
    const end = columns === this.#shape.depth ? this.#depth : this.#width;
    return { buffer: this.builder.buffer({ dtype, access }), rows, columns, end, stride: columns };
  }

  ofQueries(columns: number, access: Access, dtype?: DType): Matrix {
    return this.#matrix(this.queries, columns, access, dtype);
  }

  ofKeys(columns: number, access: Access): Matrix {
    return this.#matrix(this.keys, columns, access);
  }

  /** q, k and v, or what is shaped like them. */
  operands(access: Access): readonly [q: Matrix, k: Matrix, v: Matrix] {
    const { depth, width } = this.#shape;
    return [this.ofQueries(depth, access), this.ofKeys(depth, access), this.ofKeys(width, access)];
  }

  /** A query sees the keys below its own position plus this. */
  get #reach(): Expr {
    return this.builder.once("reach", () => this.builder.let(plus(minus(this.keys, this.queries), index(1))));
  }

  /** The end of the keys that a query sees. */
  endOfKeys(query: Expr): Expr {
    if (!this.#params.causal) return this.keys;
    return this.builder.let(binary("min", plus(query, this.#reach), this.keys));
  }

  /** The first query that sees a key. */
  firstQuery(key: Expr): Expr {
    if (!this.#params.causal) return index(0);
    return this.builder.let(minus(binary("max", plus(key, index(1)), this.#reach), this.#reach));
  }

  /** Which keys the held queries see, whose ends of keys are given; undefined where that is all of them. */
  seenKeys(ends: readonly Expr[], start: Expr): SeenRows | undefined {
    if (!this.#params.causal) return undefined;
    const sees = (key: Expr): readonly Expr[] => ends.map((end) => this.builder.let(below(key, end)));
    return { whole: "before", edge: this.endOfKeys(start), sees };
  }

  /** Which queries see the held keys, whose first queries are given; undefined where that is all of them. */
  seenQueries(firsts: readonly Expr[], last: Expr): SeenRows | undefined {
    if (!this.#params.causal) return undefined;
    const sees = (query: Expr): readonly Expr[] =>
      firsts.map((first) => this.builder.let(unary("not", below(query, first))));
    return { whole: "after", edge: this.firstQuery(last), sees };
  }

  /** The keys of a block that not all held queries see, as `Edge`: undefined where there are no such keys. */
  edgeOfKeys(ends: readonly Expr[], start: Expr, endOfBlock: Expr): Edge | undefined {
    const seen = this.seenKeys(ends, start);
    return seen && { crossed: this.builder.let(below(seen.edge, endOfBlock)), sees: seen.sees };
  }

  /** The queries of a block that do not see all held keys, as `Edge`: undefined where there are no such queries. */
  edgeOfQueries(firsts: readonly Expr[], last: Expr, startOfBlock: Expr): Edge | undefined {
    const seen = this.seenQueries(firsts, last);
    return seen && { crossed: this.builder.let(below(startOfBlock, seen.edge)), sees: seen.sees };
  }

  /** The score of a dot product of q and k, and its derivative. */
  score(product: Expr): { readonly score: Expr; readonly slope: Expr } {
    const { builder } = this;
    const { scale, softcap } = this.#params;
    if (softcap === 0) return { score: builder.let(mul(product, f32(scale))), slope: f32(scale) };
    const capped = builder.let(unary("tanh", mul(product, f32(scale / softcap))));
    return {
      score: builder.let(mul(capped, f32(softcap))),
      slope: builder.let(mul(sub(f32(1), mul(capped, capped)), f32(scale))),
    };
  }
}
