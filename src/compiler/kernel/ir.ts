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
  /** One of the four numbers of a quad, of one in f16 with `half`. */
  | {
      readonly kind: "component";
      readonly type: "f32";
      readonly quad: string;
      readonly index: 0 | 1 | 2 | 3;
      readonly half?: true;
    }
  /** Conversion as the op `cast` defines it. */
  | { readonly kind: "cast"; readonly type: Scalar; readonly x: Expr }
  | { readonly kind: "isNan"; readonly type: "bool"; readonly x: Expr };

/**
 * A matrix that the lanes of a subgroup hold together (CUDA: a fragment of wmma; Metal: a simdgroup_matrix; WGSL: a subgroup matrix).
 * Which lane has which element is the target's business. Targets list what they can multiply (`TargetLimits.matrices`): left, of
 * rows × inner, by right, of inner × columns, added to an accumulator of rows × columns.
 */
export interface Fragment {
  readonly name: string;
  readonly role: "left" | "right" | "accumulator";
  readonly rows: number;
  readonly columns: number;
  readonly element: FragmentElement;
}

export type FragmentElement = "f16" | "f32";

/**
 * Where a fragment is loaded from or stored to: elements of its own type in a buffer or a workgroup array. In row-major order, element
 * (row, column) is at `at + row · stride + column`; in column-major order, at `at + row + column · stride`. All lanes of the subgroup
 * say the same.
 */
export interface FragmentPlace {
  readonly memory: { readonly kind: "buffer" | "shared"; readonly position: number };
  readonly at: Expr;
  readonly stride: Expr;
  readonly order: "row-major" | "column-major";
}

/**
 * What all lanes of a subgroup do together, in control flow that is the same for them, in workgroups of a whole number of subgroups of
 * the largest size. Workgroup memory is as other lanes': what a lane stored there, or is to load, has a barrier in between.
 */
export type FragmentStatement =
  /** Binds a fragment of zeros. */
  | { readonly kind: "zeroFragment"; readonly fragment: Fragment }
  /** Binds a fragment of what is there. */
  | { readonly kind: "loadFragment"; readonly fragment: Fragment; readonly from: FragmentPlace }
  /** accumulator += left · right, summed in the accumulator's type, in an order that is the target's. */
  | {
      readonly kind: "multiplyAccumulate";
      readonly accumulator: Fragment;
      readonly left: Fragment;
      readonly right: Fragment;
    }
  | { readonly kind: "storeFragment"; readonly fragment: Fragment; readonly to: FragmentPlace };

/**
 * Where a quad is loaded from or stored to: four elements side by side in a buffer of f32 or f16, or in a workgroup array of f32, that
 * is declared to have quads. `at` is the first of them, a multiple of four.
 */
export interface QuadPlace {
  readonly memory: { readonly kind: "buffer" | "shared"; readonly position: number };
  readonly at: Expr;
}

/**
 * Four f32 of one lane (CUDA and Metal: a float4; WGSL: a vec4<f32>), for which memory is asked once. With `half`, four f16, on targets that
 * have it: what is loaded from a buffer of f16 and goes to workgroup memory as it is. Nothing but `component` takes such a quad.
 */
export type Quad =
  | { readonly kind: "zeros"; readonly half?: true }
  | { readonly kind: "loaded"; readonly from: QuadPlace; readonly half?: true }
  | { readonly kind: "parts"; readonly parts: QuadParts }
  /** Each number of that quad times x. */
  | { readonly kind: "scaled"; readonly quad: string; readonly x: Expr };

/** Four numbers, of f32. */
export type QuadParts = readonly [Expr, Expr, Expr, Expr];

/** Names of quads are bound as others are, and are no expressions: `component` takes a number out. */
export type QuadStatement =
  | { readonly kind: "letQuad"; readonly name: string; readonly value: Quad }
  | { readonly kind: "varQuad"; readonly name: string; readonly value: Quad }
  | { readonly kind: "assignQuad"; readonly name: string; readonly value: Quad }
  | { readonly kind: "storeQuad"; readonly quad: string; readonly to: QuadPlace }
  /** sums += x · quad, number by number. */
  | { readonly kind: "addScaled"; readonly sums: string; readonly quad: string; readonly x: Expr };

export type Statement =
  | FragmentStatement
  | QuadStatement
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
  /** Some of it is moved in quads: its elements are a multiple of four, or memory has room for that, and all stores are of quads. */
  readonly quads?: true;
}

/** An array that the lanes of one workgroup share. */
export interface SharedArray {
  readonly type: Scalar;
  readonly length: number;
  /** Elements of f32 that are kept as f16, on targets that have it: only numbers that f16 holds are stored there. */
  readonly half?: true;
  /** Some of it is moved in quads: its length is a multiple of four, and all stores are of quads. */
  readonly quads?: true;
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
