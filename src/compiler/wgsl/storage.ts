/**
 * How elements lie in storage buffers. WGSL has no one-byte type and no bool in storage, and half precision is an optional feature.
 *
 * Consumed by the printer, and by the runtime, which sizes, fills and reads buffers. To add a dtype: a row here.
 */
import type { DType } from "../../dsl/types/dtype.ts";

export interface WgslOptions {
  /** The feature shader-f16 is on. Without it, f16 tensors are kept in f32. */
  readonly f16: boolean;
}

const STORED = {
  f32: () => "f32",
  f16: ({ f16 }) => (f16 ? "f16" : "f32"),
  i32: () => "i32",
  u32: () => "u32",
  bool: () => "u32", // 0 or 1
} as const satisfies { [D in DType]: (options: WgslOptions) => "f32" | "f16" | "i32" | "u32" };

/** The WGSL type of an element of this dtype in a storage buffer. */
export const storedType = (dtype: DType, options: WgslOptions): "f32" | "f16" | "i32" | "u32" =>
  STORED[dtype](options);

/** Bytes of an element of this dtype in a storage buffer. A buffer's size must be a multiple of 4, so two-byte elements need padding. */
export const storageBytes = (dtype: DType, options: WgslOptions): number =>
  storedType(dtype, options) === "f16" ? 2 : 4;
