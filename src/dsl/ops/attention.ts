/**
 * Attention and its two companions, closed under differentiation: the tangent is linear in (q̇, k̇, v̇), and the transpose of
 * the tangent is the flash backward. Shapes: q [...batch, heads, queries, depth], k [..., keys, depth], v [..., keys, width].
 *
 * With scores s = softcap(scale·q·kᵀ) (masked to keys <= query + keys − queries when causal), p = softmax(s):
 *   attention          (q, k, v) -> (o = p·v, lse = log Σ eˢ)
 *   attentionTangent   (q, k, v, o, lse, q̇, k̇, v̇) -> (ȯ, the tangent of lse)
 *   attentionTranspose (q, k, v, o, lse, ō, cotangent of lse) -> (q̄, k̄, v̄)
 * One online-softmax pass gives o = A/l and ȯ = (B + C)/l − (r/l)·o, with l = Σe^{s−m}, A = Σe^{s−m}v, B = Σe^{s−m}ṡv,
 * C = Σe^{s−m}v̇, r = Σe^{s−m}ṡ; r/l is the tangent of lse.
 */
import { formatType, sameShape, sameType } from "../program/program.ts";
import type { AttentionParams, TensorType } from "../program/program.ts";
import { require } from "./definition.ts";
import type { OpDefinition } from "./definition.ts";

type Outputs = readonly [o: TensorType, lse: TensorType];

function forward(op: string, inputs: readonly TensorType[], { scale, softcap }: AttentionParams): Outputs {
  const [q, k, v] = inputs as readonly [TensorType, TensorType, TensorType];
  const shapes = (): string => `q ${formatType(q)}, k ${formatType(k)}, v ${formatType(v)}`;
  require(q.dtype === k.dtype && k.dtype === v.dtype, () => `${op}: dtypes differ: ${shapes()}`);
  require(q.dtype === "f32" || q.dtype === "f16", () => `${op} is not defined for ${q.dtype}`);
  const rank = q.shape.length;
  require(rank >= 2 && k.shape.length === rank && v.shape.length === rank, () =>
    `${op}: ranks differ or are below 2: ${shapes()}`);
  const batch = q.shape.slice(0, -2);
  require(sameShape(batch, k.shape.slice(0, -2)) && sameShape(batch, v.shape.slice(0, -2)), () =>
    `${op}: leading axes differ: ${shapes()}`);
  require(q.shape[rank - 1] === k.shape[rank - 1], () =>
    `${op}: q and k have depths ${q.shape[rank - 1]} vs ${k.shape[rank - 1]}`);
  require(k.shape[rank - 2] === v.shape[rank - 2], () =>
    `${op}: ${k.shape[rank - 2]} keys vs ${v.shape[rank - 2]} values`);
  require(k.shape[rank - 2] !== 0, () => `${op}: there are no keys to attend to`);
  require(Number.isFinite(scale) && Number.isFinite(softcap) && softcap >= 0, () =>
    `${op}: scale ${scale} and softcap ${softcap} must be finite, softcap >= 0`);
  const rows = [...batch, q.shape[rank - 2] as number];
  return [
    { shape: [...rows, v.shape[rank - 1] as number], dtype: q.dtype },
    { shape: rows, dtype: q.dtype },
  ];
}

function expect(
  op: string,
  names: readonly string[],
  actual: readonly TensorType[],
  expected: readonly TensorType[],
): void {
  expected.forEach((type, i) => {
    const given = actual[i] as TensorType;
    require(sameType(given, type), () =>
      `${op}: ${names[i]} is ${formatType(given)}, expected ${formatType(type)}`);
  });
}

export const ATTENTION: OpDefinition<"attention"> = {
  doc: "(q, k, v) -> (o, lse): softmax attention with scale, softcap and causal modifiers, never storing the scores where a target can avoid it.",
  infer(inputs, params) {
    require(inputs.length === 3, () => `attention takes 3 tensors, got ${inputs.length}`);
    if (params.causal) {
      const [q, k] = inputs as readonly [TensorType, TensorType];
      const [queries, keys] = [q.shape.at(-2) ?? 0, k.shape.at(-2) ?? 0];
      require(queries <= keys, () => `attention: causal needs queries <= keys, got ${queries} and ${keys}`);
    }
    return forward("attention", inputs, params);
  },
};

export const ATTENTION_TANGENT: OpDefinition<"attentionTangent"> = {
  doc: "(q, k, v, o, lse, q̇, k̇, v̇) -> (ȯ, the tangent of lse): linear in the last three.",
  infer(inputs, params) {
    require(inputs.length === 8, () => `attentionTangent takes 8 tensors, got ${inputs.length}`);
    const outputs = forward("attentionTangent", inputs, params);
    expect("attentionTangent", ["o", "lse", "q̇", "k̇", "v̇"], inputs.slice(3), [
      ...outputs,
      ...inputs.slice(0, 3),
    ]);
    return outputs;
  },
};

export const ATTENTION_TRANSPOSE: OpDefinition<"attentionTranspose"> = {
  doc: "(q, k, v, o, lse, ō, cotangent of lse) -> (q̄, k̄, v̄): the flash backward, linear in the last two.",
  infer(inputs, params) {
    require(inputs.length === 7, () => `attentionTranspose takes 7 tensors, got ${inputs.length}`);
    const outputs = forward("attentionTranspose", inputs, params);
    expect("attentionTranspose", ["o", "lse", "ō", "cotangent of lse"], inputs.slice(3), [
      ...outputs,
      ...outputs,
    ]);
    return inputs.slice(0, 3);
  },
};
