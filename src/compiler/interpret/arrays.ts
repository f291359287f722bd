/**
 * The interpreter's rules for ops that move or combine elements, as loops over flat row-major data.
 * Consumed by interpret.ts. To add one: a function here, a line in its table. In this folder `as number` marks an element
 * read at an index that the shape rule has checked.
 */
import { freeAxes } from "../../dsl/ops/reduction.ts";
import { decodeScalar, sizeOf } from "../../dsl/program/program.ts";
import type { OpParams, TensorType } from "../../dsl/program/program.ts";
import { exactData } from "../host-tensor.ts";
import type { ExactData, ExactTensor } from "../host-tensor.ts";
import { isFloat } from "../../dsl/types/dtype.ts";

export type Value = ExactTensor;

/** Floats that are allocated at a time, and the most that one value takes of them. */
const SLAB = 4096;
const SMALL = 512;
let slab = new Float64Array(0);
let taken = 0;

/** Zeros. Of small values the engine's allocation costs more than what is computed, so they share one, each its own part. */
function zeros(dtype: TensorType["dtype"], size: number): ExactData {
  if (size > SMALL || !isFloat(dtype)) return exactData(dtype, size);
  if (taken + size > slab.length) {
    slab = new Float64Array(SLAB);
    taken = 0;
  }
  taken += size;
  return slab.subarray(taken - size, taken);
}

/** Zeros of a type. */
export const empty = ({ shape, dtype }: TensorType): Value => ({
  shape,
  dtype,
  data: zeros(dtype, sizeOf(shape)),
});

/** A value whose data nothing else shares but what came in. */
export const owned = (value: Value): Value =>
  value.data.length > SMALL ? value : { ...value, data: value.data.slice() };

/** Distance in row-major data between neighbours along each axis. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let i = shape.length - 2; i >= 0; i--)
    strides[i] = (strides[i + 1] as number) * (shape[i + 1] as number);
  return strides;
}

/** One operand of a strided walk: its offset grows by `strides[i]` for each step along axis i of the walk. */
interface View {
  readonly strides: readonly number[];
  readonly offset?: number;
}

/** Calls `visit` with the offsets into two views for every index of `shape`, in row-major order. */
function walk(shape: readonly number[], a: View, b: View, visit: (a: number, b: number) => void): void {
  const rank = shape.length;
  const loop = (axis: number, i: number, j: number): void => {
    if (axis === rank) return visit(i, j);
    const [extent, di, dj] = [shape[axis] as number, a.strides[axis] as number, b.strides[axis] as number];
    if (axis === rank - 1) for (let n = 0; n < extent; n++) visit(i + n * di, j + n * dj);
    else for (let n = 0; n < extent; n++) loop(axis + 1, i + n * di, j + n * dj);
  };
  loop(0, a.offset ?? 0, b.offset ?? 0);
}

/** Copies `shape` elements from a view of `from` into a view of `into`. */
function copy(shape: readonly number[], from: ExactData, source: View, into: ExactData, target: View): void {
  walk(shape, source, target, (i, j) => (into[j] = from[i] as number));
}

/** A tensor of type `type` whose elements are those of a view of `x`. */
function viewed(x: Value, type: TensorType, source: View): Value {
  const out = empty(type);
  copy(type.shape, x.data, source, out.data, { strides: stridesOf(type.shape) });
  return out;
}

/** Extents before, at and after an axis: element [o, i, r] lies at (o·n + i)·inner + r. */
function around(
  shape: readonly number[],
  axis: number,
): { readonly outer: number; readonly n: number; readonly inner: number } {
  return {
    outer: sizeOf(shape.slice(0, axis)),
    n: shape[axis] as number,
    inner: sizeOf(shape.slice(axis + 1)),
  };
}

const constants = new WeakMap<OpParams["constant"], Value>();

/** A small constant is made once: a loop comes by it in every step. */
export function constant(params: OpParams["constant"]): Value {
  const known = constants.get(params);
  if (known !== undefined) return known;
  const made = newConstant(params);
  if (made.data.length <= SMALL) constants.set(params, owned(made));
  return made;
}

