/**
 * A tensor while a program is being lowered: its logical shape, and the name and the (possibly smaller) shape
 * of the ONNX value that stands for it. ONNX's elementwise ops broadcast by themselves, so a broadcast is
 * kept as its small operand with axes of extent 1 and written out only for an op that needs every element.
 *
 * Consumed by the emitter and every lowering rule. Shape helpers that only rules need belong to the rules'
 * own files.
 */
import { sameShape } from "../../dsl/program/program.ts";
import type { TensorType } from "../../dsl/program/program.ts";
import type { DType } from "../../dsl/types/dtype.ts";
import { ElementType } from "./proto.ts";

export { alignedHeld, broadcastShapes, isWhole, stripLeading } from "../held-shape.ts";

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

export const hasType = (value: Value, type: TensorType): boolean =>
  value.element === elementOf(type.dtype) && sameShape(value.shape, type.shape);
