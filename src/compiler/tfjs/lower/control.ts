/**
 * Lowering of the ops that hold programs. A loop is a block that the host runs again and again, a branch one that it chooses; both
 * read what does not change from the blocks around them. Calls with derivative rules are written in place, and attention as its
 * definition in products and row ops.
 *
 * Consumed by `index.ts`.
 */
import { inputTypes, outputTypes, sizeOf } from "../../../dsl/program/program.ts";
import type { AttentionParams, Program, TensorType } from "../../../dsl/program/program.ts";
import { attentionDecomposition } from "../../../dsl/transforms/attention-decomposition.ts";
import type { PlanBuilder } from "../builder.ts";
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

/** A bool that says whether all elements of floats are finite: 0 times NaN or an infinity is NaN. */
function allFinite(build: PlanBuilder, values: readonly Value[]): Value {
  const sums = values
    .filter(({ shape }) => sizeOf(shape) > 0)
    .map((x) => {
      const zeros = build.elementwise("Multiply", { a: x, b: build.scalar(x.dtype, 0) }, x.dtype);
      const axis = zeros.held.map((_, i) => i);
      if (axis.length === 0) return { ...zeros, shape: [] };
      return build.call("Sum", { x: zeros.slot }, x.dtype, [], { axis, keepDims: false });
    });
  const zero = build.scalar("f32", 0);
  const total = sums.reduce((a, b) => build.elementwise("Add", { a, b }, "f32"), zero);
  return build.elementwise("Equal", { a: total, b: zero }, "bool");
}

/**
 * Causal attention must not notice a NaN in a row that is not seen, but in a product of matrices 0 times NaN is NaN. So the host looks
 * whether all is finite, and if not, sums are taken term by term.
 */
const attention =
  <K extends "attention" | "attentionTangent" | "attentionTranspose">(op: K): LowerRule<K> =>
  (lowering, inputs, params: AttentionParams) => {
    const { build, inline } = lowering;
    const asProducts = attentionDecomposition(op, inputs, params);
    if (!params.causal) return inline(asProducts, inputs);
    const termByTerm = attentionDecomposition(op, inputs, params, { leavesOut: "at once" });
    const branches = { onTrue: asProducts, onFalse: termByTerm };
    return lowerCond(lowering, [allFinite(build, inputs), ...inputs], branches);
  };

export const lowerAttention: LowerRule<"attention"> = attention("attention");
export const lowerAttentionTangent: LowerRule<"attentionTangent"> = attention("attentionTangent");
export const lowerAttentionTranspose: LowerRule<"attentionTranspose"> = attention("attentionTranspose");
