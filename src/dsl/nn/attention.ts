/**
 * Multi-head self-attention: one product for queries, keys and values, rotary positions, attention, and a
 * product back. Rows of the first weight are ordered (q, k, v), then heads, then depth, as in published
 * checkpoints.
 */
import { OpError } from "../ops/definition.ts";
import { split as splitKey } from "../random/key.ts";
import { split } from "../surface/split.ts";
import type { Key } from "../random/bits.ts";
import { attention } from "../surface/linear-algebra.ts";
import type { AttentionOptions } from "../surface/linear-algebra.ts";
import { blaming, traced, typed } from "../surface/operand.ts";
import * as prim from "../trace/prim.ts";
import { sizeOfDim } from "../trace/sizes.ts";
import type { Dim, DTypeOf, ShapeOf, Tensor } from "../types/index.ts";
import { initLinear, linear } from "./linear.ts";
import type { LinearParams } from "./linear.ts";
import { applyRotary } from "./rotary.ts";
import type { RotaryTables } from "./rotary.ts";

/** Parameters of self-attention. */
export interface AttentionParams {
  /** width -> 3·width, rows (q, k, v), head, depth. */
  readonly qkv: LinearParams;
  /** width -> width. */
  readonly out: LinearParams;
}

export interface SelfAttentionOptions extends AttentionOptions {
  readonly heads: number;
  /** Rotates queries and keys; none by default. */
  readonly rotary?: RotaryTables;
}

/** [..., length, heads·depth] -> [..., heads, length, depth]. */
export function splitHeads(x: Tensor, heads: number): Tensor {
  return blaming(() => {
    const t = traced("splitHeads", x);
    const [length, width] = t.shape.slice(-2) as [number, number];
    if (t.shape.length < 2)
      throw new OpError(`splitHeads: needs [..., length, width], got [${t.shape.join(",")}]`);
    if (width % heads !== 0)
      throw new OpError(`splitHeads: width ${width} does not divide into ${heads} heads`);
    const n = t.shape.length - 2;
    const apart = prim.reshape(t, [...t.shape.slice(0, n), length, heads, width / heads]);
    return typed(prim.transpose(apart, [...prim.range(n), n + 1, n, n + 2]));
  });
}

/** A projection [..., length, 3·heads·depth] as queries, keys and values, each [..., heads, length, depth]. */
export function splitQkv(projected: Tensor, heads: number): readonly [q: Tensor, k: Tensor, v: Tensor] {
  const [q, k, v] = split(projected, 3) as readonly [Tensor, Tensor, Tensor];
  return [splitHeads(q, heads), splitHeads(k, heads), splitHeads(v, heads)];
}

/** [..., heads, length, depth] -> [..., length, heads·depth]. */
export function mergeHeads(x: Tensor): Tensor {
  return blaming(() => {
    const t = traced("mergeHeads", x);
    const n = t.shape.length - 3;
    if (n < 0) throw new OpError(`mergeHeads: needs [..., heads, length, depth], got [${t.shape.join(",")}]`);
    const [heads, length, depth] = t.shape.slice(n) as [number, number, number];
    const moved = prim.transpose(t, [...prim.range(n), n + 1, n, n + 2]);
    return typed(prim.reshape(moved, [...t.shape.slice(0, n), length, heads * depth]));
  });
}

/**
 * Self-attention of x [..., length, width], of the same shape. Scores are q·k/√depth, capped and masked by
 * the options.
 * @throws OpError when the width does not divide into the heads or the rotary tables do not fit
 */
export function selfAttention<X extends Tensor>(
  params: AttentionParams,
  x: X,
  { heads, rotary, ...options }: SelfAttentionOptions,
): Tensor<ShapeOf<X>, DTypeOf<X>> {
  const [q, k, v] = splitQkv(linear(params.qkv, x as Tensor), heads);
  const rotate = (t: Tensor): Tensor => (rotary === undefined ? t : applyRotary(rotary, t));
  const mixed: Tensor = attention(rotate(q), rotate(k), v, options);
  return typed(traced("selfAttention", linear(params.out, mergeHeads(mixed))));
}

/** Parameters, without biases by default. */
export function initAttention(
  key: Key,
  { width, bias = false }: { readonly width: Dim; readonly bias?: boolean },
): AttentionParams {
  const [qkv, out] = splitKey(key, 2);
  const size = blaming(() => sizeOfDim(width));
  return {
    qkv: initLinear(qkv, { inputs: size, outputs: 3 * size, bias }),
    out: initLinear(out, { inputs: size, outputs: size, bias }),
  };
}
