/**
 * The table of all ops. Consumed by the verifier and the tracer. To add an op: parameters in `program.ts`, an entry in one of
 * the family files, a line here; the compiler then names every rule table that misses a rule.
 */
import type { AnyEquation, OpKind, TensorType } from "../program/program.ts";
import { ATTENTION, ATTENTION_TANGENT, ATTENTION_TRANSPOSE } from "./attention.ts";
import { COND, CUSTOM_JVP, CUSTOM_TANGENT, CUSTOM_VJP, REMAT, SCAN, WHILE } from "./control.ts";
import type { OpDefinition } from "./definition.ts";
import { ARITHMETIC, CAST, COMPARE, SELECT, STOP_GRADIENT, THREEFRY, UNARY } from "./elementwise.ts";
import { ARGMAX, CUMSUM, DOT, REDUCE_MAX, REDUCE_SUM, SORT } from "./reduction.ts";
import {
  BROADCAST,
  CONCAT,
  CONSTANT,
  GATHER,
  IOTA,
  PAD,
  RESHAPE,
  SCATTER_ADD,
  SLICE,
  TRANSPOSE,
} from "./structural.ts";

export const OPS = {
  ...UNARY,
  ...ARITHMETIC,
  ...COMPARE,
  constant: CONSTANT,
  iota: IOTA,
  select: SELECT,
  cast: CAST,
  broadcast: BROADCAST,
  reshape: RESHAPE,
  transpose: TRANSPOSE,
  slice: SLICE,
  pad: PAD,
  concat: CONCAT,
  gather: GATHER,
  scatterAdd: SCATTER_ADD,
  reduceSum: REDUCE_SUM,
  reduceMax: REDUCE_MAX,
  cumsum: CUMSUM,
  argmax: ARGMAX,
  sort: SORT,
  dot: DOT,
  threefry: THREEFRY,
  stopGradient: STOP_GRADIENT,
  attention: ATTENTION,
  attentionTangent: ATTENTION_TANGENT,
  attentionTranspose: ATTENTION_TRANSPOSE,
  scan: SCAN,
  cond: COND,
  while: WHILE,
  remat: REMAT,
  customJvp: CUSTOM_JVP,
  customVjp: CUSTOM_VJP,
  customTangent: CUSTOM_TANGENT,
} as const satisfies { [K in OpKind]: OpDefinition<K> };

/** Output types of an equation. @throws OpError when its inputs or parameters break the op's rule. */
export function inferTypes(
  op: OpKind,
  inputs: readonly TensorType[],
  params: AnyEquation["params"],
): readonly TensorType[] {
  // The table pairs each kind with its own parameter type; the pair is checked where equations are built.
  const definition = OPS[op] as unknown as OpDefinition<OpKind>;
  return definition.infer(inputs, params);
}
