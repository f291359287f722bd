/**
 * Attention and its companions written out in products and row ops: their definitions (src/dsl/ops/attention.ts) as programs. Right
 * at any order of differentiation, at the cost of storing the scores.
 *
 * Consumed by the jvp rules of attention, and by targets that have no kernel of their own for it.
 */
import { LARGEST_F32 } from "../numerics/float32.ts";
import type { AttentionParams, Program, TensorType } from "../program/program.ts";
import { emit, traceFlat } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";

type T = TracedTensor;

/** The score of a key that is not seen: no finite one is lower. Itself finite, because targets need not support infinities. */
const MASKED = -LARGEST_F32;

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

/** Where a key is seen, if sums are to leave the others out, and how they do so. */
interface Seen {
  readonly mask: T | undefined;
  readonly leavesOut: LeavesOut;
}

/**
 * p·v, or pᵀ·v: contracts axis `axis` (counted from the end) of p with the rows of v. If it is to leave out what is not seen, it goes term
 * by term: 0 times NaN would be NaN.
 */
function combine(p: T, v: T, axis: 1 | 2, { mask, leavesOut }: Seen): T {
  if (mask !== undefined)
    return leavesOut === "in turn" ? inTurn(p, v, axis, mask) : atOnce(p, v, axis, mask);
  const batch = prim.range(v.shape.length - 2);
  return prim.dot(p, v, {
    lhsBatch: batch,
    rhsBatch: batch,
    lhsContract: [p.shape.length - axis],
    rhsContract: [v.shape.length - 2],
  });
}

/** All terms side by side, and their sum. */
function atOnce(p: T, v: T, axis: 1 | 2, seen: T): T {
  const rank = p.shape.length;
  const shape = [...p.shape, v.shape[rank - 1] as number];
  const dims = prim.range(rank);
  const spread = (x: T): T => prim.broadcast(x, shape, dims);
  const rows = prim.broadcast(v, shape, [...dims.slice(0, -2), rank - axis, rank]);
  const terms = prim.mul(spread(p), rows);
  return prim.reduceSum(prim.select(spread(seen), terms, prim.fill(0, terms)), [rank - axis]);
}

