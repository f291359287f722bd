/**
 * Forward-mode rules of the ops that hold programs. Each runs the derivative of the nested program inside the same kind of op.
 * A carried value has a tangent as soon as one iteration gives it one, found by iterating the mask to a fixed point.
 */
import { inputTypes } from "../program/program.ts";
import type { Program } from "../program/program.ts";
import { require } from "../ops/definition.ts";
import { emit, traceFlat } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import { instantiate, isDifferentiable, jvpProgram } from "./jvp.ts";
import type { Dual, JvpRule, JvpProgram, RunDual, Tangent } from "./jvp.ts";

type T = TracedTensor;

export const present = (tangents: readonly Tangent[]): readonly T[] =>
  tangents.filter((tangent) => tangent !== null);
export const maskOf = (tangents: readonly Tangent[]): readonly boolean[] =>
  tangents.map((tangent) => tangent !== null);

/** Tangents by position from the dense list of those in the mask. */
export function scatterTangents(mask: readonly boolean[], dense: readonly T[]): readonly Tangent[] {
  let next = 0;
  return mask.map((has) => (has ? (dense[next++] as T) : null));
}

/** `list` reordered by the given positions. */
const pick = <X>(list: readonly X[], positions: readonly number[]): readonly X[] =>
  positions.map((i) => list[i] as X);

/** A program with reordered inputs and outputs. */
export const permuted = (
  program: Program,
  inputs: readonly number[],
  outputs: readonly number[],
): Program => ({
  ...program,
  inputs: pick(program.inputs, inputs),
  outputs: pick(program.outputs, outputs),
});

/**
 * The jvp of a loop body whose carried values keep their tangent mask from one iteration to the next.
 * `inputs` of the body: (consts, carry, rest); outputs: (carry, rest).
 */
export function loopJvp(
  run: RunDual,
  body: Program,
  mask: readonly boolean[],
  consts: number,
  carry: number,
): JvpProgram & { readonly carryMask: readonly boolean[] } {
  let carryMask = mask.slice(consts, consts + carry);
  for (;;) {
    const inputMask = [...mask.slice(0, consts), ...carryMask, ...mask.slice(consts + carry)];
    const dual = jvpProgram(run, body, inputMask, carryMask);
    const reached = dual.mask.slice(0, carry);
    if (reached.every((has, i) => has === carryMask[i])) return { ...dual, carryMask };
    carryMask = reached;
  }
}

const scan: JvpRule<"scan"> = ({ inputs, tangents, params, run }) => {
  const { body, length, consts, carry, reverse } = params;
  const mask = maskOf(tangents);
  const dual = loopJvp(run, body, mask, consts, carry);
  const inputMask = [...mask.slice(0, consts), ...dual.carryMask, ...mask.slice(consts + carry)];
  const split = consts + carry;
  const primals = prim.range(inputs.length);
  // The dual body takes (primals, tangents); the scan wants (consts, dual consts, carry, dual carry, xs, dual xs).
  const tangentAt: number[] = [];
  inputMask.forEach(
    (has, i) => (tangentAt[i] = has ? inputs.length + inputMask.slice(0, i).filter(Boolean).length : -1),
  );
  const group = (from: number, to: number): readonly number[] => [
    ...primals.slice(from, to),
    ...tangentAt.slice(from, to).filter((position) => position >= 0),
  ];
  const outputCount = body.outputs.length;
  const outTangentAt: number[] = [];
  dual.mask.forEach(
    (has, i) => (outTangentAt[i] = has ? outputCount + dual.mask.slice(0, i).filter(Boolean).length : -1),
  );
  const outGroup = (from: number, to: number): readonly number[] => [
    ...prim.range(outputCount).slice(from, to),
    ...outTangentAt.slice(from, to).filter((position) => position >= 0),
  ];
  const inputOrder = [...group(0, consts), ...group(consts, split), ...group(split, inputs.length)];
  const outputOrder = [...outGroup(0, carry), ...outGroup(carry, outputCount)];
  const dense = inputs.flatMap((input, i) =>
    inputMask[i] === true ? [instantiate(tangents[i] ?? null, input)] : [],
  );
  const outputs = emit("scan", pick([...inputs, ...dense], inputOrder), {
    body: permuted(dual.program, inputOrder, outputOrder),
    length,
    consts: group(0, consts).length,
    carry: group(consts, split).length,
    reverse,
  });
  const byPosition: T[] = [];
  outputOrder.forEach((position, i) => (byPosition[position] = outputs[i] as T));
  return {
    outputs: byPosition.slice(0, outputCount),
    tangents: scatterTangents(dual.mask, byPosition.slice(outputCount)),
  };
};

const whileLoop: JvpRule<"while"> = ({ inputs, tangents, params, run }) => {
  const { condition, body, conditionConsts, bodyConsts } = params;
  const carry = inputs.length - conditionConsts - bodyConsts;
  const bodyTangents = tangents.slice(conditionConsts);
  const dual = loopJvp(run, body, maskOf(bodyTangents), bodyConsts, carry);
  const bodyInputs = inputs.slice(conditionConsts);
  const constTangents = present(bodyTangents.slice(0, bodyConsts));
  const carryTangents = bodyInputs
    .slice(bodyConsts)
    .flatMap((input, i) =>
      dual.carryMask[i] === true ? [instantiate(bodyTangents[bodyConsts + i] ?? null, input)] : [],
    );
  // The dual body takes (consts, carry, const tangents, carry tangents); the loop wants the const tangents among the consts.
  const constCount = bodyConsts + constTangents.length;
  const order = [
    ...prim.range(bodyConsts),
    ...constTangents.map((_, i) => bodyInputs.length + i),
    ...prim.range(carry).map((i) => bodyConsts + i),
    ...carryTangents.map((_, i) => bodyInputs.length + constTangents.length + i),
  ];
  const { program: test } = traceFlat(
    [...inputs.slice(0, conditionConsts), ...bodyInputs.slice(bodyConsts), ...carryTangents],
    (values) => prim.replay(condition, values.slice(0, conditionConsts + carry)),
  );
  const outputs = emit(
    "while",
    [
      ...inputs.slice(0, conditionConsts),
      ...bodyInputs.slice(0, bodyConsts),
      ...constTangents,
      ...bodyInputs.slice(bodyConsts),
      ...carryTangents,
    ],
    {
      condition: test,
      body: permuted(dual.program, order, prim.range(carry + carryTangents.length)),
      conditionConsts,
      bodyConsts: constCount,
    },
  );
  return {
    outputs: outputs.slice(0, carry),
    tangents: scatterTangents(dual.carryMask, outputs.slice(carry)),
  };
};

