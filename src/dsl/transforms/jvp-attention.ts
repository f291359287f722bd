/**
 * The jvp rules of attention and its companions. First derivatives stay within the three fused ops; a derivative of the tangent
 * or the transpose with respect to its primal arguments goes through the decomposition (attention-decomposition.ts).
 */
import type { AttentionParams } from "../program/program.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import { attentionDecomposition } from "./attention-decomposition.ts";
import { instantiate } from "./jvp.ts";
import type { JvpRule } from "./jvp.ts";

type Apply = (inputs: readonly TracedTensor[], params: AttentionParams) => readonly TracedTensor[];

const attention: JvpRule<"attention"> = ({ inputs, tangents, params, saved }) => {
  const outputs = saved ?? prim.attention(inputs, params);
  const dense = inputs.map((input, i) => instantiate(tangents[i] ?? null, input));
  return { outputs, tangents: prim.attentionTangent([...inputs, ...outputs, ...dense], params) };
};

/**
 * Companions are linear in their last arguments. With tangents only there, apply the op to them; else differentiate the
 * decomposition, in which o and lse do not occur: they are functions of q, k and v.
 */
function companion(
  op: "attentionTangent" | "attentionTranspose",
  linearFrom: number,
  apply: Apply,
): JvpRule<"attentionTangent" | "attentionTranspose"> {
  return ({ inputs, tangents, params, run }) => {
    const outputs = apply(inputs, params);
    if (tangents.slice(0, linearFrom).every((tangent) => tangent === null)) {
      const linear = inputs
        .slice(linearFrom)
        .map((input, i) => instantiate(tangents[linearFrom + i] ?? null, input));
      return { outputs, tangents: apply([...inputs.slice(0, linearFrom), ...linear], params) };
    }
    return { outputs, tangents: run(attentionDecomposition(op, inputs, params), inputs, tangents).tangents };
  };
}

export const attentionRules = {
  attention,
  attentionTangent: companion("attentionTangent", 5, prim.attentionTangent),
  attentionTranspose: companion("attentionTranspose", 5, prim.attentionTranspose),
} as const;
