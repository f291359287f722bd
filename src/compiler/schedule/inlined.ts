/**
 * What a kernel computes: the equations of its group, and those that are inlined into them. Consumed by `schedule.ts`, which says with
 * each dispatch what it does and what that costs.
 */
import type { AnyEquation, OpKind, VarId } from "../../dsl/program/program.ts";
import type { Scope } from "./kernel-writer.ts";
import { isView } from "./nodes.ts";

/**
 * The equations that a kernel computes: operands first. Stored variables are not computed again.
 * @param members those of the group that are the kernel's; a dot in slices has two kernels
 */
export function computedBy(
  scope: Scope,
  members: readonly AnyEquation[],
  group: readonly AnyEquation[],
): readonly AnyEquation[] {
  const own = new Set(group);
  const computed = new Set<AnyEquation>();
  const compute = (equation: AnyEquation): void => {
    if (computed.has(equation)) return;
    equation.inputs.forEach(inline);
    computed.add(equation);
  };
  const inline = (id: VarId): void => {
    const equation = scope.definitions[id];
    if (equation === undefined || own.has(equation) || scope.location(id) !== undefined) return;
    compute(equation);
  };
  members.forEach(compute);
  return [...computed];
}

/** Names of the ops among equations, without inlined views, which are index arithmetic. */
export const namesOf = (
  equations: readonly AnyEquation[],
  members: readonly AnyEquation[],
): readonly OpKind[] =>
  equations.filter((equation) => !isView(equation.op) || members.includes(equation)).map(({ op }) => op);
