/**
 * Lowering of attention, its tangent and its transpose (formulas in `src/dsl/ops/attention.ts`) to matrix
 * products and row ops: ONNX has no op that returns the log-sum-exp and differentiates. The scores are
 * stored.
 *
 * Consumed by `index.ts`. All three compute in f32.
 */
import type { AttentionParams } from "../../../dsl/program/program.ts";
import { int } from "../emitter.ts";
import type { Emitter } from "../emitter.ts";
import { ElementType } from "../proto.ts";
import type { Value } from "../value.ts";
import { matmul } from "./dot.ts";
import { maximum, sum } from "./reduction.ts";
import { triple } from "./rule.ts";
import type { LowerRule } from "./rule.ts";
import { ofSeen } from "./seen.ts";
import { iota } from "./structural.ts";

const { bool, float32, int32 } = ElementType;

const scalar = (emit: Emitter, value: number): Value => emit.scalar(float32, value);
const mul = (emit: Emitter, a: Value, b: Value): Value => emit.elementwise("Mul", [a, b]);
const add = (emit: Emitter, a: Value, b: Value): Value => emit.elementwise("Add", [a, b]);
const sub = (emit: Emitter, a: Value, b: Value): Value => emit.elementwise("Sub", [a, b]);
const scaled = (emit: Emitter, a: Value, factor: number): Value =>
  factor === 1 ? a : mul(emit, a, scalar(emit, factor));

/** [rows] as [rows, 1]: one number per row of scores, against all of its columns. */
const perRow = (emit: Emitter, value: Value): Value => emit.reshape(value, [...value.shape, 1]);
const sumRows = (emit: Emitter, value: Value): Value => sum(emit, value, [value.shape.length - 1]);

/** Where query i may look at key j: j <= i + keys − queries. */
function causalMask(emit: Emitter, queries: number, keys: number): Value {
  const query = emit.elementwise("Add", [
    emit.reshape(iota(emit, int32, queries), [queries, 1]),
    emit.scalar(int32, keys - queries),
  ]);
  return emit.elementwise("LessOrEqual", [emit.reshape(iota(emit, int32, keys), [1, keys]), query], {
    element: bool,
  });
}

/**
 * Scores before the mask, and the tanh inside the softcap (undefined without one), which its derivative
 * needs.
 */
function rawScores(
  emit: Emitter,
  q: Value,
  k: Value,
  { scale, softcap }: AttentionParams,
): { readonly scores: Value; readonly tanh?: Value } {
  const products = matmul(emit, q, k, { b: true });
  if (softcap === 0) return { scores: scaled(emit, products, scale) };
  const tanh = emit.elementwise("Tanh", [scaled(emit, products, scale / softcap)]);
  return { scores: scaled(emit, tanh, softcap), tanh };
}

/** Bools [queries, keys]; undefined where every query sees every key. */
function seenKeys(emit: Emitter, q: Value, k: Value, { causal }: AttentionParams): Value | undefined {
  // Attention's operands have at least two axes.
  const [queries, keys] = [q.shape.at(-2) as number, k.shape.at(-2) as number];
  // A single query is the last: it looks at every key.
  return causal && queries > 1 ? causalMask(emit, queries, keys) : undefined;
}

const masked = (emit: Emitter, scores: Value, seen: Value | undefined): Value =>
  seen === undefined ? scores : emit.elementwise("Where", [seen, scores, scalar(emit, -Infinity)]);

