/**
 * The table of lowering rules, and the lowering of a whole program. Consumed by `to-tfjs.ts`.
 * To add an op: a rule in its family's file and a line here; without it the table fails to compile.
 */
import { formatType, sizeOf, typeOf } from "../../../dsl/program/program.ts";
import type { AnyEquation, OpKind, Program, VarId } from "../../../dsl/program/program.ts";
import type { PlanBuilder } from "../builder.ts";
import { hasType } from "../value.ts";
import type { Value } from "../value.ts";
import {
  lowerAttention,
  lowerAttentionTangent,
  lowerAttentionTranspose,
  lowerCond,
  lowerCustomJvp,
  lowerCustomTangent,
  lowerCustomVjp,
  lowerRemat,
  lowerScan,
  lowerWhile,
} from "./control.ts";
import { lowerDot } from "./dot.ts";
import { ARITHMETIC, COMPARE, lowerCast, lowerSelect, lowerStopGradient, UNARY } from "./elementwise.ts";
import { lowerGather, lowerScatterAdd } from "./indexing.ts";
import { lowerArgmax, lowerCumsum, lowerReduceMax, lowerReduceSum, lowerSort } from "./reduction.ts";
import { onHost } from "./rule.ts";
import type { Lowering, LowerRule } from "./rule.ts";
import {
  lowerBroadcast,
  lowerConcat,
  lowerConstant,
  lowerIota,
  lowerPad,
  lowerReshape,
  lowerSlice,
  lowerTranspose,
} from "./structural.ts";

const RULES = {
  ...UNARY,
  ...ARITHMETIC,
  ...COMPARE,
  constant: lowerConstant,
  iota: lowerIota,
  select: lowerSelect,
  cast: lowerCast,
  broadcast: lowerBroadcast,
  reshape: lowerReshape,
  transpose: lowerTranspose,
  slice: lowerSlice,
  pad: lowerPad,
  concat: lowerConcat,
  gather: lowerGather,
  scatterAdd: lowerScatterAdd,
  reduceSum: lowerReduceSum,
  reduceMax: lowerReduceMax,
  cumsum: lowerCumsum,
  argmax: lowerArgmax,
  sort: lowerSort,
  dot: lowerDot,
  threefry: onHost("threefry"),
  stopGradient: lowerStopGradient,
  attention: lowerAttention,
  attentionTangent: lowerAttentionTangent,
  attentionTranspose: lowerAttentionTranspose,
  scan: lowerScan,
  cond: lowerCond,
  while: lowerWhile,
  remat: lowerRemat,
  customJvp: lowerCustomJvp,
  customVjp: lowerCustomVjp,
  customTangent: lowerCustomTangent,
} as const satisfies { [K in OpKind]: LowerRule<K> };

/** The variables on which a program's outputs depend. */
function liveVariables(program: Program): ReadonlySet<VarId> {
  const live = new Set(program.outputs);
  for (const equation of program.equations.toReversed()) {
    if (equation.outputs.some((id) => live.has(id))) for (const id of equation.inputs) live.add(id);
  }
  return live;
}

function lowerEquation(
  lowering: Lowering,
  equation: AnyEquation,
  inputs: readonly Value[],
): readonly Value[] {
  const { build, outputs } = lowering;
  if (outputs.length > 0 && outputs.every((type) => sizeOf(type.shape) === 0))
    return outputs.map((type) => build.empty(type));
  // The table pairs each kind with its own parameter type, and an equation holds its kind's parameters.
  const rule = RULES[equation.op] as unknown as LowerRule<OpKind>;
  const values = rule(lowering, inputs, equation.params);
  return outputs.map((type, i) => {
    const value = values[i];
    if (value === undefined || !hasType(value, type)) {
      throw new Error(
        `tfjs: ${equation.op} %${equation.outputs[i]} has type ${formatType(type)}, ` +
          `but lowers to ${value?.dtype}[${value?.shape.join()}].`,
      );
    }
    return sizeOf(type.shape) === 0 ? build.empty(type) : value;
  });
}

/** Adds the steps of `program` at the given inputs and returns its outputs. Equations that no output needs are left out. */
export function lowerProgram(
  build: PlanBuilder,
  program: Program,
  inputs: readonly Value[],
): readonly Value[] {
  const live = liveVariables(program);
  const values = new Map<VarId, Value>();
  // The caller gives one value per input.
  program.inputs.forEach((id, i) => values.set(id, inputs[i] as Value));
  const valueOf = (id: VarId): Value => {
    const value = values.get(id);
    if (value === undefined) throw new Error(`tfjs: the program uses %${id} before it is defined`);
    return value;
  };
  for (const equation of program.equations) {
    if (!equation.outputs.some((id) => live.has(id))) continue;
    const lowering: Lowering = {
      build,
      outputs: equation.outputs.map((id) => typeOf(program, id)),
      inline: (nested, operands, into = build) => lowerProgram(into, nested, operands),
    };
    const results = lowerEquation(lowering, equation, equation.inputs.map(valueOf));
    equation.outputs.forEach((id, i) => values.set(id, results[i] as Value)); // one result per output
  }
  return program.outputs.map(valueOf);
}
