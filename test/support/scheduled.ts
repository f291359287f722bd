/**
 * Programs as plans, run on the host and compared with the interpreter; and programs written by hand with inputs for them.
 *
 * Consumed by tests of the scheduler.
 */
import { exactTensor, toExact, toStorage } from "../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../src/compiler/host-tensor.ts";
import { interpret } from "../../src/compiler/interpret/interpret.ts";
import { MINIMUM_LIMITS } from "../../src/compiler/kernel/plan.ts";
import type { Dispatch, Plan, Step, TargetLimits } from "../../src/compiler/kernel/plan.ts";
import { verifyPlan } from "../../src/compiler/kernel/verify-plan.ts";
import { schedule } from "../../src/compiler/schedule/schedule.ts";
import type { ScheduleOptions } from "../../src/compiler/schedule/schedule.ts";
import { sizeOf, typeOf } from "../../src/dsl/program/program.ts";
import type { Program, TensorType } from "../../src/dsl/program/program.ts";
import { traceFlat } from "../../src/dsl/trace/builder.ts";
import type { TracedTensor } from "../../src/dsl/trace/builder.ts";
import * as prim from "../../src/dsl/trace/prim.ts";
import type { DType } from "../../src/dsl/types/dtype.ts";
import { difference } from "./programs.ts";
import { runPlan } from "./run-plan.ts";

/** All steps of a plan, those of loops and branches included. */
export const stepsOf = (steps: readonly Step[]): readonly Step[] =>
  steps.flatMap((step): readonly Step[] => {
    switch (step.kind) {
      case "loop":
        return [step, ...stepsOf(step.steps)];
      case "while":
        return [step, ...stepsOf(step.condition), ...stepsOf(step.body)];
      case "branch":
        return [step, ...stepsOf(step.onTrue), ...stepsOf(step.onFalse)];
      default:
        return [step];
    }
  });

export const dispatchesOf = (plan: Plan): readonly Dispatch[] =>
  stepsOf(plan.steps).filter((step) => step.kind === "dispatch");

/** Copies, and kernels that do nothing but copy. */
export const copiesOf = (plan: Plan): readonly Step[] =>
  stepsOf(plan.steps).filter(
    (step) =>
      step.kind === "copy" || (step.kind === "dispatch" && ["copy", "concat"].includes(step.ops.join())),
  );

/** What GPUs have, and choices are made by. */
export const HARDWARE: TargetLimits = {
  ...MINIMUM_LIMITS,
  lanes: 1024,
  sharedBytes: 49152,
  subgroups: { min: 32, max: 32 },
};

/** What a plan gets wrong: against the limits of its target, or against the interpreter. */
export function problem(
  program: Program,
  inputs: readonly HostTensor[],
  options: ScheduleOptions,
  tolerance: number,
): string | undefined {
  const plan = schedule(program, options);
  verifyPlan(plan, options.limits ?? MINIMUM_LIMITS);
  const actual = runPlan(plan, inputs.map(toStorage), options.limits?.workgroups);
  const expected = interpret(program, inputs.map(toStorage)).map((tensor) => toExact(toStorage(tensor)));
  return difference(
    actual.map((tensor) => toExact(toStorage(tensor))),
    expected,
    tolerance,
  );
}

/** A program that the random ones do not come to, on inputs of its types. */
export function directed(
  body: (...inputs: readonly TracedTensor[]) => readonly TracedTensor[],
  types: readonly TensorType[],
): Program {
  return traceFlat(types, (inputs) => body(...inputs)).program;
}

export const vectors = (count: number, shape: readonly number[], dtype: DType = "f32"): TensorType[] =>
  Array.from({ length: count }, () => ({ shape, dtype }));

export const f32 = (...shape: readonly number[]): TensorType => ({ dtype: "f32", shape });

/** The product of two matrices. */
export const product = (x: TracedTensor, y: TracedTensor): TracedTensor =>
  prim.dot(x, y, { lhsBatch: [], rhsBatch: [], lhsContract: [1], rhsContract: [0] });

/** Small whole numbers, other ones in each tensor. */
export const counting = (types: readonly TensorType[]): HostTensor[] =>
  types.map(({ shape, dtype }, n) =>
    exactTensor(
      dtype,
      shape,
      Array.from({ length: sizeOf(shape) }, (_, i) => ((i * 7 + n * 3) % 11) - 4),
    ),
  );

/** Inputs for a program: small whole numbers. */
export const countingInputs = (program: Program): HostTensor[] =>
  counting(program.inputs.map((id) => typeOf(program, id)));
