/**
 * A plan: what a device does to run a program. Buffers, and steps that dispatch kernels on them, in order. Plain data, of no target.
 *
 * Consumed by runtimes, which record it once and run it many times, and by `explain`. Made by `compiler/schedule`.
 */
import type { TensorType } from "../../dsl/program/program.ts";
import type { HostTensor } from "../host-tensor.ts";
import type { FragmentElement, Kernel } from "./ir.ts";

/** Index into `Plan.buffers`. */
export type BufferId = number;

/** Where a buffer's contents come from, or go. */
export type Role =
  /** `written`: the run overwrites it, since an output takes its place. The caller must have donated it. */
  | { readonly kind: "input"; readonly position: number; readonly written?: true }
  /** Filled once, before the first run. */
  | { readonly kind: "constant"; readonly value: HostTensor }
  /** Handed to the caller. A buffer serves one output; `Plan.outputs` may name it, an input or a constant. */
  | { readonly kind: "output" }
  /** Contents last within one run; the memory plan gives it its place. */
  | { readonly kind: "temporary" };

export interface PlanBuffer {
  readonly type: TensorType;
  readonly role: Role;
}

/** A parameter of a dispatch: a number known now, or the iteration of the enclosing loop of that depth (0 is the outermost). */
export type Param = number | { readonly loop: number };

/** A range of a buffer's elements. */
export interface Part {
  /** A multiple of the target's alignment. */
  readonly offset: number;
  readonly size: number;
}

export interface Dispatch {
  readonly kind: "dispatch";
  readonly kernel: Kernel;
  /** One buffer for each of the kernel's. A buffer may appear more than once if the kernel only reads it. */
  readonly buffers: readonly BufferId[];
  /** For each of the buffers the part that is bound, where the kernel's element 0 is the part's first; undefined: the whole. */
  readonly parts?: readonly (Part | undefined)[] | undefined;
  readonly params: readonly Param[];
  /** Number of workgroups, any: a device lays more than it allows in one dimension out in two. */
  readonly workgroups: number;
  /** How many elements of each of the buffers it may touch, where it is known not to be all: for `explain`. */
  readonly touched?: readonly (number | undefined)[] | undefined;
  /** Floating-point operations and bytes moved, estimated: for `explain`. */
  readonly flops: number;
  readonly bytes: number;
  /** Ops that it computes, and the user's line of the last, where known: for `explain` and messages. */
  readonly ops: readonly string[];
  readonly site?: string | undefined;
}

/** Runs its steps `length` times. */
export interface Loop {
  readonly kind: "loop";
  readonly length: number;
  readonly steps: readonly Step[];
  /**
   * Pairs of buffers that exchange their places after each iteration, so that what one iteration writes into the second is what the next
   * one reads from the first, without a copy. If the number of iterations is odd they do so before the first one as well: afterwards
   * every buffer is in its own place, and the last result in the first of a pair. So what enters the loop is written to {@link entered}.
   */
  readonly swaps?: readonly Swap[] | undefined;
}

export type Swap = readonly [carried: BufferId, next: BufferId];

/** Where what enters a loop in the first buffer of a pair must be before it. */
export const entered = (length: number, [carried, next]: Swap): BufferId =>
  length % 2 === 1 ? next : carried;

/** Runs `condition`, reads the bool in `flag`, and while it is 1 runs `body` and starts over. The host decides. */
export interface While {
  readonly kind: "while";
  readonly condition: readonly Step[];
  readonly flag: BufferId;
  readonly body: readonly Step[];
}

/** Reads the bool in `flag` and runs one of two lists. The host decides. */
export interface Branch {
  readonly kind: "branch";
  readonly flag: BufferId;
  readonly onTrue: readonly Step[];
  readonly onFalse: readonly Step[];
}

/** Copies a whole buffer to another of the same dtype and number of elements. */
export interface Copy {
  readonly kind: "copy";
  readonly from: BufferId;
  readonly to: BufferId;
}

export type Step = Dispatch | Loop | While | Branch | Copy;

export interface Plan {
  readonly buffers: readonly PlanBuffer[];
  readonly steps: readonly Step[];
  /** The buffer of each program input. */
  readonly inputs: readonly BufferId[];
  /** The buffer of each program output: an output buffer, an input or constant that is passed on, or an input that it replaces. */
  readonly outputs: readonly BufferId[];
}

/** Fragments that a subgroup multiplies: rows × inner by inner × columns, both of `element`, added to sums of `accumulator`. */
export interface MatrixShape {
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  readonly element: FragmentElement;
  readonly accumulator: FragmentElement;
}

/** What a target allows. The scheduler makes kernels within it. */
export interface TargetLimits {
  /** Storage buffers of one kernel. */
  readonly buffers: number;
  /** Lanes of a workgroup. */
  readonly lanes: number;
  /** Bytes of a workgroup's shared arrays. */
  readonly sharedBytes: number;
  /** Workgroups in one dimension. A device lays more of them out in two, and then a few more may run than a dispatch has. */
  readonly workgroups: number;
  /** A kernel may be given a part of a buffer that begins at a multiple of so many elements, whatever their dtype. */
  readonly alignment: number;
  /** It computes on a CPU: workgroup memory is no faster than any other, and a few workgroups keep it busy. Default false. */
  readonly software?: boolean;
  /** f16 is stored as such, also in workgroup memory. Default false. */
  readonly f16?: boolean;
  /** Least and largest number of lanes in a subgroup; undefined where lanes cannot exchange values but through memory. */
  readonly subgroups?: { readonly min: number; readonly max: number } | undefined;
  /** What subgroups multiply as fragments, those that the target prefers first. Default none. */
  readonly matrices?: readonly MatrixShape[] | undefined;
}

/** The least that any WebGPU adapter offers. */
export const MINIMUM_LIMITS: TargetLimits = {
  buffers: 8,
  lanes: 256,
  sharedBytes: 16384,
  workgroups: 65535,
  alignment: 128,
};
