/**
 * Attention, its tangent and its transpose alone, on operands that look random, against the interpreter. Consumed by the tests of its
 * routines.
 */
import { expect } from "vitest";
import { exactTensor, toExact, toStorage } from "../../src/compiler/host-tensor.ts";
import type { ExactTensor, HostTensor } from "../../src/compiler/host-tensor.ts";
import { interpret } from "../../src/compiler/interpret/interpret.ts";
import { MINIMUM_LIMITS } from "../../src/compiler/kernel/plan.ts";
import type { TargetLimits } from "../../src/compiler/kernel/plan.ts";
import { ROUTINES } from "../../src/compiler/schedule/routines/index.ts";
import type { Routine, RoutineRule } from "../../src/compiler/schedule/routines/routine.ts";
import { outputTypes, sizeOf } from "../../src/dsl/program/program.ts";
import type { AttentionParams, Program, TensorType } from "../../src/dsl/program/program.ts";
import type { DType } from "../../src/dsl/types/dtype.ts";
import { difference, program } from "./programs.ts";
import { planOf } from "./stage-plan.ts";
import type { RunPlan } from "./stage-plan.ts";

export const OPS = ["attention", "attentionTangent", "attentionTranspose"] as const;
export type Op = (typeof OPS)[number];

export interface Case extends AttentionParams {
  readonly batch: readonly number[];
  readonly queries: number;
  readonly keys: number;
  readonly depth: number;
  readonly width: number;
  readonly dtype: DType;
}

export const PLAIN = { scale: 0.4, softcap: 0, causal: false } as const;
/** The same with what the case says, in short. */
export const named = (cases: readonly Partial<Case>[]): readonly (readonly [string, Case])[] =>
  cases.map((given) => {
    const all: Case = {
      batch: [2],
      queries: 9,
      keys: 9,
      depth: 4,
      width: 4,
      dtype: "f32",
      ...PLAIN,
      ...given,
    };
    const { batch, queries, keys, depth, width, softcap, causal, dtype } = all;
    const modifiers = [softcap > 0 ? " softcap" : "", causal ? " causal" : "", dtype === "f16" ? " f16" : ""];
    return [`${queries} × ${keys} of ${depth}, ${width} [${batch.join()}]${modifiers.join("")}`, all];
  });

/** Types of (q, k, v, o, lse). */
export function typesOf({ batch, queries, keys, depth, width, dtype }: Case): readonly TensorType[] {
  const rows = [[queries, depth], [keys, depth], [keys, width], [queries, width], [queries]]; // prettier-ignore
  return rows.map((shape) => ({ dtype, shape: [...batch, ...shape] }));
}

/** Numbers in (-1, 1) that look random. */
export function noise(type: TensorType, seed: number): ExactTensor {
  const numbers = Array.from({ length: sizeOf(type.shape) }, (_, i) => {
    let x = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
    x = Math.imul(x ^ (x >>> 12), 0x297a2d39);
    return (x ^ (x >>> 15)) / 2 ** 31;
  });
  return toExact(toStorage(exactTensor(type.dtype, type.shape, numbers)));
}

export const params = ({ scale, softcap, causal }: Case): AttentionParams => ({ scale, softcap, causal });
export const one = (op: Op, types: readonly TensorType[], c: Case): Program =>
  program(types, (w, ...ids) => w.all(op, ids, params(c)));
export const stored = (tensors: readonly HostTensor[]): ExactTensor[] =>
  tensors.map((tensor) => toExact(toStorage(tensor)));

/** Operands of an op: o and lse are those of attention on the others. */
export function operandsOf(op: Op, c: Case): readonly ExactTensor[] {
  const types = typesOf(c);
  const qkv = types.slice(0, 3).map((type, i) => noise(type, i));
  if (op === "attention") return qkv;
  const outputs = stored(interpret(one("attention", types.slice(0, 3), c), qkv));
  const linear = op === "attentionTangent" ? types.slice(0, 3) : types.slice(3);
  return [...qkv, ...outputs, ...linear.map((type, i) => noise(type, 10 + i))];
}

