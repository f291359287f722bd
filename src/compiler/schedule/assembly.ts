/**
 * Concats that are assembled in place: of many parts that lie one behind the other in the result. Such a concat gets its buffer first;
 * kernels write what they compute of it where it belongs, and only the rest is copied.
 *
 * Consumed by `prepare.ts`, which leaves these concats as they are, and by the decisions of the scheduler. Other concats are
 * pointwise: each element is chosen where it is used.
 */
import { sizeOf, typeOf } from "../../dsl/program/program.ts";
import type { AnyEquation, Program, TensorType, VarId } from "../../dsl/program/program.ts";
import type { Location } from "./kernel-writer.ts";

/** Operands that a kernel chooses among without trouble. */
export const MAX_CHOICES = 4;
/** A concat of so many parts is worth a buffer of its own. */
const FEWEST_PARTS = 4;

/** Parts that one kernel copies. Drivers take time that grows with the square of the text, and give up on very long ones. */
export const MOST_COPIED = 32;

/** Whether a concat of operands of these types is assembled. */
export const isAssembly = (operands: readonly TensorType[], axis: number): boolean =>
  operands.length >= FEWEST_PARTS && sizeOf((operands[0] as TensorType).shape.slice(0, axis)) === 1;

export const assembles = (
  program: Program,
  equation: AnyEquation,
): equation is AnyEquation & { readonly op: "concat" } =>
  equation.op === "concat" &&
  isAssembly(
    equation.inputs.map((id) => typeOf(program, id)),
    equation.params.axis,
  );

/** An operand, and where it belongs in the result. */
export interface Placed {
  readonly id: VarId;
  readonly to: Location;
}

/** The operands of a concat whose result is at a location. */
export function partsOf(program: Program, equation: AnyEquation, whole: Location): readonly Placed[] {
  let offset = whole.offset ?? 0;
  return equation.inputs.map((id) => {
    const to = { ...whole, offset };
    offset += sizeOf(typeOf(program, id).shape);
    return { id, to };
  });
}
