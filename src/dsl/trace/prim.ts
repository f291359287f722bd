/**
 * The ops as functions on traced tensors, without broadcasting and without types: what transforms are written in.
 * Users write in the typed surface (src/dsl/surface), which is built upon this file.
 */
import { encodeScalar } from "../program/program.ts";
import type { AttentionParams, DotParams, OpParams, Program, TensorType } from "../program/program.ts";
import type { DType } from "../types/dtype.ts";
import { atSite, emit, emitOne } from "./builder.ts";
import type { TracedTensor } from "./builder.ts";
import { rawSite } from "./callsite.ts";

type T = TracedTensor;
const none = {} as const;

/** A tensor filled with one value. */
export const fill = (value: number, { shape, dtype }: TensorType): T =>
  emitOne("constant", [], { shape: [...shape], dtype, values: encodeScalar(value) });
export const zeros = (type: TensorType): T => fill(0, type);
export const iota = (shape: readonly number[], dtype: DType, axis: number): T =>
  emitOne("iota", [], { shape, dtype, axis });

export const neg = (x: T): T => emitOne("neg", [x], none);
export const add = (x: T, y: T): T => emitOne("add", [x, y], none);
export const sub = (x: T, y: T): T => emitOne("sub", [x, y], none);
export const mul = (x: T, y: T): T => emitOne("mul", [x, y], none);
export const div = (x: T, y: T): T => emitOne("div", [x, y], none);
export const pow = (x: T, y: T): T => emitOne("pow", [x, y], none);
export const exp = (x: T): T => emitOne("exp", [x], none);
export const log = (x: T): T => emitOne("log", [x], none);
export const sin = (x: T): T => emitOne("sin", [x], none);
export const cos = (x: T): T => emitOne("cos", [x], none);
export const sign = (x: T): T => emitOne("sign", [x], none);
export const tanh = (x: T): T => emitOne("tanh", [x], none);
export const equal = (x: T, y: T): T => emitOne("equal", [x, y], none);
export const less = (x: T, y: T): T => emitOne("less", [x, y], none);
export const lessEqual = (x: T, y: T): T => emitOne("lessEqual", [x, y], none);
export const select = (condition: T, x: T, y: T): T => emitOne("select", [condition, x, y], none);
export const cast = (x: T, dtype: DType): T => (x.dtype === dtype ? x : emitOne("cast", [x], { dtype }));
export const scale = (x: T, factor: number): T =>
  factor === 1 ? x : factor === -1 ? neg(x) : mul(x, fill(factor, x));

export const broadcast = (x: T, shape: readonly number[], dims: readonly number[]): T =>
  emitOne("broadcast", [x], { shape, dims });
export const reshape = (x: T, shape: readonly number[]): T => emitOne("reshape", [x], { shape });
export const transpose = (x: T, perm: readonly number[]): T =>
  perm.every((axis, i) => axis === i) ? x : emitOne("transpose", [x], { perm });
export const slice = (x: T, params: OpParams["slice"]): T => emitOne("slice", [x], params);
export const pad = (x: T, params: OpParams["pad"]): T => emitOne("pad", [x], params);
export const concat = (xs: readonly T[], axis: number): T =>
  xs.length === 1 ? (xs[0] as T) : emitOne("concat", xs, { axis });
export const gather = (x: T, indices: T, axis: number, batchDims = 0): T =>
  emitOne("gather", [x, indices], { axis, batchDims });
export const scatterAdd = (x: T, indices: T, updates: T, axis: number, batchDims = 0): T =>
  emitOne("scatterAdd", [x, indices, updates], { axis, batchDims });

export const stop = (x: T): T => emitOne("stopGradient", [x], none);
export const reduceSum = (x: T, axes: readonly number[]): T =>
  axes.length === 0 ? x : emitOne("reduceSum", [x], { axes });
export const reduceMax = (x: T, axes: readonly number[]): T =>
  axes.length === 0 ? x : emitOne("reduceMax", [x], { axes });
export const cumsum = (x: T, axis: number, reverse: boolean): T => emitOne("cumsum", [x], { axis, reverse });
export const dot = (x: T, y: T, params: DotParams): T => emitOne("dot", [x, y], params);

export const attention = (inputs: readonly T[], params: AttentionParams): readonly T[] =>
  emit("attention", inputs, params);
export const attentionTangent = (inputs: readonly T[], params: AttentionParams): readonly T[] =>
  emit("attentionTangent", inputs, params);
export const attentionTranspose = (inputs: readonly T[], params: AttentionParams): readonly T[] =>
  emit("attentionTranspose", inputs, params);

/** 0, 1, …, n − 1. */
export const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);

/** The slice `start:stop` of one axis. */
export function sliceAxis(x: T, axis: number, start: number, stop: number): T {
  return slice(x, {
    start: x.shape.map((_, i) => (i === axis ? start : 0)),
    stop: x.shape.map((dim, i) => (i === axis ? stop : dim)),
    step: x.shape.map(() => 1),
  });
}

/** Moves one axis to another place. */
export function moveAxis(x: T, from: number, to: number): T {
  const perm = range(x.shape.length).filter((axis) => axis !== from);
  perm.splice(to, 0, from);
  return transpose(x, perm);
}

/** Repeats a reduced tensor along the axes that a reduction of `shape` removed. */
export const unreduce = (x: T, shape: readonly number[], axes: readonly number[]): T =>
  broadcast(
    x,
    shape,
    range(shape.length).filter((axis) => !axes.includes(axis)),
  );

/** Adds a leading axis of extent n. */
export const replicate = (x: T, n: number): T =>
  broadcast(
    x,
    [n, ...x.shape],
    x.shape.map((_, i) => i + 1),
  );

/** Entries of `x` along `axis` at `indices`, of x's shape but for that axis (NumPy's take_along_axis). */
export function takeAlong(x: T, indices: T, axis: number): T {
  const last = x.shape.length - 1;
  const taken = gather(moveAxis(x, axis, last), moveAxis(indices, axis, last), last, last);
  return moveAxis(taken, last, axis);
}

/** Repeats the equations of a program on the given inputs, in the program being traced. Returns all its variables' tensors. */
export function replay(program: Program, inputs: readonly T[]): readonly T[] {
  const values: T[] = [];
  program.inputs.forEach((id, i) => (values[id] = inputs[i] as T));
  for (const equation of program.equations) {
    const outputs = atSite(rawSite(equation), () =>
      emit(
        equation.op,
        equation.inputs.map((id) => values[id] as T),
        equation.params,
      ),
    );
    equation.outputs.forEach((id, i) => (values[id] = outputs[i] as T));
  }
  return program.outputs.map((id) => values[id] as T);
}