/** A loop that adds one term after the other: it needs no room for all of them. */
function inTurn(p: T, v: T, axis: 1 | 2, seen: T): T {
  const rank = p.shape.length;
  const first = (x: T, from: number): T => prim.moveAxis(x, from, 0);
  const slices = [first(p, rank - axis), first(v, rank - 2), first(seen, rank - axis)];
  const types = slices.map(({ shape, dtype }): TensorType => ({ shape: shape.slice(1), dtype }));
  const [weights] = types as [TensorType];
  const sum = { shape: [...weights.shape, v.shape[rank - 1] as number], dtype: p.dtype };
  const { program: body } = traceFlat([sum, ...types], (values) => {
    const [total, weight, row, mask] = values as readonly [T, T, T, T];
    const spread = (x: T): T => prim.unreduce(x, sum.shape, [rank - 1]);
    const term = prim.mul(spread(weight), prim.unreduce(row, sum.shape, [rank - 2]));
    return [prim.add(total, prim.select(spread(mask), term, prim.fill(0, term)))];
  });
  const [length] = (slices[0] as T).shape as readonly [number, ...number[]];
  const params = { body, length, consts: 0, carry: 1, reverse: false };
  return emit("scan", [prim.zeros(sum), ...slices], params)[0] as T; // the sum
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
const hide = (x: T, { mask }: Seen): T => (mask === undefined ? x : prim.select(mask, x, prim.fill(0, x)));

interface Scores {
  /** [..., queries, keys], masked. */
  readonly scores: T;
  /** Derivative of the score with respect to scale·q·k; null when there is no softcap. */
  readonly slope: T | null;
  readonly seen: Seen;
}

function attentionScores(
  q: T,
  k: T,
  { scale, softcap, causal }: AttentionParams,
  { leavesOut = "never", masked = MASKED }: DecompositionOptions,
): Scores {
  const products = rowsTimesRows(q, k);
  let scores: T;
  let slope: T | null = null;
  if (softcap > 0) {
    const capped = prim.tanh(prim.scale(products, scale / softcap));
    scores = prim.scale(capped, softcap);
    slope = prim.sub(prim.fill(1, scores), prim.mul(capped, capped));
  } else scores = prim.scale(products, scale);
  // A single query is the last: it sees every key.
  const mask = causal && q.shape.at(-2) !== 1 ? causalMask(scores.shape) : undefined;
  if (mask !== undefined) scores = prim.select(mask, scores, prim.fill(masked, scores));
  return { scores, slope, seen: { mask: leavesOut === "never" ? undefined : mask, leavesOut } };
}

/** e^score over e^maximum of each row, the sum of these over the row, and the log of the sum of e^score. */
function exponentialsOf(scores: T): { readonly exponentials: T; readonly total: T; readonly lse: T } {
  const axis = scores.shape.length - 1;
  // The maximum is only a shift: its derivative cancels, so it is stopped.
  const maximum = prim.stop(prim.reduceMax(scores, [axis]));
  const exponentials = prim.exp(prim.sub(scores, perRow(maximum, scores)));
  const total = prim.reduceSum(exponentials, [axis]);
  return { exponentials, total, lse: prim.add(maximum, prim.log(total)) };
}

/** A number for each row, in each of the row's places. */
const perRow = (x: T, { shape }: TensorType): T => prim.unreduce(x, shape, [shape.length - 1]);
const sumRows = (x: T): T => prim.reduceSum(x, [x.shape.length - 1]);

/** Softmax of the scores: again from them alone, or by their log-sum-exp if the outputs of attention may be used. */
function weightsOf(scores: T, lse: T, { fromOutputs = false }: DecompositionOptions): T {
  if (fromOutputs) return prim.exp(prim.sub(scores, perRow(lse, scores)));
  const { exponentials, total } = exponentialsOf(scores);
  return prim.div(exponentials, perRow(total, scores));
}

/** attentionTangent from its definition: (q, k, v, o, lse, q̇, k̇, v̇) -> (ȯ, tangent of lse). */
function decomposedTangent(
  inputs: readonly T[],
  params: AttentionParams,
  options: DecompositionOptions,
): readonly T[] {
  const [q, k, v, o, lse, dq, dk, dv] = inputs as readonly [T, T, T, T, T, T, T, T];
  const { scores, slope, seen } = attentionScores(q, k, params, options);
  const weights = weightsOf(scores, lse, options);
  const raw = prim.scale(prim.add(rowsTimesRows(dq, k), rowsTimesRows(q, dk)), params.scale);
  const weighted = hide(prim.mul(weights, slope === null ? raw : prim.mul(raw, slope)), seen);
  const dLse = sumRows(weighted);
  const moved = combine(weights, dv, 1, seen);
  if (options.fromOutputs === true) {
    const all = prim.add(combine(weighted, v, 1, seen), moved);
    return [prim.sub(all, prim.mul(perRow(dLse, o), o)), dLse];
  }
  const centred = prim.sub(weighted, prim.mul(weights, perRow(dLse, weights)));
  return [prim.add(combine(centred, v, 1, seen), moved), dLse];
}

/** attentionTranspose from its definition: (q, k, v, o, lse, ō, cotangent of lse) -> (q̄, k̄, v̄). */
function decomposedTranspose(
  inputs: readonly T[],
  params: AttentionParams,
  options: DecompositionOptions,
): readonly T[] {
  const [q, k, v, o, lse, ctO, ctLse] = inputs as readonly [T, T, T, T, T, T, T];
  const { scores, slope, seen } = attentionScores(q, k, params, options);
  const weights = weightsOf(scores, lse, options);
  const ctWeights = hide(rowsTimesRows(ctO, v), seen);
  // What all scores of a row share: the cotangent of lse less the mean of ō·v, which is ō·o.
  const mean = options.fromOutputs === true ? prim.mul(ctO, o) : prim.mul(ctWeights, weights);
  const shared = prim.sub(ctLse, sumRows(mean));
  const ctScores = prim.mul(weights, prim.add(ctWeights, perRow(shared, weights)));
  const ctRaw = prim.scale(slope === null ? ctScores : prim.mul(ctScores, slope), params.scale);
  return [combine(ctRaw, k, 1, seen), combine(ctRaw, q, 2, seen), combine(weights, ctO, 2, seen)];
}

/** attention from its definition: (q, k, v) -> (o, lse). */
function decomposedAttention(
  inputs: readonly T[],
  params: AttentionParams,
  options: DecompositionOptions,
): readonly T[] {
  const [q, k, v] = inputs as readonly [T, T, T];
  const { scores, seen } = attentionScores(q, k, params, options);
  const { exponentials, total, lse } = exponentialsOf(scores);
  const sums = combine(exponentials, v, 1, seen);
  return [prim.div(sums, perRow(total, sums)), lse];
}

const DECOMPOSITIONS = {
  attention: decomposedAttention,
  attentionTangent: decomposedTangent,
  attentionTranspose: decomposedTranspose,
} as const;

/**
 * Whether sums over keys and queries leave out what causal attention does not see, so that a NaN there does not matter, as it does not to
 * the op. They are no products of matrices then: all terms are computed "at once", for targets that fuse them with their sum, or "in
 * turn", by a loop, for those that would store them.
 */
export type LeavesOut = "never" | "at once" | "in turn";

export interface DecompositionOptions {
  /** Default "never". */
  readonly leavesOut?: LeavesOut;
  /** The score of a key that is not seen. Default the lowest finite one of f32; -Infinity on targets that have it, since a score that is seen may be that. */
  readonly masked?: number;
  /**
   * The companions use o and lse, which they are given, instead of computing them once more: less work, for targets. It is not to be
   * differentiated further: o and lse are functions of q, k and v. Default false.
   */
  readonly fromOutputs?: boolean;
}

/** The op on operands of these types, written out. */
export const attentionDecomposition = (
  op: keyof typeof DECOMPOSITIONS,
  types: readonly TensorType[],
  params: AttentionParams,
  options: DecompositionOptions = {},
): Program => traceFlat(types, (inputs) => DECOMPOSITIONS[op](inputs, params, options)).program;

/** (q, k, v) -> the scores as attention's softmax takes them, [..., queries, keys]. */
export const attentionScoresProgram = (
  types: readonly TensorType[],
  params: AttentionParams,
  options: DecompositionOptions = {},
): Program => traceFlat(types, ([q, k]) => [attentionScores(q as T, k as T, params, options).scores]).program;
