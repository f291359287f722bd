/**
 * A tensor while a program is being lowered: its logical shape, and the slot and the (possibly smaller) shape of what is stored.
 * Elementwise kernels broadcast by themselves, so a broadcast is kept as its small operand with axes of extent 1 and written out
 * only for a kernel that needs every element.
 *
 * Consumed by the builder and every rule.
 */
import type { DType } from "../../dsl/types/dtype.ts";
import type { Slot } from "./plan.ts";

export interface Value {
  readonly slot: Slot;
  readonly dtype: DType;
  /** Logical shape. */
  readonly shape: readonly number[];
  /** Shape of what is stored: aligned at the last axis, each extent the logical one or 1; leading axes of 1 may be absent. */
  readonly held: readonly number[];
  /** The number that every element is, when that is known. */
  readonly splat?: number;
  /** Of integers: whether all are known to be less than 2²⁴ in size, so that float32 has them exactly. */
  readonly small?: true;
}