export const routineOf = (op: Op, types: readonly TensorType[], c: Case, limits: TargetLimits): Routine =>
  (ROUTINES[op] as RoutineRule<Op>)(types, params(c), outputTypes(one(op, types, c)), limits);

export async function compare(
  run: RunPlan,
  op: Op,
  c: Case,
  tolerance = 2e-5,
  limits = MINIMUM_LIMITS,
): Promise<void> {
  const inputs = operandsOf(op, c);
  const types = inputs.map(({ shape, dtype }) => ({ shape, dtype }));
  const routine = routineOf(op, types, c, limits);
  const plan = planOf(routine, types, outputTypes(one(op, types, c)));
  const actual = stored(await run(plan, inputs));
  expect(difference(actual, stored(expectedOf(op, c, inputs, routine)), tolerance)).toBeUndefined();
}

/**
 * What a routine gives on its operands. The interpreter computes o anew, and so do some routines; others use the o that they are given,
 * in ō·o and in (the tangent of lse)·o. In f16 that o is rounded, and large factors make much of it: then the exact effect of the
 * difference is part of what is expected.
 */
export function expectedOf(
  op: Op,
  c: Case,
  inputs: readonly ExactTensor[],
  { stages }: Routine,
): readonly HostTensor[] {
  const alone = one(op, TYPES[op](c), c);
  const usesO = stages.some(({ buffers }) =>
    buffers.some((buffer) => "input" in buffer && buffer.input === 3),
  );
  if (op === "attention" || !usesO) return interpret(alone, inputs);
  const [exact] = interpret(one("attention", TYPES.attention(c), c), inputs.slice(0, 3)) as [ExactTensor];
  const rounded = (inputs[3] as ExactTensor).data;
  const lost = Array.from(exact.data, (x, i) => x - (rounded[i] as number));
  const mapped = (tensor: ExactTensor, value: (x: number, i: number) => number): ExactTensor => ({
    ...tensor,
    data: Float64Array.from(tensor.data, value),
  });
  if (op === "attentionTangent") {
    const [tangent, ofLse] = interpret(alone, inputs) as [ExactTensor, ExactTensor];
    const slopes = ofLse.data;
    return [
      mapped(tangent, (x, i) => x + (slopes[Math.floor(i / c.width)] as number) * (lost[i] as number)),
      ofLse,
    ];
  }
  const [ctO, ctLse] = inputs.slice(5) as [ExactTensor, ExactTensor];
  const moved = mapped(ctLse, (x, row) =>
    lost
      .slice(row * c.width, (row + 1) * c.width)
      .reduce((sum, part, j) => sum + part * (ctO.data[row * c.width + j] as number), x),
  );
  return interpret(alone, [...inputs.slice(0, 5), ctO, moved]);
}

export const MODIFIERS = [
  PLAIN,
  { scale: 0.7, softcap: 0, causal: true },
  { scale: -1.5, softcap: 1.2, causal: false },
  { scale: 2, softcap: 0.8, causal: true },
];

/** Kernels compute in f32, so all that may differ is to which of two neighbours a result is rounded: 2^-10 of it. */
export const TO_NEIGHBOUR = 1.1e-3;

export const typesOfTangent = (c: Case): readonly TensorType[] => {
  const [q, k, v, o, lse] = typesOf(c) as [TensorType, TensorType, TensorType, TensorType, TensorType];
  return [q, k, v, o, lse, q, k, v];
};
export const typesOfTranspose = (c: Case): readonly TensorType[] => {
  const [q, k, v, o, lse] = typesOf(c) as [TensorType, TensorType, TensorType, TensorType, TensorType];
  return [q, k, v, o, lse, o, lse];
};
export const TYPES: Readonly<Record<Op, (c: Case) => readonly TensorType[]>> = {
  attention: (c) => typesOf(c).slice(0, 3),
  attentionTangent: typesOfTangent,
  attentionTranspose: typesOfTranspose,
};
