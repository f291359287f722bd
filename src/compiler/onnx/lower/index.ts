/**
 * The table of lowering rules, and the lowering of a whole program. Consumed by `to-onnx.ts`.
 * To add an op: a rule in its family's file and a line here; without it the table fails to compile.
 */
import type { OpKind, Program } from "../../../dsl/program/program.ts";
import { lowerEquations } from "../../lowering.ts";
import type { Lowerer } from "../../lowering.ts";
import type { Emitter } from "../emitter.ts";
import { hasType } from "../value.ts";
import type { Value } from "../value.ts";
import { absorbedMaxima } from "./absorbed.ts";
import { lowerAttention, lowerAttentionTangent, lowerAttentionTranspose } from "./attention.ts";
import {
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
import { lowerThreefry } from "./random.ts";
import { lowerArgmax, lowerCumsum, lowerReduceMax, lowerReduceSum, lowerSort } from "./reduction.ts";
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
  threefry: lowerThreefry,
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

/**
 * Emits the nodes of `program` at the given inputs and returns its outputs. Equations that no output needs
 * are left out.
 */
export function lowerProgram(emit: Emitter, program: Program, inputs: readonly Value[]): readonly Value[] {
  const absorbed = absorbedMaxima(program);
  const lowerer: Lowerer<Lowering, Value> = {
    target: "onnx",
    rules: RULES,
    lowering(equation, wanted) {
      emit.origin = `${equation.op} %${equation.outputs[0]}`;
      return {
        emit,
        ...wanted,
        nanAbsorbed: equation.outputs.every((id) => absorbed.has(id)),
        inline: (nested, operands, into = emit) => lowerProgram(into, nested, operands),
      };
    },
    empty: (type) => emit.empty(type),
    hasType,
    shown: (value) => `shape [${value?.shape.join()}]`,
  };
  return lowerEquations(lowerer, program, inputs);
}
