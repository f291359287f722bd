/**
 * What a lowering rule is given and returns. One rule per op kind turns an equation into ONNX nodes; the
 * table in `index.ts` joins the families.
 *
 * Consumed by every file of this folder. To add a rule: an entry in its family's file, a line in `index.ts`.
 */
import type { OpKind, OpParams, Program, TensorType } from "../../../dsl/program/program.ts";
import type { Emitter } from "../emitter.ts";
import type { Value } from "../value.ts";

export interface Lowering {
  readonly emit: Emitter;
  /** Types of the equation's outputs. */
  readonly outputs: readonly TensorType[];
  /** Which of the outputs are used; the others may be anything. */
  readonly live: readonly boolean[];
  /** For a maximum: whether what depends on it is NaN anyway where an entry is, so that the maximum itself need not be. */
  readonly nanAbsorbed: boolean;
  /** Lowers a program at the given inputs, into this graph or into the one of `emit`. */
  inline(program: Program, inputs: readonly Value[], emit?: Emitter): readonly Value[];
}

/**
 * Emits the nodes of one equation. Operands of size 0 do occur; equations all of whose outputs have size 0 do
 * not.
 */
export type LowerRule<K extends OpKind> = (
  lowering: Lowering,
  inputs: readonly Value[],
  params: OpParams[K],
) => readonly Value[];

/** The operands of a rule that takes exactly these many; the verifier has checked the count. */
export const pair = (inputs: readonly Value[]): readonly [Value, Value] => inputs as readonly [Value, Value];
export const triple = (inputs: readonly Value[]): readonly [Value, Value, Value] =>
  inputs as readonly [Value, Value, Value];
export const single = (inputs: readonly Value[]): Value => inputs[0] as Value;
