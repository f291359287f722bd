/**
 * Lowering of ops that move elements. Kernels handle few axes, so slices and pads are made one axis at a time, on a matrix.
 *
 * Consumed by `index.ts`; scatterAdd and dot use `iota`.
 */
import { decodeScalar, sizeOf } from "../../../dsl/program/program.ts";
import type { TensorType } from "../../../dsl/program/program.ts";
import { alignedHeld } from "../../held-shape.ts";
import { single } from "../../lowering.ts";
import type { PlanBuilder } from "../builder.ts";
import type { Value } from "../value.ts";
import type { LowerRule } from "./rule.ts";

export const lowerConstant: LowerRule<"constant"> = ({ build }, _inputs, { shape, dtype, values }) => {
  const type = { shape, dtype };
  if (typeof values === "object") return [build.tensor(type, values.map(decodeScalar))];
  return [build.splat(type, decodeScalar(values))];
};

export const lowerIota: LowerRule<"iota"> = ({ build }, _inputs, { shape, dtype, axis }) => {
  const held = shape.slice(axis).map((extent, i) => (i === 0 ? extent : 1));
  const count = shape[axis] as number; // the axis is legal
  const numbers = Array.from({ length: count }, (_, i) => i);
  const stored = build.tensor({ shape: held, dtype }, numbers);
  return [{ ...stored, shape, ...(count <= 2 ** 24 ? { small: true } : {}) }];
};

export const lowerBroadcast: LowerRule<"broadcast"> = ({ build }, inputs, { shape, dims }) => [
  build.broadcast(single(inputs), shape, dims),
];

export const lowerReshape: LowerRule<"reshape"> = ({ build }, inputs, { shape }) => [
  build.reshape(single(inputs), shape),
];

export const lowerTranspose: LowerRule<"transpose"> = ({ build }, inputs, { perm }) => [
  build.transpose(single(inputs), perm),
];

/** The extents [before, axis, after] of a stored shape. */
const around = (shape: readonly number[], axis: number): readonly [number, number, number] => [
  sizeOf(shape.slice(0, axis)),
  shape[axis] as number, // the axis is legal
  sizeOf(shape.slice(axis + 1)),
];

const withAxis = (shape: readonly number[], axis: number, extent: number): readonly number[] =>
  shape.map((n, i) => (i === axis ? extent : n));

/** A stored tensor, as rules of one axis take and give it: shape and stored shape are the same. */
const asStored = (build: PlanBuilder, value: Value, shape: readonly number[]): Value => ({
  ...build.holdAs(value, shape),
  shape,
});

/** Elements start, start + 1, … of an axis, `count` of them: runs of rows [before, axis·after], which kernels copy as a whole. */
function cut(build: PlanBuilder, x: Value, axis: number, start: number, count: number): Value {
  const [before, n, after] = around(x.shape, axis);
  if (count === n) return x;
  const flat = asStored(build, x, [before, n * after]);
  const size = [before, count * after];
  const result = build.call("Slice", { x: flat.slot }, x.dtype, size, { begin: [0, start * after], size });
  return asStored(build, result, withAxis(x.shape, axis, count));
}

/** Zeros before and after the elements of an axis. */
function extend(build: PlanBuilder, x: Value, axis: number, low: number, high: number): Value {
  if (low === 0 && high === 0) return x;
  const [before, n, after] = around(x.shape, axis);
  const flat = asStored(build, x, [before, n * after]);
  const extent = low + n + high;
  const paddings = [[0, 0], [low * after, high * after]]; // prettier-ignore
  const result = build.call("PadV2", { x: flat.slot }, x.dtype, [before, extent * after], { paddings, constantValue: 0 }); // prettier-ignore
  return asStored(build, result, withAxis(x.shape, axis, extent));
}

/** Every `step`-th element of an axis from `start`, `count` of them: rows of `step` elements, of which the first are kept. */
function every(
  build: PlanBuilder,
  x: Value,
  axis: number,
  { start, step, count }: { readonly start: number; readonly step: number; readonly count: number },
): Value {
  if (step === 1 || count === 1) return cut(build, x, axis, start, count);
  const rest = (x.shape[axis] as number) - start; // the axis is legal
  const span = Math.min(count * step, rest);
  const rows = extend(build, cut(build, x, axis, start, span), axis, 0, count * step - span);
  const split = [...x.shape.slice(0, axis), count, step, ...x.shape.slice(axis + 1)];
  const kept = cut(build, asStored(build, rows, split), axis + 1, 0, 1);
  return asStored(build, kept, withAxis(x.shape, axis, count));
}

/** What is stored of a value, all axes there, as a tensor of its own. */
function storedOf(build: PlanBuilder, value: Value): Value {
  const { splat: _splat, ...stored } = asStored(build, value, alignedHeld(value));
  return stored;
}

export const lowerSlice: LowerRule<"slice"> = ({ build, outputs }, inputs, { start, step }) => {
  const x = single(inputs);
  const { shape } = outputs[0] as TensorType; // a slice has one output
  if (x.held.length === 0) return [{ ...x, shape }];
  let stored = storedOf(build, x);
  shape.forEach((count, axis) => {
    if (stored.shape[axis] === 1) return;
    const window = { start: start[axis] as number, step: step[axis] as number, count }; // an entry per axis
    stored = every(build, stored, axis, window);
  });
  return [{ ...stored, shape }];
};

export const lowerPad: LowerRule<"pad"> = ({ build, outputs }, inputs, { low, high, interior }) => {
  const x = single(inputs);
  const type = outputs[0] as TensorType; // a pad has one output
  if (sizeOf(x.shape) === 0 || x.splat === 0) return [build.splat(type, 0)];
  let stored = build.whole(x);
  x.shape.forEach((n, axis) => {
    const gap = interior[axis] as number; // an entry per axis
    if (gap > 0 && n > 1) {
      // A column of zeros behind every element, but for the last.
      const split = [...stored.shape.slice(0, axis), n, 1, ...stored.shape.slice(axis + 1)];
      const spread = extend(build, asStored(build, stored, split), axis + 1, 0, gap);
      const joined = asStored(build, spread, withAxis(stored.shape, axis, n * (gap + 1)));
      stored = cut(build, joined, axis, 0, n * (gap + 1) - gap);
    }
    stored = extend(build, stored, axis, low[axis] as number, high[axis] as number);
  });
  return [stored];
};

export const lowerConcat: LowerRule<"concat"> = ({ build, outputs }, inputs, { axis }) => {
  const { shape, dtype } = outputs[0] as TensorType; // a concat has one output
  const parts = inputs.filter((input) => sizeOf(input.shape) > 0);
  if (parts.length === 1) return [parts[0] as Value];
  const flat = parts.map((part) => {
    const [before, n, after] = around(part.shape, axis);
    return build.holdAs(build.whole(part), [before, n * after]).slot;
  });
  const [before, n, after] = around(shape, axis);
  const joined = build.call("Concat", flat, dtype, [before, n * after], { axis: 1 });
  return [asStored(build, joined, shape)];
};
