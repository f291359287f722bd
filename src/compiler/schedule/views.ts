/**
 * Views that are a contiguous part of what they are a view of: a reshape, or a slice along the outermost axis that has an extent. Such
 * a view lies in the buffer of its operand, so it can be used where it lies, and only where it begins must be known.
 *
 * Consumed by `nodes.ts` and `schedule.ts`. To add a view: a case in `step`.
 */
import { sizeOf, typeOf } from "../../dsl/program/program.ts";
import type { AnyEquation, OpParams, Program, VarId } from "../../dsl/program/program.ts";
import { keepsOrder } from "./coordinates.ts";

/** A view's operand, and where the view begins in it, in elements. */
export interface Alias {
  readonly root: VarId;
  readonly offset: number;
}

/** Where a slice begins in a tensor of `shape`, if its elements lie side by side there. */
function begin(shape: readonly number[], { start, stop, step }: OpParams["slice"]): number | undefined {
  const extents = shape.map((_, i) =>
    Math.ceil(((stop[i] as number) - (start[i] as number)) / (step[i] as number)),
  );
  const cut = extents.findLastIndex((extent, axis) => extent !== shape[axis]);
  if (extents.slice(0, Math.max(0, cut)).some((extent) => extent !== 1)) return undefined;
  if (cut >= 0 && extents[cut] !== 1 && step[cut] !== 1) return undefined;
  return start.reduce((sum, from, axis) => sum + from * sizeOf(shape.slice(axis + 1)), 0);
}

/** Where the output of an equation begins in its first operand; undefined when it is no contiguous part of it. */
function step(program: Program, equation: AnyEquation): number | undefined {
  const { shape } = typeOf(program, equation.inputs[0] ?? (equation.outputs[0] as VarId));
  switch (equation.op) {
    case "reshape":
    case "stopGradient":
      return 0;
    case "transpose":
      return keepsOrder(shape, equation.params.perm) ? 0 : undefined;
    case "slice":
      return begin(shape, equation.params);
    default:
      return undefined;
  }
}

/** What a variable is a contiguous part of, seen through as many views as there are; undefined: of nothing that is stored. */
export function aliasOf(
  program: Program,
  definitions: readonly (AnyEquation | undefined)[],
  isStored: (id: VarId) => boolean,
  id: VarId,
): Alias | undefined {
  if (sizeOf(typeOf(program, id).shape) === 0) return undefined;
  let [root, offset] = [id, 0];
  while (!isStored(root)) {
    const equation = definitions[root];
    const begins = equation === undefined ? undefined : step(program, equation);
    if (equation === undefined || begins === undefined) return undefined;
    offset += begins;
    root = equation.inputs[0] as VarId; // views have an operand
  }
  return root === id ? undefined : { root, offset };
}
