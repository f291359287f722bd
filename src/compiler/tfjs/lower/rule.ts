/**
 * What a lowering rule is given and returns. One rule per op kind turns an equation into steps of a plan; the table in `index.ts`
 * joins the families.
 *
 * Consumed by every file of this folder. To add a rule: an entry in its family's file, a line in `index.ts`.
 */
import type { AnyEquation, OpKind, Program, TensorType } from "../../../dsl/program/program.ts";
import { isWhole } from "../../held-shape.ts";
import type { Rule, Wanted } from "../../lowering.ts";
import type { PlanBuilder } from "../builder.ts";
import type { Value } from "../value.ts";

export interface Lowering extends Pick<Wanted, "outputs"> {
  readonly build: PlanBuilder;
  /** Lowers a program at the given inputs, into this block or into the one of `build`. */
  inline(program: Program, inputs: readonly Value[], build?: PlanBuilder): readonly Value[];
}

/** Adds the steps of one equation. */
export type LowerRule<K extends OpKind> = Rule<Lowering, Value, K>;

/**
 * The rule that has the interpreter compute an op on the host, for what no kernel computes as the language defines it. Operands that
 * repeat are repeated there.
 */
export const onHost =
  <K extends OpKind>(op: K): LowerRule<K> =>
  ({ build, outputs }, inputs, params) => {
    const types: TensorType[] = inputs.map(({ held, dtype }) => ({ shape: held, dtype }));
    const given = types.map((_, id) => id);
    const equations: AnyEquation[] = [];
    const operands = inputs.map((input, id) => {
      if (isWhole(input)) return id;
      const { shape, held, dtype } = input;
      const dims = held.map((_, axis) => shape.length - held.length + axis);
      const repeated = types.push({ shape, dtype }) - 1;
      equations.push({ op: "broadcast", inputs: [id], outputs: [repeated], params: { shape, dims } });
      return repeated;
    });
    const made = outputs.map((type) => types.push(type) - 1);
    equations.push({ op, inputs: operands, outputs: made, params } as unknown as AnyEquation); // K ties op and params
    return build.host({ inputs: given, equations, outputs: made, types }, inputs, outputs);
  };
