/**
 * Transpose rules of the ops that hold programs. A linear scan is transposed into a scan in the other direction, which
 * carries the cotangents of the carry and accumulates those of the linear consts.
 */
import { inputTypes } from "../program/program.ts";
import type { Program, TensorType } from "../program/program.ts";
import { emit, traceFlat } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import { isDifferentiable } from "./jvp.ts";
import type { Cotangent, RunTranspose, TransposeRule } from "./transpose.ts";

type T = TracedTensor;

const zip = <A, B>(as: readonly A[], bs: readonly B[]): readonly (readonly [A, B])[] =>
  as.map((a, i) => [a, bs[i] as B]);
const dense = (cotangents: readonly Cotangent[], types: readonly TensorType[]): readonly T[] =>
  types.map((type, i) => cotangents[i] ?? prim.zeros(type));

/** The transposed program as a program of (values of the other inputs, output cotangents) -> cotangents of the linear inputs. */
function transposed(
  run: RunTranspose,
  body: Program,
  linear: readonly boolean[],
  values: readonly T[],
  cotangents: readonly Cotangent[],
): readonly T[] {
  let next = 0;
  const inputs = linear.map((is) => (is ? null : (values[next++] as T)));
  const found = run(body, inputs, cotangents);
  return inputTypes(body).flatMap((type, i) => (linear[i] === true ? [found[i] ?? prim.zeros(type)] : []));
}

/** Puts the dense cotangents of the linear inputs at their positions. */
function scatter(
  linear: readonly boolean[],
  found: readonly T[],
  types: readonly TensorType[],
): readonly Cotangent[] {
  let next = 0;
  return linear.map((is, i) => {
    if (!is) return null;
    const cotangent = found[next++] as T;
    return isDifferentiable(types[i] as TensorType) ? cotangent : null;
  });
}

const scan: TransposeRule<"scan"> = ({ params, inputs, inputTypes: types, outputTypes, cotangents, run }) => {
  const { body, length, consts, carry, reverse } = params;
  const split = consts + carry;
  // The carry is linear even where its initial value is a known zero.
  const linear = inputs.map((input, i) => input === null || (i >= consts && i < split));
  const bodyTypes = inputTypes(body);
  const part = <X>(list: readonly X[], from: number, to: number, is: boolean): readonly X[] =>
    list.filter((_, i) => i >= from && i < to && linear[i] === is);
  const residualConsts = part(inputs, 0, consts, false) as readonly T[];
  const residualXs = part(inputs, split, inputs.length, false) as readonly T[];
  const linearConstTypes = part(bodyTypes, 0, consts, true);
  const carryTypes = bodyTypes.slice(consts, split);
  const yTypes = outputTypes
    .slice(carry)
    .map(({ shape, dtype }): TensorType => ({ shape: shape.slice(1), dtype }));
  // Cotangents of ys that are zero are not scanned over.
  const ctYs = cotangents.slice(carry);
  const presentYs = ctYs.filter((cotangent) => cotangent !== null);

  // Body: (residual consts, const accumulators, carry cotangents, residual xs, y cotangents) -> (accumulators, carry cotangents, x cotangents)
  const bodyInputs = [
    ...residualConsts,
    ...linearConstTypes,
    ...carryTypes,
    ...part(bodyTypes, split, inputs.length, false),
    ...yTypes.filter((_, i) => ctYs[i] !== null && ctYs[i] !== undefined),
  ];
  const { program: reversed } = traceFlat(bodyInputs, (values) => {
    let at = 0;
    const take = (n: number): readonly T[] => values.slice(at, (at += n));
    const consts_ = take(residualConsts.length);
    const accumulators = take(linearConstTypes.length);
    const ctCarry = take(carryTypes.length);
    const xs = take(residualXs.length);
    const ctPresent = [...take(presentYs.length)];
    const ctY = ctYs.map((cotangent) => (cotangent === null ? null : (ctPresent.shift() as T)));
    const found = transposed(run, body, linear, [...consts_, ...xs], [...ctCarry, ...ctY]);
    const ofConsts = found.slice(0, linearConstTypes.length);
    const rest = found.slice(linearConstTypes.length);
    return [...zip(accumulators, ofConsts).map(([sum, term]) => prim.add(sum, term)), ...rest];
  });
  const initial = [...linearConstTypes.map(prim.zeros), ...dense(cotangents.slice(0, carry), carryTypes)];
  const outputs = emit("scan", [...residualConsts, ...initial, ...residualXs, ...presentYs], {
    body: reversed,
    length,
    consts: residualConsts.length,
    carry: initial.length,
    reverse: !reverse,
  });
  return scatter(linear, outputs, types);
};

const cond: TransposeRule<"cond"> = ({ params, inputs, inputTypes: types, outputTypes, cotangents, run }) => {
  const [predicate, ...operands] = inputs;
  const linear = operands.map((operand) => operand === null);
  const residuals = operands.filter((operand) => operand !== null);
  const cts = dense(cotangents, outputTypes);
  const [onTrue, onFalse] = [params.onTrue, params.onFalse].map(
    (branch) =>
      traceFlat([...residuals, ...cts], (values) =>
        transposed(run, branch, linear, values.slice(0, residuals.length), values.slice(residuals.length)),
      ).program,
  ) as [Program, Program];
  const outputs = emit("cond", [predicate as T, ...residuals, ...cts], { onTrue, onFalse });
  return [null, ...scatter(linear, outputs, types.slice(1))];
};

const remat: TransposeRule<"remat"> = ({ params, inputs, inputTypes: types, cotangents, run }) => {
  const linear = inputs.map((input) => input === null);
  const residuals = inputs.filter((input) => input !== null);
  const presentCts = cotangents.filter((cotangent) => cotangent !== null);
  const { program: body } = traceFlat([...residuals, ...presentCts], (values) => {
    const rest = values.slice(residuals.length);
    let next = 0;
    const cts = cotangents.map((cotangent) => (cotangent === null ? null : (rest[next++] as T)));
    return transposed(run, params.body, linear, values.slice(0, residuals.length), cts);
  });
  const outputs = emit("remat", [...residuals, ...presentCts], { body, policy: params.policy });
  return scatter(linear, outputs, types);
};

/** The user's backward rule. */
const customTangent: TransposeRule<"customTangent"> = ({
  params,
  inputs,
  inputTypes: types,
  outputTypes,
  cotangents,
}) => {
  const linearFrom = params.residuals + params.primals;
  const found = prim.replay(params.backward, [
    ...(inputs.slice(0, params.residuals) as readonly T[]),
    ...dense(cotangents, outputTypes),
  ]);
  return types.map((type, i) =>
    i >= linearFrom && isDifferentiable(type) ? (found[i - linearFrom] as T) : null,
  );
};

export const transposeControlRules = {
  scan,
  cond,
  while: null,
  remat,
  customJvp: null,
  customVjp: null,
  customTangent,
} as const;