const cond: JvpRule<"cond"> = ({ inputs, tangents, params, run }) => {
  const [predicate, ...operands] = inputs as readonly [T, ...T[]];
  const mask = maskOf(tangents.slice(1));
  const found = [params.onTrue, params.onFalse].map((branch) => jvpProgram(run, branch, mask).mask);
  const want = (found[0] as readonly boolean[]).map((has, i) => has || found[1]?.[i] === true);
  const [onTrue, onFalse] = [params.onTrue, params.onFalse].map(
    (branch) => jvpProgram(run, branch, mask, want).program,
  ) as [Program, Program];
  const outputs = emit("cond", [predicate, ...operands, ...present(tangents.slice(1))], { onTrue, onFalse });
  const count = params.onTrue.outputs.length;
  return { outputs: outputs.slice(0, count), tangents: scatterTangents(want, outputs.slice(count)) };
};

const remat: JvpRule<"remat"> = ({ inputs, tangents, params, run }) => {
  const dual = jvpProgram(run, params.body, maskOf(tangents));
  const outputs = emit("remat", [...inputs, ...present(tangents)], {
    body: dual.program,
    policy: params.policy,
  });
  const count = params.body.outputs.length;
  return { outputs: outputs.slice(0, count), tangents: scatterTangents(dual.mask, outputs.slice(count)) };
};

/** Custom rules say nothing about captured tensors, so these must not be differentiated. */
export function refuseCaptured(op: string, tangents: readonly Tangent[], consts: number): void {
  require(tangents.slice(0, consts).every((tangent) => tangent === null), () =>
    `${op}: the function uses a tensor from outside that is being differentiated; pass it as an argument`);
}

/** Calls the user's rule, which wants a tangent for every input after the consts. */
const customJvp: JvpRule<"customJvp"> = ({ inputs, tangents, params }) => {
  refuseCaptured("customJvp", tangents, params.consts);
  const dense = inputs
    .slice(params.consts)
    .map((input, i) => instantiate(tangents[params.consts + i] ?? null, input));
  const results = prim.replay(params.rule, [...inputs, ...dense]);
  const count = params.body.outputs.length;
  return { outputs: results.slice(0, count), tangents: floatOnly(params.body, results.slice(count)) };
};

/** Tangents of integer outputs are zero, whatever a rule says. */
export const floatOnly = (body: Program, tangents: readonly Tangent[]): readonly Tangent[] =>
  tangents.map((tangent, i) =>
    isDifferentiable(body.types[body.outputs[i] as number] as { dtype: string }) ? tangent : null,
  );

/**
 * Evaluates the forward rule and leaves a customTangent behind: evaluated, it is the derivative of the function itself;
 * transposed, it is the user's backward rule.
 */
const customVjp: JvpRule<"customVjp"> = ({ inputs, tangents, params, run }): Dual => {
  const { body, forward, backward, consts } = params;
  refuseCaptured("customVjp", tangents, consts);
  const count = body.outputs.length;
  const results = prim.replay(forward, inputs);
  const residuals = results.slice(count);
  const types = inputTypes(body);
  const mask = types.map((type, i) => i >= consts && isDifferentiable(type));
  const { program: tangent } = traceFlat([...types, ...types.slice(consts)], (values) => {
    const dots = values.slice(types.length);
    const duals = mask.map((has, i) => (has ? (dots[i - consts] as T) : null));
    const result = run(body, values.slice(0, types.length), duals);
    return result.outputs.map((output, i) => instantiate(result.tangents[i] ?? null, output));
  });
  const dense = inputs.slice(consts).map((input, i) => instantiate(tangents[consts + i] ?? null, input));
  const outputs = emit("customTangent", [...residuals, ...inputs, ...dense], {
    tangent,
    backward,
    residuals: residuals.length,
    primals: inputs.length,
  });
  return { outputs: results.slice(0, count), tangents: floatOnly(body, outputs) };
};

/** The derivative of the derivative is that of the tangent program; the backward rule has served. */
const customTangent: JvpRule<"customTangent"> = ({ op, inputs, tangents, params, run }) => {
  const { residuals, primals, tangent } = params;
  const linearFrom = residuals + primals;
  if (tangents.slice(0, linearFrom).every((dot) => dot === null)) {
    const dense = inputs
      .slice(linearFrom)
      .map((input, i) => instantiate(tangents[linearFrom + i] ?? null, input));
    return {
      outputs: emit(op, inputs, params),
      tangents: emit(op, [...inputs.slice(0, linearFrom), ...dense], params),
    };
  }
  return {
    outputs: emit(op, inputs, params),
    tangents: run(tangent, inputs.slice(residuals), tangents.slice(residuals)).tangents,
  };
};

export const controlRules = {
  scan,
  while: whileLoop,
  cond,
  remat,
  customJvp,
  customVjp,
  customTangent,
} as const;
