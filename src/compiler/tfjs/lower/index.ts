/**
 * The table of lowering rules, and the lowering of a whole program. Consumed by `to-tfjs.ts`.
 * To add an op: a rule in its family's file and a line here; without it the table fails to compile.
 */
import { sameType } from "../../../dsl/program/program.ts";
import type { OpKind, Program } from "../../../dsl/program/program.ts";
import { lowerEquations } from "../../lowering.ts";
import type { Lowerer } from "../../lowering.ts";
import type { PlanBuilder } from "../builder.ts";
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

/** Adds the steps of `program` at the given inputs and returns its outputs. Equations that no output needs are left out. */
export function lowerProgram(
  build: PlanBuilder,
  program: Program,
  inputs: readonly Value[],
): readonly Value[] {
  const lowerer: Lowerer<Lowering, Value> = {
    target: "tfjs",
    rules: RULES,
    lowering: (_equation, { outputs }) => ({
      build,
      outputs,
      inline: (nested, operands, into = build) => lowerProgram(into, nested, operands),
    }),
    empty: (type) => build.empty(type),
    hasType: sameType,
    shown: (value) => `${value?.dtype}[${value?.shape.join()}]`,
  };
  return lowerEquations(lowerer, program, inputs);
}
