/**
 * Lowering of the ops that hold programs. scan, cond and while become Scan, If and Loop, whose graphs read
 * what does not change (consts, operands of branches) from the graph around them; calls with derivative rules
 * are written in place.
 *
 * Consumed by `index.ts`.
 */
import type { Program, TensorType } from "../../../dsl/program/program.ts";
import { inputTypes, outputTypes } from "../../../dsl/program/program.ts";
import { graph, int, ints } from "../emitter.ts";
import type { Emitter } from "../emitter.ts";
import { ElementType } from "../proto.ts";
import type { GraphProto, ValueInfoProto } from "../proto.ts";
import { elementOf } from "../value.ts";
import type { Value } from "../value.ts";
import type { LowerRule } from "./rule.ts";
import { iota } from "./structural.ts";

/** A value of a type whose elements are all stored. */
export const stored = (name: string, { dtype, shape }: TensorType): Value => ({
  name,
  element: elementOf(dtype),
  shape,
  held: shape,
});

const info = ({ name, element, shape }: Value): ValueInfoProto => ({ name, type: element, shape });

/** Values as a graph's outputs: stored whole, made by a node of this graph, no two of one name. */
export function graphOutputs(emit: Emitter, values: readonly Value[]): readonly Value[] {
  const seen = new Set<string>();
  return values.map((value) => {
    const whole = emit.whole(value);
    const own = emit.makes(whole.name) && !seen.has(whole.name);
    const output = own ? whole : emit.make("Identity", [whole.name], whole.element, whole.shape);
    seen.add(output.name);
    return output;
  });
}

/** The graph that an emitter has written, of the given inputs and outputs. */
export function graphOf(
  emit: Emitter,
  name: string,
  inputs: readonly Value[],
  outputs: readonly Value[],
): GraphProto {
  const made = graphOutputs(emit, outputs);
  return { name, nodes: emit.nodes, initializers: [], inputs: inputs.map(info), outputs: made.map(info) };
}

const freshInputs = (emit: Emitter, types: readonly TensorType[], stem: string): readonly Value[] =>
  types.map((type) => stored(emit.fresh(stem), type));

export const lowerScan: LowerRule<"scan"> = (
  { emit, outputs, inline },
  inputs,
  { body, length, consts, carry, reverse },
) => {
  const carried = inputs.slice(consts, consts + carry);
  if (length === 0) return [...carried, ...outputs.slice(carry).map((type) => emit.empty(type))];
  const types = inputTypes(body);
  const inner = emit.child();
  const state = freshInputs(inner, types.slice(consts, consts + carry), "carry");
  const slices = freshInputs(inner, types.slice(consts + carry), "slice");
  const results = inline(body, [...inputs.slice(0, consts), ...state, ...slices], inner);
  // Scan takes its length from what it runs over, and so needs something to run over.
  const scanned = inputs.slice(consts + carry);
  const sources = scanned.length > 0 ? scanned : [iota(emit, ElementType.int32, length)];
  const elements = scanned.length > 0 ? slices : [stored(inner.fresh("step"), { dtype: "i32", shape: [] })];
  const direction = Number(reverse);
  const attributes = {
    body: graph(graphOf(inner, "scan body", [...state, ...elements], results)),
    num_scan_inputs: int(sources.length),
    ...(reverse ? { scan_input_directions: ints(sources.map(() => direction)) } : {}),
    ...(reverse && results.length > carry
      ? { scan_output_directions: ints(results.slice(carry).map(() => direction)) }
      : {}),
  };
  const names = emit.node(
    "Scan",
    [...carried, ...sources].map((value) => emit.whole(value).name),
    attributes,
    results.length,
  );
  return outputs.map((type, i) => stored(names[i] as string, type)); // as many names as results
};

export const lowerCond: LowerRule<"cond"> = ({ emit, outputs, inline }, inputs, { onTrue, onFalse }) => {
  const [predicate, ...operands] = inputs as readonly [Value, ...Value[]]; // the verifier saw the predicate
  const branch = (name: string, program: Program): GraphProto => {
    const inner = emit.child();
    return graphOf(inner, name, [], inline(program, operands, inner));
  };
  const attributes = {
    then_branch: graph(branch("on true", onTrue)),
    else_branch: graph(branch("on false", onFalse)),
  };
  const names = emit.node("If", [emit.whole(predicate).name], attributes, outputs.length);
  return outputs.map((type, i) => stored(names[i] as string, type)); // as many names as outputs
};

export const lowerWhile: LowerRule<"while"> = (
  { emit, outputs, inline },
  inputs,
  { condition, body, conditionConsts, bodyConsts },
) => {
  const conditionOperands = inputs.slice(0, conditionConsts);
  const bodyOperands = inputs.slice(conditionConsts, conditionConsts + bodyConsts);
  const carried = inputs.slice(conditionConsts + bodyConsts);
  const before = inline(condition, [...conditionOperands, ...carried]).map((value) => emit.whole(value));
  const inner = emit.child();
  const step = { name: inner.fresh("step"), element: ElementType.int64, shape: [], held: [] };
  const goOn = stored(inner.fresh("condition"), { dtype: "bool", shape: [] });
  const state = freshInputs(inner, outputTypes(body), "carry");
  const next = inline(body, [...bodyOperands, ...state], inner);
  const again = inline(condition, [...conditionOperands, ...next], inner);
  const attributes = {
    body: graph(graphOf(inner, "while body", [step, goOn, ...state], [...again, ...next])),
  };
  const names = emit.node(
    "Loop",
    ["", ...before.map((value) => value.name), ...carried.map((value) => emit.whole(value).name)],
    attributes,
    outputs.length,
  );
  return outputs.map((type, i) => stored(names[i] as string, type)); // as many names as outputs
};

export const lowerRemat: LowerRule<"remat"> = ({ inline }, inputs, { body }) => inline(body, inputs);
export const lowerCustomJvp: LowerRule<"customJvp"> = ({ inline }, inputs, { body }) => inline(body, inputs);
export const lowerCustomVjp: LowerRule<"customVjp"> = ({ inline }, inputs, { body }) => inline(body, inputs);
export const lowerCustomTangent: LowerRule<"customTangent"> = ({ inline }, inputs, { tangent, residuals }) =>
  inline(tangent, inputs.slice(residuals));
