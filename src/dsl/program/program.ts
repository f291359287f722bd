/**
 * The intermediate representation: a program is a list of equations in A-normal form over numbered variables with
 * concrete shapes and dtypes. Plain data: it can be cloned, compared and written as JSON.
 *
 * Consumed by everything: transforms rewrite programs, the interpreter runs them, targets lower them.
 * To add an op: add its parameters to `OpParams`, its entry to a file in `src/dsl/ops`, and let the compiler name every
 * rule table (jvp, transpose, vmap, interpret, onnx) that now misses a rule.
 */
import type { DType } from "../types/dtype.ts";

/** Type of a variable: row-major shape and element type. */
export interface TensorType {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** A number in JSON: the four values that JSON cannot hold are spelled out. */
export type JsonScalar = number | "inf" | "-inf" | "nan" | "-0";

/** Parameters of ops that have none. */
export type NoParams = Readonly<Record<string, never>>;

/** Names of the elementwise ops of one argument. */
export const UNARY_OPS = [
  "neg", "abs", "sign", "floor", "exp", "log", "sin", "cos", "tanh", "sqrt", "rsqrt", "erf", "logistic", "not",
] as const; // prettier-ignore
export type UnaryOp = (typeof UNARY_OPS)[number];

/** Names of the elementwise ops of two arguments of one dtype, result of the same dtype. */
export const ARITHMETIC_OPS = [
  "add", "sub", "mul", "div", "rem", "pow", "max", "min", "and", "or", "xor", "shiftLeft", "shiftRight",
] as const; // prettier-ignore
export type ArithmeticOp = (typeof ARITHMETIC_OPS)[number];

/** Names of the elementwise comparisons, result bool. */
export const COMPARE_OPS = ["equal", "less", "lessEqual"] as const;
export type CompareOp = (typeof COMPARE_OPS)[number];

export type BinaryOp = ArithmeticOp | CompareOp;

/** Dimension numbers of a general dot product; the result is [batch, free of lhs, free of rhs]. */
export interface DotParams {
  readonly lhsBatch: readonly number[];
  readonly rhsBatch: readonly number[];
  readonly lhsContract: readonly number[];
  readonly rhsContract: readonly number[];
}

/** Modifiers of attention: `softcap` c maps scores to c·tanh(s/c), 0 means none. `scale` multiplies q·k before it. */
export interface AttentionParams {
  readonly scale: number;
  readonly softcap: number;
  readonly causal: boolean;
}

/** What `remat` keeps from the forward pass: nothing, the outputs of dots, or everything (then it does nothing). */
export type RematPolicy = "nothing" | "dots" | "everything";

interface StructuredParams {
  /** Values in row-major order, or one scalar for all entries. */
  constant: {
    readonly shape: readonly number[];
    readonly dtype: DType;
    readonly values: JsonScalar | readonly JsonScalar[];
  };
  /** 0, 1, 2, … along `axis`. */
  iota: { readonly shape: readonly number[]; readonly dtype: DType; readonly axis: number };
  select: NoParams;
  cast: { readonly dtype: DType };
  /** Input axis i becomes output axis `dims[i]`; input extent must equal the output's, or be 1. */
  broadcast: { readonly shape: readonly number[]; readonly dims: readonly number[] };
  reshape: { readonly shape: readonly number[] };
  transpose: { readonly perm: readonly number[] };
  slice: {
    readonly start: readonly number[];
    readonly stop: readonly number[];
    readonly step: readonly number[];
  };
  /** Pads with zeros: `low`, `high` around, `interior` between neighbours. */
  pad: {
    readonly low: readonly number[];
    readonly high: readonly number[];
    readonly interior: readonly number[];
  };
  concat: { readonly axis: number };
  /** Rows of `axis` at the given indices (clamped). The first `batchDims` axes of both operands are aligned. */
  gather: { readonly axis: number; readonly batchDims: number };
  /** operand[..., indices, ...] += updates: the transpose of gather. */
  scatterAdd: { readonly axis: number; readonly batchDims: number };
  reduceSum: { readonly axes: readonly number[] };
  reduceMax: { readonly axes: readonly number[] };
  cumsum: { readonly axis: number; readonly reverse: boolean };
  argmax: { readonly axis: number };
  sort: { readonly axis: number };
  dot: DotParams;
  threefry: NoParams;
  stopGradient: NoParams;
  attention: AttentionParams;
  attentionTangent: AttentionParams;
  attentionTranspose: AttentionParams;
  /** body: (consts, carry, xs slices) -> (carry, ys slices); inputs (consts, carry, xs); outputs (carry, ys). */
  scan: {
    readonly body: Program;
    readonly length: number;
    readonly consts: number;
    readonly carry: number;
    readonly reverse: boolean;
  };
  cond: { readonly onTrue: Program; readonly onFalse: Program };
  /** inputs (condition consts, body consts, carry); `condition`: (its consts, carry) -> bool; `body`: (its consts, carry) -> carry. */
  while: {
    readonly condition: Program;
    readonly body: Program;
    readonly conditionConsts: number;
    readonly bodyConsts: number;
  };
  remat: { readonly body: Program; readonly policy: RematPolicy };
  /** rule: (primals, tangents) -> (outputs, output tangents). The first `consts` inputs are not differentiated. */
  customJvp: { readonly body: Program; readonly rule: Program; readonly consts: number };
  /** forward: inputs -> (outputs, residuals); backward: (residuals, output cotangents) -> input cotangents. */
  customVjp: {
    readonly body: Program;
    readonly forward: Program;
    readonly backward: Program;
    readonly consts: number;
  };
  /**
   * The derivative of a customVjp call: inputs (residuals, primals, tangents). Evaluated by `tangent`, the derivative of the
   * primal program at (primals, tangents); transposed by `backward` at (residuals, cotangents).
   */
  customTangent: {
    readonly tangent: Program;
    readonly backward: Program;
    readonly residuals: number;
    readonly primals: number;
  };
}

/** Parameters of each op. */
export type OpParams = Record<UnaryOp | BinaryOp, NoParams> & StructuredParams;
export type OpKind = UnaryOp | BinaryOp | keyof StructuredParams;

/** Index into `Program.types`. */
export type VarId = number;

/** `outputs = op[params](inputs)`. */
export interface Equation<K extends OpKind = OpKind> {
  readonly op: K;
  readonly inputs: readonly VarId[];
  readonly outputs: readonly VarId[];
  readonly params: OpParams[K];
}

/** An equation whose `op` can be switched on, with its own parameter type. */
export type AnyEquation = { [K in OpKind]: Equation<K> }[OpKind];

/** A closed program: every variable is an input or the output of an earlier equation. */
export interface Program {
  readonly inputs: readonly VarId[];
  readonly equations: readonly AnyEquation[];
  readonly outputs: readonly VarId[];
  readonly types: readonly TensorType[];
}

/** Type of variable `id` of `program`. @throws if there is no such variable. */
export function typeOf(program: Program, id: VarId): TensorType {
  const type = program.types[id];
  if (type === undefined) throw new Error(`program has no variable %${id}`);
  return type;
}

export const inputTypes = (program: Program): readonly TensorType[] =>
  program.inputs.map((id) => typeOf(program, id));
export const outputTypes = (program: Program): readonly TensorType[] =>
  program.outputs.map((id) => typeOf(program, id));

/** Number of elements of a shape (1 for a scalar). */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((dim, i) => dim === b[i]);

export const sameType = (a: TensorType, b: TensorType): boolean =>
  a.dtype === b.dtype && sameShape(a.shape, b.shape);

/** `f32[2,3]`. */
export const formatType = (type: TensorType): string => `${type.dtype}[${type.shape.join(",")}]`;

/** The number that a JSON scalar stands for. */
export function decodeScalar(value: JsonScalar): number {
  if (typeof value === "number") return value;
  return value === "inf" ? Infinity : value === "-inf" ? -Infinity : value === "nan" ? NaN : -0;
}

/** The JSON spelling of a number. */
export function encodeScalar(value: number): JsonScalar {
  if (Number.isNaN(value)) return "nan";
  if (value === Infinity) return "inf";
  if (value === -Infinity) return "-inf";
  return Object.is(value, -0) ? "-0" : value;
}

/** The programs nested in an equation's parameters, by parameter name. */
export function nestedPrograms(
  equation: AnyEquation,
): readonly (readonly [name: string, program: Program])[] {
  const found: [string, Program][] = [];
  for (const [name, value] of Object.entries(equation.params as Record<string, unknown>)) {
    if (isProgram(value)) found.push([name, value]);
  }
  return found;
}

/** Whether a parameter value is a nested program. */
export const isProgram = (value: unknown): value is Program =>
  typeof value === "object" && value !== null && "equations" in value && "types" in value;
