/**
 * The interpreter's rules for attention, its tangent and its transpose: the definitions in src/dsl/ops/attention.ts, one row of
 * softmax weights at a time. The companions recompute the weights from q and k: their operands o and lse are by contract
 * the outputs of attention at the same (q, k, v), there for targets that save the work.
 */
import { sizeOf } from "../../dsl/program/program.ts";
import type { AttentionParams } from "../../dsl/program/program.ts";
import { empty } from "./arrays.ts";
import type { Value } from "./arrays.ts";

/** The softmax over the keys that one query sees. */
interface Row {
  /** Offsets of the first element of the query's row in q, and of its output row in o. */
  readonly query: number;
  readonly output: number;
  /** Position in lse. */
  readonly index: number;
  /** Offset of row j of k, and of v. */
  readonly key: (j: number) => number;
  readonly value: (j: number) => number;
  /** Per visible key: softmax weight p, and the score's derivative by q·k (scale, and the softcap's slope). */
  readonly weights: readonly number[];
  readonly slopes: readonly number[];
  readonly lse: number;
}

/** a[i…] · b[j…] over n elements. */
function product(a: Value, i: number, b: Value, j: number, n: number): number {
  let sum = 0;
  for (let d = 0; d < n; d++) sum += (a.data[i + d] as number) * (b.data[j + d] as number);
  return sum;
}

/** into[i…] += factor · x[j…] over n elements. */
function accumulate(into: Value, i: number, factor: number, x: Value, j: number, n: number): void {
  for (let d = 0; d < n; d++)
    into.data[i + d] = (into.data[i + d] as number) + factor * (x.data[j + d] as number);
}

const last = (x: Value): number => x.shape.at(-1) as number; // rank >= 2

/** Calls `visit` for every query of every batch entry and head. */
function forEachRow(
  q: Value,
  k: Value,
  v: Value,
  { scale, softcap, causal }: AttentionParams,
  visit: (row: Row) => void,
): void {
  const slabs = sizeOf(q.shape.slice(0, -2));
  const [queries, keys, depth, width] = [
    q.shape.at(-2) as number,
    k.shape.at(-2) as number,
    last(q),
    last(v),
  ];
  for (let slab = 0; slab < slabs; slab++) {
    const key = (j: number): number => (slab * keys + j) * depth;
    for (let i = 0; i < queries; i++) {
      const index = slab * queries + i;
      const visible = causal ? i + keys - queries + 1 : keys;
      const scores: number[] = [];
      const slopes: number[] = [];
      for (let j = 0; j < visible; j++) {
        const raw = scale * product(q, index * depth, k, key(j), depth);
        const capped = softcap > 0 ? Math.tanh(raw / softcap) : 0;
        scores.push(softcap > 0 ? softcap * capped : raw);
        slopes.push(scale * (1 - capped * capped));
      }
      const maximum = Math.max(...scores);
      const lse = maximum + Math.log(scores.reduce((sum, s) => sum + Math.exp(s - maximum), 0));
      const weights = scores.map((s) => Math.exp(s - lse));
      visit({
        query: index * depth,
        output: index * width,
        index,
        key,
        value: (j) => (slab * keys + j) * width,
        weights,
        slopes,
        lse,
      });
    }
  }
}

/** (q, k, v) -> (o = p·v, lse). */
export function attention(
  [q, k, v]: readonly [Value, Value, Value],
  params: AttentionParams,
): readonly Value[] {
  const rows = q.shape.slice(0, -1);
  const [o, lse] = [
    empty({ shape: [...rows, last(v)], dtype: q.dtype }),
    empty({ shape: rows, dtype: q.dtype }),
  ];
  forEachRow(q, k, v, params, (row) => {
    row.weights.forEach((p, j) => accumulate(o, row.output, p, v, row.value(j), last(v)));
    lse.data[row.index] = row.lse;
  });
  return [o, lse];
}

/** (q, k, v, o, lse, q̇, k̇, v̇) -> (Σ p(ṡ − Σpṡ)v + Σ p·v̇, Σ p·ṡ), with ṡ = slope·(q̇·k + q·k̇). */
export function attentionTangent(inputs: readonly Value[], params: AttentionParams): readonly Value[] {
  const [q, k, v, o, lse, dq, dk, dv] = inputs as readonly [
    Value,
    Value,
    Value,
    Value,
    Value,
    Value,
    Value,
    Value,
  ];
  const [dO, dLse] = [empty(o), empty(lse)];
  const [depth, width] = [last(q), last(v)];
  forEachRow(q, k, v, params, (row) => {
    const dScores = row.slopes.map(
      (slope, j) =>
        slope * (product(dq, row.query, k, row.key(j), depth) + product(q, row.query, dk, row.key(j), depth)),
    );
    const mean = dScores.reduce((sum, ds, j) => sum + (row.weights[j] as number) * ds, 0);
    row.weights.forEach((p, j) => {
      accumulate(dO, row.output, p * ((dScores[j] as number) - mean), v, row.value(j), width);
      accumulate(dO, row.output, p, dv, row.value(j), width);
    });
    dLse.data[row.index] = mean;
  });
  return [dO, dLse];
}

/** (q, k, v, o, lse, ō, cotangent of lse) -> (q̄, k̄, v̄), with s̄ = p·(ō·v − Σ p·(ō·v) + cotangent of lse). */
export function attentionTranspose(inputs: readonly Value[], params: AttentionParams): readonly Value[] {
  const [q, k, v, , , ctO, ctLse] = inputs as readonly [Value, Value, Value, Value, Value, Value, Value];
  const [ctQ, ctK, ctV] = [empty(q), empty(k), empty(v)];
  const [depth, width] = [last(q), last(v)];
  forEachRow(q, k, v, params, (row) => {
    const ctWeights = row.weights.map((_, j) => product(ctO, row.output, v, row.value(j), width));
    const mean = ctWeights.reduce((sum, ct, j) => sum + (row.weights[j] as number) * ct, 0);
    row.weights.forEach((p, j) => {
      const ctScore = p * ((ctWeights[j] as number) - mean + (ctLse.data[row.index] as number));
      const ctRaw = (row.slopes[j] as number) * ctScore;
      accumulate(ctQ, row.query, ctRaw, k, row.key(j), depth);
      accumulate(ctK, row.key(j), ctRaw, q, row.query, depth);
      accumulate(ctV, row.value(j), p, ctO, row.output, width);
    });
  });
  return [ctQ, ctK, ctV];
}
