/**
 * What a lowering rule is given and returns. One rule per op kind turns an equation into ONNX nodes; the
 * table in `index.ts` joins the families.
 *
 * Consumed by every file of this folder. To add a rule: an entry in its family's file, a line in `index.ts`.
 */
import type { OpKind, Program } from "../../../dsl/program/program.ts";
import type { Rule, Wanted } from "../../lowering.ts";
import type { Emitter } from "../emitter.ts";
import type { Value } from "../value.ts";

export interface Lowering extends Wanted {
  readonly emit: Emitter;
  /** For a maximum: whether what depends on it is NaN anyway where an entry is, so that the maximum itself need not be. */
  readonly nanAbsorbed: boolean;
  /** Lowers a program at the given inputs, into this graph or into the one of `emit`. */
  inline(program: Program, inputs: readonly Value[], emit?: Emitter): readonly Value[];
}

/** Emits the nodes of one equation. */
export type LowerRule<K extends OpKind> = Rule<Lowering, Value, K>;
