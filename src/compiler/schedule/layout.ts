/**
 * How a value lies in memory, seen through the views between it and what is stored: along which axis neighbours are side by side, and
 * whether it is read as it is stored. Consumed by the dot kernels.
 */
import { typeOf } from "../../dsl/program/program.ts";
import type { OpKind, VarId } from "../../dsl/program/program.ts";
import type { DType } from "../../dsl/types/dtype.ts";
import type { BufferId } from "../kernel/plan.ts";
import { isPointwise } from "./pointwise.ts";
import type { Location, Scope } from "./kernel-writer.ts";

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

/** Whether a place that is a multiple of four in a variable is one in its buffer, in every iteration of a loop. */
export const keepsQuads = ({ offset = 0, slice }: Location): boolean =>
  offset % 4 === 0 && (slice?.stride ?? 0) % 4 === 0;

/** Types that memory is moved in quads of. */
export const hasQuads = (dtype: DType): boolean => dtype === "f32" || dtype === "f16";

/**
 * Whether four neighbours along the contiguous axis, the first at a multiple of four, lie in memory from a multiple of four on, so that
 * one load gets them.
 * @param written buffers that the kernel stores single elements to: they have no quads
 */
export function liesInQuads(scope: Scope, id: VarId, written: ReadonlySet<BufferId>): boolean {
  const { shape, dtype } = typeOf(scope.program, id);
  const axis = contiguousAxis(scope, id);
  if (axis === undefined || (shape[axis] as number) % 4 !== 0) return false;
  const [location, equation] = [scope.location(id), scope.definitions[id]];
  const operand = (equation?.inputs as readonly VarId[] | undefined)?.[0] as VarId; // views have one
  if (location !== undefined) return hasQuads(dtype) && !written.has(location.buffer) && keepsQuads(location);
  if (equation === undefined) return false; // nothing but what is stored
  switch (equation.op) {
    case "slice": {
      const inner = contiguousAxis(scope, operand);
      return (
        inner !== undefined &&
        (equation.params.start[inner] as number) % 4 === 0 &&
        liesInQuads(scope, operand, written)
      );
    }
    case "transpose":
    case "reshape":
    case "broadcast":
    case "stopGradient":
      return liesInQuads(scope, operand, written);
    default:
      return false;
  }
}

/** Ops whose results are elements of their operands, or zeros. */
const MOVES: ReadonlySet<OpKind> = new Set<OpKind>([
  "broadcast",
  "reshape",
  "transpose",
  "slice",
  "pad",
  "concat",
  "stopGradient",
]);

/** Whether every element of a value is one that is stored, or zero: then it is a number that the value's type holds. */
export function isReadAsStored(scope: Scope, id: VarId): boolean {
  const equation = scope.definitions[id];
  if (scope.location(id) !== undefined || equation === undefined) return true;
  if (equation.op === "gather") return isReadAsStored(scope, equation.inputs[0] as VarId); // the second has positions
  return MOVES.has(equation.op) && equation.inputs.every((input) => isReadAsStored(scope, input));
}
