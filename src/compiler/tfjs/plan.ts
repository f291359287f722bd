/**
 * A program as calls of TensorFlow.js kernels: plain data, made by `lower.ts` and carried out by src/runtime/tfjs. Slots are numbers that
 * stand for tensors while a plan runs; each is written once in a run of its block, and `releases` says when it is needed no more.
 *
 * How values lie: f32 and f16 as float32 (f16 is rounded where it is read, as the interpreter does not round in between), i32 as
 * int32, u32 as int32 of the same bits, bool as bool.
 *
 * To add a kind of step: a case in `Step`, its slots in `releases.ts`, and its execution in src/runtime/tfjs/execute.ts.
 */
import type { Program, TensorType } from "../../dsl/program/program.ts";
import type { DType } from "../../dsl/types/dtype.ts";

/** An index into the tensors of a run. */
export type Slot = number;

/** The element types of TensorFlow.js that are used. */
export type Storage = "float32" | "int32" | "bool";

const STORAGE: { readonly [D in DType]: Storage } = {
  f32: "float32",
  f16: "float32",
  i32: "int32",
  u32: "int32",
  bool: "bool",
};

/** How a dtype lies in TensorFlow.js. */
export const storageOf = (dtype: DType): Storage => STORAGE[dtype];

/** Attributes of a kernel, as TensorFlow.js names them. */
export type Attributes = Readonly<
  Record<string, number | boolean | string | readonly number[] | readonly (readonly number[])[]>
>;

/** What `_FusedMatMul` can do after the sum. */
export type Activation = "relu" | "sigmoid";

/** What a backend is not asked for, because it computes it otherwise than the language defines it. */
export interface Target {
  /** Integers go through floating point there, so they stay on the host, where the cpu backend's kernels compute with them. */
  readonly integers?: "cpu";
  /** Kernels of floats that are coarse or wrong there: those of the cpu backend are called instead. */
  readonly avoided?: readonly string[];
  /** A bool that is cast to floats is called so there, its data stays as it was, and some kernels look at the data. */
  readonly castsByName?: true;
  /** Kernels that take no bool there: those of the cpu backend are called instead. */
  readonly boolless?: readonly string[];
  /** What `_FusedMatMul` computes otherwise there: the bias of more than one product in a batch, or an activation. */
  readonly unfused?: readonly ("batches" | Activation)[];
  /** Kernels take no more axes there. */
  readonly mostAxes?: number;
  /** The quotient of equals is 1 there, also of zeros and infinities. */
  readonly equalsDivideToOne?: true;
  /** The logarithm of zero is finite there. */
  readonly zeroHasLogarithm?: true;
}

/** `output = kernel(inputs; attributes)`. Concat alone takes a list, the others take inputs by name. */
export interface CallStep {
  readonly kind: "call";
  readonly kernel: string;
  readonly inputs: Readonly<Record<string, Slot>> | readonly Slot[];
  readonly attributes: Attributes;
  readonly output: Slot;
  /** The kernel is the cpu backend's. Operands in `copied` lie elsewhere and are copied to it; the others are there. */
  readonly cpu?: { readonly copied: readonly Slot[] };
}

/** What no kernel computes exactly: a small program, carried out by the interpreter on values that are read from the backend. */
export interface HostStep {
  readonly kind: "host";
  readonly program: Program;
  readonly inputs: readonly Slot[];
  readonly outputs: readonly Slot[];
}

/** Steps with the values that they start from and give. */
export interface Block {
  /** Filled by whoever runs the block. */
  readonly inputs: readonly Slot[];
  readonly steps: readonly Step[];
  /** All different, and made by the block or owned by it. */
  readonly outputs: readonly Slot[];
  /** Slots to dispose of: `releases[0]` before the first step, `releases[i + 1]` after step i. */
  readonly releases: readonly (readonly Slot[])[];
}

/** The body's inputs are the carried values, then a slice of each of `scanned`; what it reads beyond that are slots of outer blocks. */
export interface ScanStep {
  readonly kind: "scan";
  readonly length: number;
  readonly reverse: boolean;
  readonly carried: readonly Slot[];
  readonly scanned: readonly { readonly slot: Slot; readonly type: TensorType }[];
  readonly body: Block;
  readonly outputs: readonly Slot[];
  /** Types of the stacked outputs, those after the carried ones. */
  readonly stacked: readonly TensorType[];
}

export interface CondStep {
  readonly kind: "cond";
  readonly predicate: Slot;
  readonly onTrue: Block;
  readonly onFalse: Block;
  readonly outputs: readonly Slot[];
}

/** The inputs of both blocks are the carried values, which `condition` leaves alone and `body` consumes. */
export interface WhileStep {
  readonly kind: "while";
  readonly carried: readonly Slot[];
  readonly condition: Block;
  readonly body: Block;
  readonly outputs: readonly Slot[];
}

export type Step = CallStep | HostStep | ScanStep | CondStep | WhileStep;

/** A tensor that is the same in every run: all elements equal, or as listed. u32 as int32. */
export interface Constant {
  readonly slot: Slot;
  readonly storage: Storage;
  readonly shape: readonly number[];
  readonly values: number | readonly number[];
}

/** A lowered program. The inputs belong to the caller, the outputs become the caller's. */
export interface Plan {
  readonly constants: readonly Constant[];
  readonly main: Block;
  /** Slots are the numbers below this. */
  readonly slots: number;
  /** Names of all kernels that are called on the plan's own backend. */
  readonly kernels: readonly string[];
  readonly target: Target;
}
