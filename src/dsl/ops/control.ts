/**
 * Ops that hold programs: loops, branches, rematerialization and custom derivative rules.
 * Shape rules check the nested programs' signatures; the verifier checks their bodies.
 */
import { formatType, inputTypes, outputTypes, sameType } from "../program/program.ts";
import type { Program, TensorType } from "../program/program.ts";
import { require } from "./definition.ts";
import type { OpDefinition } from "./definition.ts";

const list = (types: readonly TensorType[]): string => `(${types.map(formatType).join(", ")})`;

function agree(
  op: string,
  what: string,
  actual: readonly TensorType[],
  expected: readonly TensorType[],
): void {
  const same =
    actual.length === expected.length && actual.every((type, i) => sameType(type, expected[i] as TensorType));
  require(same, () => `${op}: ${what} ${list(actual)}, expected ${list(expected)}`);
}

/** Type of one slice along the leading axis. */
function slice(op: string, type: TensorType, length: number): TensorType {
  require(type.shape[0] === length, () =>
    `${op}: a scanned tensor ${formatType(type)} has no leading axis of ${length}`);
  return { shape: type.shape.slice(1), dtype: type.dtype };
}

export const SCAN: OpDefinition<"scan"> = {
  doc:
    "Runs body: (consts, carry, slices of xs) -> (carry, slices of ys) `length` times; from the last slice to the first when " +
    "`reverse`. Inputs (consts, carry, xs), outputs (final carry, ys stacked along a new leading axis).",
  infer(inputs, { body, length, consts, carry }) {
    const split = consts + carry;
    require(inputs.length >= split, () =>
      `scan: ${inputs.length} inputs for ${consts} consts and ${carry} carried values`);
    require(Number.isInteger(length) && length >= 0, () =>
      `scan: length ${length} must be a whole number >= 0`);
    const carried = inputs.slice(consts, split);
    const xs = inputs.slice(split).map((type) => slice("scan", type, length));
    agree("scan", "the body takes", inputTypes(body), [...inputs.slice(0, split), ...xs]);
    const outputs = outputTypes(body);
    agree("scan", "the body returns a carry", outputs.slice(0, carry), carried);
    return [
      ...carried,
      ...outputs.slice(carry).map(({ shape, dtype }) => ({ shape: [length, ...shape], dtype })),
    ];
  },
};

function scalarBool(op: string, type: TensorType | undefined): void {
  require(type !== undefined && type.dtype === "bool" && type.shape.length === 0, () =>
    `${op}: the condition must be bool[], got ${type === undefined ? "nothing" : formatType(type)}`);
}

export const COND: OpDefinition<"cond"> = {
  doc: "cond(predicate, ...operands): onTrue(operands) or onFalse(operands), by a scalar bool. Both return the same types.",
  infer(inputs, { onTrue, onFalse }) {
    scalarBool("cond", inputs[0]);
    agree("cond", "the true branch takes", inputTypes(onTrue), inputs.slice(1));
    agree("cond", "the false branch takes", inputTypes(onFalse), inputs.slice(1));
    agree("cond", "the false branch returns", outputTypes(onFalse), outputTypes(onTrue));
    return outputTypes(onTrue);
  },
};

export const WHILE: OpDefinition<"while"> = {
  doc: "Repeats body on the carry while condition(carry) holds. Inputs (condition consts, body consts, carry). Forward mode only.",
  infer(inputs, { condition, body, conditionConsts, bodyConsts }) {
    const carried = inputs.slice(conditionConsts + bodyConsts);
    agree("while", "the condition takes", inputTypes(condition), [
      ...inputs.slice(0, conditionConsts),
      ...carried,
    ]);
    agree("while", "the body takes", inputTypes(body), [
      ...inputs.slice(conditionConsts, conditionConsts + bodyConsts),
      ...carried,
    ]);
    const tests = outputTypes(condition);
    require(tests.length === 1, () => `while: the condition returns ${tests.length} values, expected 1`);
    scalarBool("while", tests[0]);
    agree("while", "the body returns", outputTypes(body), carried);
    return carried;
  },
};

export const REMAT: OpDefinition<"remat"> = {
  doc: "Calls body. Its derivative recomputes the body's intermediate values instead of keeping them, but for what `policy` saves.",
  infer(inputs, { body }) {
    agree("remat", "the body takes", inputTypes(body), inputs);
    return outputTypes(body);
  },
};

const differentiable = (program: Program, consts: number): readonly TensorType[] =>
  inputTypes(program).slice(consts);

export const CUSTOM_JVP: OpDefinition<"customJvp"> = {
  doc: "Calls body, differentiated by rule: (inputs, tangents of the inputs after `consts`) -> (outputs, output tangents).",
  infer(inputs, { body, rule, consts }) {
    agree("customJvp", "the function takes", inputTypes(body), inputs);
    agree("customJvp", "the rule takes", inputTypes(rule), [...inputs, ...differentiable(body, consts)]);
    agree("customJvp", "the rule returns", outputTypes(rule), [...outputTypes(body), ...outputTypes(body)]);
    return outputTypes(body);
  },
};

export const CUSTOM_VJP: OpDefinition<"customVjp"> = {
  doc: "Calls body; reverse mode uses forward: inputs -> (outputs, residuals) and backward: (residuals, cotangents) -> cotangents of the inputs after `consts`.",
  infer(inputs, { body, forward, backward, consts }) {
    agree("customVjp", "the function takes", inputTypes(body), inputs);
    agree("customVjp", "the forward rule takes", inputTypes(forward), inputs);
    const outputs = outputTypes(body);
    const forwardOutputs = outputTypes(forward);
    agree("customVjp", "the forward rule returns", forwardOutputs.slice(0, outputs.length), outputs);
    agree("customVjp", "the backward rule takes", inputTypes(backward), [
      ...forwardOutputs.slice(outputs.length),
      ...outputs,
    ]);
    agree("customVjp", "the backward rule returns", outputTypes(backward), differentiable(body, consts));
    return outputs;
  },
};

export const CUSTOM_TANGENT: OpDefinition<"customTangent"> = {
  doc: "The derivative of a customVjp call; see the parameters' description in program.ts.",
  infer(inputs, { tangent, backward, residuals, primals }) {
    agree("customTangent", "the tangent program takes", inputTypes(tangent), inputs.slice(residuals));
    const outputs = outputTypes(tangent);
    agree("customTangent", "the backward rule takes", inputTypes(backward), [
      ...inputs.slice(0, residuals),
      ...outputs,
    ]);
    agree(
      "customTangent",
      "the backward rule returns",
      outputTypes(backward),
      inputs.slice(residuals + primals),
    );
    return outputs;
  },
};