export const lowerAttention: LowerRule<"attention"> = ({ emit, live }, inputs, params) =>
  emit.inFloat32(inputs, (operands) => {
    const [q, k, v] = triple(operands);
    const seen = seenKeys(emit, q, k, params);
    const scores = masked(emit, rawScores(emit, q, k, params).scores, seen);
    const last = scores.shape.length - 1;
    if (live[1] !== true) {
      const p = emit.make("Softmax", [emit.whole(scores).name], float32, scores.shape, { axis: int(-1) });
      const [o] = ofSeen(emit, seen, ({ product }) => [product(p, v)]) as [Value];
      return [o, emit.splat(float32, scores.shape.slice(0, -1), 0)];
    }
    const most = maximum(emit, scores, [last]);
    const weights = emit.elementwise("Exp", [sub(emit, scores, perRow(emit, most))]);
    const total = sumRows(emit, weights);
    const [sums] = ofSeen(emit, seen, ({ product }) => [product(weights, v)]) as [Value];
    const o = emit.elementwise("Div", [sums, perRow(emit, total)]);
    return [o, add(emit, most, emit.elementwise("Log", [total]))];
  });

/** Softmax weights recomputed from the log-sum-exp, and the softcap's derivative by the scaled products. */
function weightsAt(
  emit: Emitter,
  q: Value,
  k: Value,
  lse: Value,
  params: AttentionParams,
): { readonly seen: Value | undefined; readonly weights: Value; readonly slope?: Value } {
  const { scores, tanh } = rawScores(emit, q, k, params);
  const seen = seenKeys(emit, q, k, params);
  const weights = emit.elementwise("Exp", [sub(emit, masked(emit, scores, seen), perRow(emit, lse))]);
  return tanh === undefined
    ? { seen, weights }
    : { seen, weights, slope: sub(emit, scalar(emit, 1), mul(emit, tanh, tanh)) };
}

export const lowerAttentionTangent: LowerRule<"attentionTangent"> = ({ emit }, inputs, params) =>
  emit.inFloat32(inputs, (operands) => {
    const [q, k, v, o, lse, dq, dk, dv] = operands as readonly [
      Value,
      Value,
      Value,
      Value,
      Value,
      Value,
      Value,
      Value,
    ]; // verified
    const { seen, weights, slope } = weightsAt(emit, q, k, lse, params);
    const products = scaled(
      emit,
      add(emit, matmul(emit, dq, k, { b: true }), matmul(emit, q, dk, { b: true })),
      params.scale,
    );
    const all = mul(emit, weights, slope === undefined ? products : mul(emit, products, slope));
    return ofSeen(emit, seen, (sums) => {
      const inner = sums.emit;
      const weighted = sums.hide(all);
      const dlse = sumRows(inner, weighted);
      const moved = add(inner, sums.product(weighted, v), sums.product(weights, dv));
      return [sub(inner, moved, mul(inner, perRow(inner, dlse), o)), dlse];
    });
  });

export const lowerAttentionTranspose: LowerRule<"attentionTranspose"> = (
  { emit, outputs },
  inputs,
  params,
) => {
  // Without queries nothing flows back to keys and values.
  if (inputs[0]?.shape.includes(0) === true && inputs[0].shape.at(-2) === 0) {
    return inputs.slice(0, 3).map((value, i) => emit.splat(value.element, outputs[i]?.shape ?? [], 0));
  }
  return emit.inFloat32(inputs, (operands) => {
    const [q, k, v, o, lse, co, clse] = operands as readonly [
      Value,
      Value,
      Value,
      Value,
      Value,
      Value,
      Value,
    ]; // verified
    const { seen, weights, slope } = weightsAt(emit, q, k, lse, params);
    // Per row: the cotangent of lse less ō·o, which all scores of the row share.
    const shared = sub(emit, clse, sumRows(emit, mul(emit, co, o)));
    const flow = mul(emit, weights, add(emit, matmul(emit, co, v, { b: true }), perRow(emit, shared)));
    const all = scaled(emit, slope === undefined ? flow : mul(emit, flow, slope), params.scale);
    return ofSeen(emit, seen, ({ hide, product }) => {
      const cotangent = hide(all);
      return [
        product(cotangent, k),
        product(cotangent, q, "overQueries"),
        product(weights, co, "overQueries"),
      ];
    });
  });
};
