/**
 * Ops that have kernels of their own and fuse with nothing: prefix sums, sorting, scattering, attention. A routine takes its operands
 * from buffers and leaves its results in buffers, in one or several dispatches.
 *
 * Consumed by the scheduler. To add one: a file here that exports a `RoutineRule`, a line in `index.ts`.
 */
import type { OpKind, OpParams, TensorType } from "../../../dsl/program/program.ts";
import type { Kernel } from "../../kernel/ir.ts";
import type { TargetLimits } from "../../kernel/plan.ts";

/** A buffer of a routine: an operand of the op, a result, or a temporary of its own. */
export type RoutineBuffer =
  | { readonly input: number }
  | { readonly output: number }
  | { readonly temporary: number };

/** One dispatch of a routine, in order. */
export interface Stage {
  readonly kernel: Kernel;
  /** One for each of the kernel's buffers. */
  readonly buffers: readonly RoutineBuffer[];
  readonly params: readonly number[];
  readonly workgroups: number;
  readonly flops: number;
}

export interface Routine {
  readonly temporaries: readonly TensorType[];
  readonly stages: readonly Stage[];
}

/** How an op is computed for these types. Sizes may be anything legal but zero: nothing is dispatched for an empty result. */
export type RoutineRule<K extends OpKind> = (
  inputs: readonly TensorType[],
  params: OpParams[K],
  outputs: readonly TensorType[],
  limits: TargetLimits,
) => Routine;
