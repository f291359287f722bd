/**
 * A tensor while a program is being lowered: its logical shape, and the name and the (possibly smaller) shape
 * of the ONNX value that stands for it. ONNX's elementwise ops broadcast by themselves, so a broadcast is
 * kept as its small operand with axes of extent 1 and written out only for an op that needs every element.
 *
 * Consumed by the emitter and every lowering rule. Shape helpers that only rules need belong to the rules'
 * own files.
 */
import type { TensorType } from "../../dsl/program/program.ts";
import type { DType } from "../../dsl/types/dtype.ts";
import { ElementType } from "./proto.ts";

export interface Value {
  /** Name of the ONNX value. */
  readonly name: string;
  readonly element: ElementType;
  /** Logical shape. */
  readonly shape: readonly number[];
  /**
   * Shape of the ONNX value: aligned at the last axis, each extent the logical one or 1; leading axes of 1
   * may be absent.
   */
  readonly held: readonly number[];
  /** The number that every element is, when that is known. */
  readonly splat?: number;
}

const ELEMENTS: { readonly [D in DType]: ElementType } = {
  f32: ElementType.float32,
  f16: ElementType.float16,
  i32: ElementType.int32,
  u32: ElementType.uint32,
  bool: ElementType.bool,
};

/** ONNX's element type for a dtype. */
export const elementOf = (dtype: DType): ElementType => ELEMENTS[dtype];

/** `held` with its absent leading axes of extent 1. */
export const alignedHeld = ({ shape, held }: Value): readonly number[] => [
  ...Array<number>(shape.length - held.length).fill(1),
  ...held,
];

/** Whether every element is stored. */
export const isWhole = ({ shape, held }: Value): boolean =>
  held.length === shape.length && held.every((extent, axis) => extent === shape[axis]);

/** Shape of the elementwise combination of shapes (aligned at the last axis, extents equal or 1). */
export function broadcastShapes(shapes: readonly (readonly number[])[]): readonly number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const extents = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    return extents.find((extent) => extent !== 1) ?? 1;
  });
}

/** The shape without leading axes of extent 1. */
export function stripLeading(shape: readonly number[]): readonly number[] {
  const first = shape.findIndex((extent) => extent !== 1);
  return first < 0 ? [] : shape.slice(first);
}

export const hasType = (value: Value, type: TensorType): boolean =>
  value.element === elementOf(type.dtype) &&
  value.shape.length === type.shape.length &&
  value.shape.every((extent, axis) => extent === type.shape[axis]);
