/**
 * The kernel IR: a small imperative language for one kernel, run by workgroups of lanes over storage buffers. Plain data, and
 * nothing of any one target: a printer turns it into WGSL, and another could turn it into CUDA C or Metal.
 *
 * Consumed by `compiler/schedule`, which makes kernels from programs (through `KernelBuilder`), and by printers.
 * To add an expression or a statement: a member here; each printer's exhaustive switch then fails to compile.
 *
 * Meaning. Scalars are those of the language: arithmetic on f16 happens in f32 (a load widens, a store to a buffer rounds), so expressions are f32,
 * i32, u32 or bool only. Ops have the meaning of their entries in src/dsl/ops (integers wrap, x / 0 = x for integers, …). Index
 * arithmetic is u32. Every load is in bounds: kernels guard themselves.
 */
import type { BinaryOp, UnaryOp } from "../../dsl/program/program.ts";
import type { DType } from "../../dsl/types/dtype.ts";

/** The type of an expression. */
export type Scalar = "f32" | "i32" | "u32" | "bool";

/** The scalar in which values of a dtype are computed. */
export const scalarOf = (dtype: DType): Scalar => (dtype === "f16" ? "f32" : dtype);

/** `isNan` and `bitcast` are what an op's meaning may need beyond the ops themselves. */
export type Expr =
  /** With `size`, it belongs to the problem and not to the way to compute it: `sizesAsParams` makes a parameter of it. */
  | { readonly kind: "literal"; readonly type: Scalar; readonly value: number; readonly size?: true }
  /** A name bound by `let`, `var`, `threefry` or a loop. */
  | { readonly kind: "name"; readonly type: Scalar; readonly name: string }
  /** Flat index of the workgroup, and index of the lane within it. */
  | { readonly kind: "workgroup"; readonly type: "u32" }
  | { readonly kind: "lane"; readonly type: "u32" }
  /** The kernel's parameter of that position: a word that each dispatch gives. */
  | { readonly kind: "param"; readonly type: "u32"; readonly index: number }
  /** Element of the kernel's buffer of that position. */
  | { readonly kind: "load"; readonly type: Scalar; readonly buffer: number; readonly at: Expr }
  /** Element of the kernel's workgroup array of that position. */
  | { readonly kind: "shared"; readonly type: Scalar; readonly array: number; readonly at: Expr }
  | { readonly kind: "unary"; readonly type: Scalar; readonly op: UnaryOp; readonly x: Expr }
  | {
      readonly kind: "binary";
      readonly type: Scalar;
      readonly op: BinaryOp;
      readonly x: Expr;
      readonly y: Expr;
    }
  | {
      readonly kind: "select";
      readonly type: Scalar;
      readonly condition: Expr;
      readonly x: Expr;
      readonly y: Expr;
    }
  /**
   * Of lanes that run in step: how many they are, which of them this one is, and which of the workgroup's such groups this is. For
   * targets that have them (`TargetLimits.subgroups`), in workgroups of a whole number of subgroups.
   */
  | { readonly kind: "subgroup"; readonly type: "u32"; readonly what: "size" | "lane" | "number" }
  /** Over the lanes of the subgroup, in an order that is the target's. In uniform control flow only, as is a shuffle. */
  | { readonly kind: "subgroupSum"; readonly type: Scalar; readonly x: Expr }
  /** What that lane of the subgroup has for x. */
  | { readonly kind: "shuffle"; readonly type: Scalar; readonly x: Expr; readonly lane: Expr }
  /** Conversion as the op `cast` defines it. */
  | { readonly kind: "cast"; readonly type: Scalar; readonly x: Expr }
  | { readonly kind: "isNan"; readonly type: "bool"; readonly x: Expr };

export type Statement =
  | { readonly kind: "let"; readonly name: string; readonly value: Expr }
  | { readonly kind: "var"; readonly name: string; readonly value: Expr }
  | { readonly kind: "assign"; readonly name: string; readonly value: Expr }
  | { readonly kind: "store"; readonly buffer: number; readonly at: Expr; readonly value: Expr }
  | { readonly kind: "storeShared"; readonly array: number; readonly at: Expr; readonly value: Expr }
  /** For name = from; name < to; name += step (u32). `from`, `to` and `step` are evaluated once. */
  | {
      readonly kind: "for";
      readonly name: string;
      readonly from: Expr;
      readonly to: Expr;
      readonly step: Expr;
      readonly body: readonly Statement[];
    }
  | {
      readonly kind: "if";
      readonly condition: Expr;
      readonly body: readonly Statement[];
      readonly otherwise: readonly Statement[];
    }
  /** Waits for the workgroup and makes its shared stores visible. In uniform control flow only. */
  | { readonly kind: "barrier" }
  /** The two words of threefry2x32 with 20 rounds, bound to two names. */
  | {
      readonly kind: "threefry";
      readonly names: readonly [string, string];
      readonly key: readonly [Expr, Expr];
      readonly counter: readonly [Expr, Expr];
    };

/** `readWrite` is for a buffer that the kernel both loads and stores; a kernel binds each buffer once. */
export type Access = "read" | "write" | "readWrite";

/** A storage buffer as a kernel sees it: row-major elements of one dtype. */
export interface KernelBuffer {
  readonly dtype: DType;
  readonly access: Access;
}

/** An array that the lanes of one workgroup share. */
export interface SharedArray {
  readonly type: Scalar;
  readonly length: number;
  /** Elements of f32 that are kept as f16, on targets that have it: only numbers that f16 holds are stored there. */
  readonly half?: true;
}

/** What a shared array takes. */
export const sharedBytes = ({ length, half }: SharedArray): number => (half === true ? 2 : 4) * length;

export interface Kernel {
  /** For people: what it computes, an identifier. Not part of the identity of the code. */
  readonly name: string;
  readonly buffers: readonly KernelBuffer[];
  /** Number of u32 parameters. */
  readonly params: number;
  readonly shared: readonly SharedArray[];
  /** Lanes of a workgroup. */
  readonly lanes: number;
  readonly body: readonly Statement[];
}
