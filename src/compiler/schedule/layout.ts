/**
 * Along which axis of a value neighbours lie side by side in memory, seen through the views between it and what is stored. It
 * decides nothing but speed. Consumed by the dot kernels.
 */
import { typeOf } from "../../dsl/program/program.ts";
import type { VarId } from "../../dsl/program/program.ts";
import { isPointwise } from "./pointwise.ts";
import type { Scope } from "./kernel-writer.ts";

const lastWide = (shape: readonly number[]): number | undefined => {
  const axis = shape.findLastIndex((extent) => extent !== 1);
  return axis < 0 ? undefined : axis;
};

/** The axis with stride 1, or undefined where there is none. */
export function contiguousAxis(scope: Scope, id: VarId): number | undefined {
  const { shape } = typeOf(scope.program, id);
  const equation = scope.definitions[id];
  if (scope.location(id) !== undefined || equation === undefined || !isPointwise(equation.op))
    return lastWide(shape);
  const [operand] = equation.inputs;
  if (operand === undefined) return undefined; // made of nothing: constants, iota
  const inner = contiguousAxis(scope, operand);
  if (inner === undefined) return undefined;
  const from = typeOf(scope.program, operand).shape;
  switch (equation.op) {
    case "transpose":
      return equation.params.perm.indexOf(inner);
    case "reshape":
      return inner === lastWide(from) ? lastWide(shape) : undefined;
    case "broadcast": {
      const axis = equation.params.dims[inner] as number; // one for each axis
      return from[inner] === shape[axis] ? axis : undefined;
    }
    case "slice":
      return equation.params.step[inner] === 1 ? inner : undefined;
    case "gather":
    case "pad":
    case "concat":
      return undefined;
    default:
      return inner;
  }
}
