/**
 * Lowering of the ops that hold programs. A loop is a block that the host runs again and again, a branch one that it chooses; both
 * read what does not change from the blocks around them. Calls with derivative rules are written in place, and attention as its
 * definition in products and row ops.
 *
 * Consumed by `index.ts`.
 */
import { inputTypes, outputTypes } from "../../../dsl/program/program.ts";
import type { AttentionParams, Program, TensorType } from "../../../dsl/program/program.ts";
import { attentionDecomposition } from "../../../dsl/transforms/attention-decomposition.ts";
import type { Block } from "../plan.ts";
import type { Value } from "../value.ts";
import type { Lowering, LowerRule } from "./rule.ts";

const slots = (values: readonly Value[]): readonly number[] => values.map(({ slot }) => slot);

/** A program as a block whose inputs are `inputs`, after values of outer blocks. */
function nested(
  { build, inline }: Lowering,
  program: Program,
  outer: readonly Value[],
  inputs: { readonly types: readonly TensorType[]; readonly owned: boolean },
): Block {
  const inner = build.child();
  const own = inputs.types.map((type) => inner.stored(type));
  return inner.block(own, inline(program, [...outer, ...own], inner), inputs.owned);
}

export const lowerScan: LowerRule<"scan"> = (lowering, inputs, params) => {
  const { build, outputs } = lowering;
  const { body, length, consts, carry, reverse } = params;
  const carried = inputs.slice(consts, consts + carry);
  if (length === 0) return [...carried, ...outputs.slice(carry).map((type) => build.empty(type))];
  const wholes = inputs.slice(consts).map((value) => build.whole(value));
  const block = nested(lowering, body, inputs.slice(0, consts), {
    types: inputTypes(body).slice(consts),
    owned: true,
  });
  const results = outputs.map((type) => build.stored(type));
  build.push({
    kind: "scan",
    length,
    reverse,
    carried: slots(wholes.slice(0, carry)),
    scanned: wholes.slice(carry).map(({ slot, shape, dtype }) => ({ slot, type: { shape, dtype } })),
    body: block,
    outputs: slots(results),
    stacked: outputs.slice(carry),
  });
  return results;
};

export const lowerCond: LowerRule<"cond"> = (lowering, inputs, { onTrue, onFalse }) => {
  const { build, outputs } = lowering;
  const [predicate, ...operands] = inputs as readonly [Value, ...Value[]]; // the verifier saw the predicate
  const branch = (program: Program): Block => nested(lowering, program, operands, { types: [], owned: true });
  const results = outputs.map((type) => build.stored(type));
  const decided = build.whole(predicate).slot;
  build.push({
    kind: "cond",
    predicate: decided,
    onTrue: branch(onTrue),
    onFalse: branch(onFalse),
    outputs: slots(results),
  });
  return results;
};

export const lowerWhile: LowerRule<"while"> = (lowering, inputs, params) => {
  const { build, outputs } = lowering;
  const { condition, body, conditionConsts, bodyConsts } = params;
  const start = inputs.slice(conditionConsts + bodyConsts).map((value) => build.whole(value));
  const types = outputTypes(body);
  const results = outputs.map((type) => build.stored(type));
  const forBody = inputs.slice(conditionConsts, conditionConsts + bodyConsts);
  build.push({
    kind: "while",
    carried: slots(start),
    condition: nested(lowering, condition, inputs.slice(0, conditionConsts), { types, owned: false }),
    body: nested(lowering, body, forBody, { types, owned: true }),
    outputs: slots(results),
  });
  return results;
};

export const lowerRemat: LowerRule<"remat"> = ({ inline }, inputs, { body }) => inline(body, inputs);
export const lowerCustomJvp: LowerRule<"customJvp"> = ({ inline }, inputs, { body }) => inline(body, inputs);
export const lowerCustomVjp: LowerRule<"customVjp"> = ({ inline }, inputs, { body }) => inline(body, inputs);
export const lowerCustomTangent: LowerRule<"customTangent"> = ({ inline }, inputs, { tangent, residuals }) =>
  inline(tangent, inputs.slice(residuals));

const attention =
  (op: "attention" | "attentionTangent" | "attentionTranspose") =>
  ({ inline }: Lowering, inputs: readonly Value[], params: AttentionParams): readonly Value[] =>
    inline(attentionDecomposition(op, inputs, params), inputs);

export const lowerAttention: LowerRule<"attention"> = attention("attention");
export const lowerAttentionTangent: LowerRule<"attentionTangent"> = attention("attentionTangent");
export const lowerAttentionTranspose: LowerRule<"attentionTranspose"> = attention("attentionTranspose");