function newConstant({ shape, dtype, values }: OpParams["constant"]): Value {
  const out = empty({ shape, dtype });
  if (typeof values === "object") values.forEach((value, i) => (out.data[i] = decodeScalar(value)));
  else out.data.fill(decodeScalar(values));
  return out;
}

export function iota({ shape, dtype, axis }: OpParams["iota"]): Value {
  const out = empty({ shape, dtype });
  const { n, inner } = around(shape, axis);
  for (let i = 0; i < out.data.length; i++) out.data[i] = Math.floor(i / inner) % n;
  return out;
}

export function broadcast(x: Value, dims: readonly number[], type: TensorType): Value {
  const own = stridesOf(x.shape);
  const strides = type.shape.map(() => 0);
  dims.forEach((dim, i) => (strides[dim] = x.shape[i] === 1 ? 0 : (own[i] as number)));
  return viewed(x, type, { strides });
}

export function transpose(x: Value, perm: readonly number[]): Value {
  const own = stridesOf(x.shape);
  const shape = perm.map((axis) => x.shape[axis] as number);
  return viewed(x, { shape, dtype: x.dtype }, { strides: perm.map((axis) => own[axis] as number) });
}

/** Strides and offset of a tensor's elements start, start + step, … along each axis. */
function window(shape: readonly number[], start: readonly number[], step: readonly number[]): View {
  const own = stridesOf(shape);
  return {
    strides: own.map((stride, i) => stride * (step[i] as number)),
    offset: own.reduce((sum, stride, i) => sum + stride * (start[i] as number), 0),
  };
}

export const slice = (x: Value, { start, step }: OpParams["slice"], type: TensorType): Value =>
  viewed(x, type, window(x.shape, start, step));

export function pad(x: Value, { low, interior }: OpParams["pad"], type: TensorType): Value {
  const out = empty(type);
  copy(
    x.shape,
    x.data,
    { strides: stridesOf(x.shape) },
    out.data,
    window(
      type.shape,
      low,
      interior.map((gap) => gap + 1),
    ),
  );
  return out;
}

export function concat(xs: readonly Value[], axis: number, type: TensorType): Value {
  const out = empty(type);
  const strides = stridesOf(type.shape);
  let start = 0;
  for (const x of xs) {
    copy(x.shape, x.data, { strides: stridesOf(x.shape) }, out.data, {
      strides,
      offset: start * (strides[axis] as number),
    });
    start += x.shape[axis] as number;
  }
  return out;
}

/** Calls `visit` with (offset into the operand, offset into the gathered rows) for every gathered element. */
function rows(
  operand: TensorType,
  indices: Value,
  { axis, batchDims }: OpParams["gather"],
  visit: (i: number, j: number) => void,
): void {
  const batch = sizeOf(operand.shape.slice(0, batchDims));
  const middle = sizeOf(operand.shape.slice(batchDims, axis));
  const { n, inner } = around(operand.shape, axis);
  const count = sizeOf(indices.shape.slice(batchDims));
  let j = 0;
  for (let b = 0; b < batch; b++) {
    for (let m = 0; m < middle; m++) {
      for (let k = 0; k < count; k++) {
        const index = Math.min(Math.max(indices.data[b * count + k] as number, 0), n - 1);
        const start = ((b * middle + m) * n + index) * inner;
        for (let r = 0; r < inner; r++) visit(start + r, j++);
      }
    }
  }
}

export function gather(x: Value, indices: Value, params: OpParams["gather"], type: TensorType): Value {
  const out = empty(type);
  rows(x, indices, params, (i, j) => (out.data[j] = x.data[i] as number));
  return out;
}

export function scatterAdd(x: Value, indices: Value, updates: Value, params: OpParams["scatterAdd"]): Value {
  const out: Value = { ...x, data: x.data.slice() };
  rows(x, indices, params, (i, j) => (out.data[i] = (out.data[i] as number) + (updates.data[j] as number)));
  return out;
}

/** Combines the elements along `axes` into `out`, which holds the initial values. */
function reduce(
  x: Value,
  axes: readonly number[],
  out: Value,
  combine: (sofar: number, next: number) => number,
): Value {
  const kept = stridesOf(out.shape);
  let axis = 0;
  const strides = x.shape.map((_, i) => (axes.includes(i) ? 0 : (kept[axis++] as number)));
  walk(x.shape, { strides: stridesOf(x.shape) }, { strides }, (i, j) => {
    out.data[j] = combine(out.data[j] as number, x.data[i] as number);
  });
  return out;
}

