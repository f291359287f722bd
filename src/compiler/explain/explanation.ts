/**
 * What there is to know about a plan before it runs, as plain data: its dispatches and what each does and moves, the distinct pipelines,
 * what fusion saved, loops, and where the temporaries lie. JSON as it stands; `version` changes when a field changes its meaning or goes.
 *
 * Made by `explain`; consumed by `fluxion explain` (text, JSON, page) and by tests that hold a plan to something, for instance that
 * there is no temporary of a certain shape. To show something new: a field here, filled in `explain.ts`.
 *
 * Costs are estimates by a simple rule. FLOPs are those of the ops as they are defined (see `costOf`), inlined ones included once per
 * kernel. Bytes count every tensor that a kernel uses once, whole, whatever caches save and whatever a gather leaves out; of a buffer
 * that a loop goes through, each iteration counts its own part.
 */
import type { DType } from "../../dsl/types/dtype.ts";
import type { BufferId, Role } from "../kernel/plan.ts";

export interface ExplainedType {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** A buffer as a dispatch binds it. */
export interface BoundBuffer extends ExplainedType {
  readonly buffer: BufferId;
  readonly role: Role["kind"];
  /** The program's input or output of that buffer, where it is one and has a name. */
  readonly name: string | null;
  readonly access: "read" | "write" | "readWrite";
  /** Bytes that one dispatch reads or writes of it. */
  readonly bytes: number;
}

/** What a step costs in one run of the plan, all its own runs together. */
export interface Cost {
  readonly flops: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** One of the plan's dispatches. */
export interface ExplainedDispatch extends Cost {
  /** Its place among the dispatches. */
  readonly index: number;
  /** Its place among all steps: dispatches, copies, and flags that the host reads. */
  readonly position: number;
  /** Of the kernel, for people. */
  readonly name: string;
  /** The ops that it computes: how many is how much was fused. */
  readonly ops: readonly string[];
  /** `file:line:column` of the program's line that its last op comes from. */
  readonly site: string | null;
  readonly workgroups: number;
  readonly lanes: number;
  /** Bytes that the lanes of a workgroup share. */
  readonly sharedBytes: number;
  /** Times that it runs in one run of the plan; the body of a `while` counts once. */
  readonly runs: number;
  /** Index of its pipeline. */
  readonly pipeline: number;
  readonly buffers: readonly BoundBuffer[];
  /** Time on a GPU, of all its runs in one run of the plan; null where it was not measured. */
  readonly nanoseconds: number | null;
}

/** A whole buffer copied to another. */
export interface ExplainedCopy extends ExplainedType, Cost {
  readonly position: number;
  readonly from: BufferId;
  readonly to: BufferId;
  readonly runs: number;
}

/** Dispatches that share one text of code, and so one pipeline. */
export interface ExplainedPipeline {
  /** The kernel's name in the first of them. */
  readonly name: string;
  /** Indices of the dispatches. */
  readonly dispatches: readonly number[];
  readonly code: string;
}

/** Steps that may run more than once, or not at all. */
export interface ExplainedControl {
  readonly kind: "loop" | "while" | "branch";
  /** Iterations of a loop. */
  readonly length: number | null;
  /** Number of loops, whiles and branches around it. */
  readonly depth: number;
  /** Positions of its first and last step. */
  readonly first: number;
  readonly last: number;
}

export interface ExplainedTemporary extends ExplainedType {
  readonly buffer: BufferId;
  /** Bytes on the target. */
  readonly bytes: number;
  /** Where it lies; null where no step touches it. */
  readonly slot: number | null;
  /** Positions of the first and last step that need its contents. */
  readonly first: number;
  readonly last: number;
}

/** An output that takes the place of a donated input: one buffer for both. */
export interface ExplainedReplacement {
  readonly buffer: BufferId;
  /** Positions among the program's inputs and outputs, and names where they have one. */
  readonly input: { readonly position: number; readonly name: string | null };
  readonly output: { readonly position: number; readonly name: string | null };
  readonly bytes: number;
}

export interface ExplainedMemory {
  /** The largest first. */
  readonly slots: readonly {
    readonly bytes: number;
    /** Buffers of the temporaries that share it, in the order in which they are alive. */
    readonly temporaries: readonly BufferId[];
  }[];
  /** Bytes of all slots. */
  readonly peakBytes: number;
  /** The most bytes alive at one step: no plan of this order needs less. */
  readonly lowerBoundBytes: number;
  /** Bytes of all temporaries, if none shared its place with another. */
  readonly unsharedBytes: number;
  readonly inputBytes: number;
  /** Without the outputs that take the place of inputs. */
  readonly outputBytes: number;
  /** Outputs that take the place of donated inputs. */
  readonly inPlace: readonly ExplainedReplacement[];
  readonly constantBytes: number;
}

export interface ExplainedFusion {
  readonly on: boolean;
  /** Equations of the program, those of nested programs included once; null where the program was not given. */
  readonly equations: number | null;
  /** Dispatches of the plan without fusion; null where that was not given. */
  readonly unfusedDispatches: number | null;
  /** How many dispatches compute how many ops, by rising number of ops. */
  readonly regions: readonly { readonly ops: number; readonly dispatches: number }[];
}

/** Sums over the dispatches and copies. */
export interface Totals extends Cost {
  readonly dispatches: number;
  /** With the iterations of loops. */
  readonly dispatchesPerRun: number;
  readonly copies: number;
  readonly pipelines: number;
  /** Of all dispatches; null where they were not measured. */
  readonly nanoseconds: number | null;
}

export interface Explanation {
  readonly version: 1;
  readonly totals: Totals;
  readonly fusion: ExplainedFusion;
  readonly dispatches: readonly ExplainedDispatch[];
  readonly copies: readonly ExplainedCopy[];
  readonly pipelines: readonly ExplainedPipeline[];
  readonly control: readonly ExplainedControl[];
  readonly memory: ExplainedMemory;
  readonly temporaries: readonly ExplainedTemporary[];
}
