/**
 * Attention and its companions written out in products and row ops: their definitions (src/dsl/ops/attention.ts) as programs. Right
 * at any order of differentiation, at the cost of storing the scores.
 *
 * Consumed by the jvp rules of attention, and by targets that have no kernel of their own for it.
 */
import type { AttentionParams, Program, TensorType } from "../program/program.ts";
import { traceFlat } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";

type T = TracedTensor;

interface Scores {
  /** Softmax of the scores, [..., queries, keys]. */
  readonly weights: T;
  readonly lse: T;
  /** Derivative of the score with respect to scale·q·k; null when there is no softcap. */
  readonly slope: T | null;
  /** Where a key is seen, if sums are to leave the others out. */
  readonly seen?: T;
}

/** A score that no finite one falls below; finite, because targets need not support infinities. */
const MASKED = -1e30;

/** q·kᵀ: contracts the last axes, batched over the leading ones. */
function rowsTimesRows(x: T, y: T): T {
  const batch = prim.range(x.shape.length - 2);
  return prim.dot(x, y, {
    lhsBatch: batch,
    rhsBatch: batch,
    lhsContract: [x.shape.length - 1],
    rhsContract: [y.shape.length - 1],
  });
}

/**
 * p·v, or pᵀ·v: contracts axis `axis` (counted from the end) of p with the rows of v. Given `seen`, term by term, without those that it
 * denies: 0 times NaN would be NaN.
 */
function combine(p: T, v: T, axis: 1 | 2, seen?: T): T {
  if (seen !== undefined) {
    const rank = p.shape.length;
    const shape = [...p.shape, v.shape[rank - 1] as number];
    const dims = prim.range(rank);
    const spread = (x: T): T => prim.broadcast(x, shape, dims);
    const rows = prim.broadcast(v, shape, [...dims.slice(0, -2), rank - axis, rank]);
    const terms = prim.mul(spread(p), rows);
    return prim.reduceSum(prim.select(spread(seen), terms, prim.fill(0, terms)), [rank - axis]);
  }
  const batch = prim.range(v.shape.length - 2);
  return prim.dot(p, v, {
    lhsBatch: batch,
    rhsBatch: batch,
    lhsContract: [p.shape.length - axis],
    rhsContract: [v.shape.length - 2],
  });
}

/** True where the key may be seen by the query. */
function causalMask(shape: readonly number[]): T {
  const rank = shape.length;
  const offset = (shape[rank - 1] as number) - (shape[rank - 2] as number);
  const query = prim.iota(shape, "i32", rank - 2);
  const key = prim.iota(shape, "i32", rank - 1);
  return prim.lessEqual(key, prim.add(query, prim.fill(offset, query)));
}

/** x, or 0 where a key is not seen and is to be left out. */
const hide = (x: T, seen: T | undefined): T =>
  seen === undefined ? x : prim.select(seen, x, prim.fill(0, x));

function attentionScores(
  q: T,
  k: T,
  { scale, softcap, causal }: AttentionParams,
  { leavesOut = false }: DecompositionOptions,
): Scores {
  let s = prim.scale(rowsTimesRows(q, k), scale);
  let slope: T | null = null;
  if (softcap > 0) {
    const capped = prim.tanh(prim.scale(s, 1 / softcap));
    s = prim.scale(capped, softcap);
    slope = prim.sub(prim.fill(1, s), prim.mul(capped, capped));
  }
  const seen = causal ? causalMask(s.shape) : undefined;
  if (seen !== undefined) s = prim.select(seen, s, prim.fill(MASKED, s));
  const axis = s.shape.length - 1;
  // The maximum is only a shift: its derivative cancels, so it is stopped.
  const maximum = prim.stop(prim.reduceMax(s, [axis]));
  const exponentials = prim.exp(prim.sub(s, prim.unreduce(maximum, s.shape, [axis])));
  const total = prim.reduceSum(exponentials, [axis]);
  return {
    weights: prim.div(exponentials, prim.unreduce(total, s.shape, [axis])),
    lse: prim.add(maximum, prim.log(total)),
    slope,
    ...(leavesOut && seen !== undefined ? { seen } : {}),
  };
}

/** attentionTangent from its definition: (q, k, v, o, lse, q̇, k̇, v̇) -> (ȯ, tangent of lse). */
function decomposedTangent(
  inputs: readonly T[],
  params: AttentionParams,
  options: DecompositionOptions,
): readonly T[] {
  const [q, k, v, , , dq, dk, dv] = inputs as readonly [T, T, T, T, T, T, T, T];
  const { weights, slope, seen } = attentionScores(q, k, params, options);
  const axis = weights.shape.length - 1;
  const raw = prim.scale(prim.add(rowsTimesRows(dq, k), rowsTimesRows(q, dk)), params.scale);
  const dScores = slope === null ? raw : prim.mul(raw, slope);
  const weighted = hide(prim.mul(weights, dScores), seen);
  const dLse = prim.reduceSum(weighted, [axis]);
  const centred = prim.sub(weighted, prim.mul(weights, prim.unreduce(dLse, weights.shape, [axis])));
  return [prim.add(combine(centred, v, 1, seen), combine(weights, dv, 1, seen)), dLse];
}

/** attentionTranspose from its definition: (q, k, v, o, lse, ō, cotangent of lse) -> (q̄, k̄, v̄). */
function decomposedTranspose(
  inputs: readonly T[],
  params: AttentionParams,
  options: DecompositionOptions,
): readonly T[] {
  const [q, k, v, , , ctO, ctLse] = inputs as readonly [T, T, T, T, T, T, T];
  const { weights, slope, seen } = attentionScores(q, k, params, options);
  const axis = weights.shape.length - 1;
  const spread = (x: T): T => prim.unreduce(x, weights.shape, [axis]);
  const ctWeights = hide(rowsTimesRows(ctO, v), seen);
  const mean = prim.reduceSum(prim.mul(ctWeights, weights), [axis]);
  const centred = prim.mul(weights, prim.add(prim.sub(ctWeights, spread(mean)), spread(ctLse)));
  const ctRaw = prim.scale(slope === null ? centred : prim.mul(centred, slope), params.scale);
  return [combine(ctRaw, k, 1, seen), combine(ctRaw, q, 2, seen), combine(weights, ctO, 2, seen)];
}

/** attention from its definition: (q, k, v) -> (o, lse). */
function decomposedAttention(
  inputs: readonly T[],
  params: AttentionParams,
  options: DecompositionOptions,
): readonly T[] {
  const [q, k, v] = inputs as readonly [T, T, T];
  const { weights, lse, seen } = attentionScores(q, k, params, options);
  return [combine(weights, v, 1, seen), lse];
}

const DECOMPOSITIONS = {
  attention: decomposedAttention,
  attentionTangent: decomposedTangent,
  attentionTranspose: decomposedTranspose,
} as const;

export interface DecompositionOptions {
  /**
   * Sums over keys and queries leave out what causal attention does not see, so that a NaN there does not matter, as it does not to the
   * op. They are no products of matrices then. Default false.
   */
  readonly leavesOut?: boolean;
}

/** The op on operands of these types, written out. */
export const attentionDecomposition = (
  op: keyof typeof DECOMPOSITIONS,
  types: readonly TensorType[],
  params: AttentionParams,
  options: DecompositionOptions = {},
): Program => traceFlat(types, (inputs) => DECOMPOSITIONS[op](inputs, params, options)).program;