/** Sums start from +0, so that none is −0; over no axes there is nothing to sum. */
export const reduceSum = (x: Value, axes: readonly number[], type: TensorType): Value =>
  axes.length === 0 ? x : reduce(x, axes, empty(type), (sum, next) => sum + next);

export function reduceMax(x: Value, axes: readonly number[], type: TensorType): Value {
  const out = empty(type);
  out.data.fill(type.dtype === "u32" ? 0 : type.dtype === "i32" ? -(2 ** 31) : -Infinity);
  return reduce(x, axes, out, Math.max);
}

export function cumsum(x: Value, { axis, reverse }: OpParams["cumsum"]): Value {
  const out = empty(x);
  const { outer, n, inner } = around(x.shape, axis);
  for (let o = 0; o < outer; o++) {
    for (let r = 0; r < inner; r++) {
      let sum = 0;
      for (let k = 0; k < n; k++) {
        const i = (o * n + (reverse ? n - 1 - k : k)) * inner + r;
        sum += x.data[i] as number;
        out.data[i] = sum;
      }
    }
  }
  return out;
}

/** Ascending order of two elements; NaN comes last, as it does in NumPy. */
const ascending = (x: number, y: number): number =>
  x < y ? -1 : x > y ? 1 : Number(Number.isNaN(x)) - Number(Number.isNaN(y));

export function argmax(x: Value, axis: number, type: TensorType): Value {
  const out = empty(type);
  const { outer, n, inner } = around(x.shape, axis);
  for (let o = 0; o < outer; o++) {
    for (let r = 0; r < inner; r++) {
      const at = (k: number): number => x.data[(o * n + k) * inner + r] as number;
      let best = 0;
      for (let k = 1; k < n; k++) if (ascending(at(best), at(k)) < 0) best = k;
      out.data[o * inner + r] = best;
    }
  }
  return out;
}

export function sort(x: Value, axis: number): readonly Value[] {
  const [values, positions] = [empty(x), empty({ shape: x.shape, dtype: "i32" })];
  const { outer, n, inner } = around(x.shape, axis);
  for (let o = 0; o < outer; o++) {
    for (let r = 0; r < inner; r++) {
      const at = (k: number): number => x.data[(o * n + k) * inner + r] as number;
      const order = Array.from({ length: n }, (_, k) => k).sort((a, b) => ascending(at(a), at(b)));
      order.forEach((from, k) => {
        values.data[(o * n + k) * inner + r] = at(from);
        positions.data[(o * n + k) * inner + r] = from;
      });
    }
  }
  return [values, positions];
}

/** Both operands are first laid out as [batch, free, contracted]. */
export function dot(
  lhs: Value,
  rhs: Value,
  { lhsBatch, rhsBatch, lhsContract, rhsContract }: OpParams["dot"],
  type: TensorType,
): Value {
  const lhsFree = freeAxes(lhs.shape.length, lhsBatch, lhsContract);
  const rhsFree = freeAxes(rhs.shape.length, rhsBatch, rhsContract);
  const a = transpose(lhs, [...lhsBatch, ...lhsFree, ...lhsContract]).data;
  const b = transpose(rhs, [...rhsBatch, ...rhsFree, ...rhsContract]).data;
  const extent = (x: Value, axes: readonly number[]): number =>
    sizeOf(axes.map((axis) => x.shape[axis] as number));
  const [batches, rows, columns, inner] = [
    extent(lhs, lhsBatch),
    extent(lhs, lhsFree),
    extent(rhs, rhsFree),
    extent(lhs, lhsContract),
  ];
  const out = empty(type);
  for (let n = 0; n < batches; n++) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        const [left, right] = [(n * rows + i) * inner, (n * columns + j) * inner];
        let sum = 0;
        for (let k = 0; k < inner; k++) sum += (a[left + k] as number) * (b[right + k] as number);
        out.data[(n * rows + i) * columns + j] = sum;
      }
    }
  }
  return out;
}
