/**
 * Lowering of the ops that make, move or rearrange elements. Broadcasts and most reshapes write nothing (see
 * `value.ts`). Consumed by `index.ts`. To add an op: a rule here, a line there.
 */
import { decodeScalar } from "../../../dsl/program/program.ts";
import type { JsonScalar } from "../../../dsl/program/program.ts";
import { single } from "../../lowering.ts";
import { int } from "../emitter.ts";
import type { Emitter } from "../emitter.ts";
import { ElementType } from "../proto.ts";
import { alignedHeld, elementOf } from "../value.ts";
import type { Value } from "../value.ts";
import type { LowerRule } from "./rule.ts";

export const lowerConstant: LowerRule<"constant"> = ({ emit }, _inputs, { shape, dtype, values }) => {
  const element = elementOf(dtype);
  // Array.isArray does not narrow readonly arrays.
  if (!Array.isArray(values))
    return [emit.splat(element, shape, normal(element, decodeScalar(values as JsonScalar)))];
  return [
    emit.tensor(
      element,
      shape,
      (values as readonly JsonScalar[]).map((value) => normal(element, decodeScalar(value))),
    ),
  ];
};

/**
 * The number as its element type holds it: integers wrapped, bool 0 or 1; floats round when they are written.
 */
function normal(element: ElementType, value: number): number {
  if (element === ElementType.int32) return value | 0;
  if (element === ElementType.uint32) return value >>> 0;
  return element === ElementType.bool ? Number(value !== 0) : value;
}

/** Longest iota that is stored in the model; longer ones are counted out when it is loaded. */
const STORED_IOTA = 256;

/** 0, 1, …, n − 1. Floats count in f32, exact up to 2²⁴. */
export function iota(emit: Emitter, element: ElementType, length: number): Value {
  if (length <= STORED_IOTA)
    return emit.tensor(
      element,
      [length],
      Array.from({ length }, (_, i) => i),
    );
  const bounds = [0, length, 1].map((bound) => emit.scalar(ElementType.int64, bound).name);
  return emit.cast(emit.make("Range", bounds, ElementType.int64, [length]), element);
}

export const lowerIota: LowerRule<"iota"> = ({ emit }, _inputs, { shape, dtype, axis }) => [
  emit.broadcast(iota(emit, elementOf(dtype), shape[axis] as number), shape, [axis]),
];

export const lowerBroadcast: LowerRule<"broadcast"> = ({ emit }, inputs, { shape, dims }) => [
  emit.broadcast(single(inputs), shape, dims),
];

export const lowerReshape: LowerRule<"reshape"> = ({ emit }, inputs, { shape }) => [
  emit.reshape(single(inputs), shape),
];

export const lowerTranspose: LowerRule<"transpose"> = ({ emit }, inputs, { perm }) => [
  emit.transpose(single(inputs), perm),
];

interface AxisSlice {
  readonly axis: number;
  readonly start: number;
  readonly stop: number;
  readonly step: number;
}

/** start:stop:step on some axes. Axes along which nothing varies are not touched. */
export function sliceAxes(emit: Emitter, value: Value, slices: readonly AxisSlice[]): Value {
  const shape = [...value.shape];
  for (const { axis, start, stop, step } of slices)
    shape[axis] = Math.max(0, Math.ceil((stop - start) / step));
  const aligned = alignedHeld(value);
  const real = slices.filter(
    ({ axis, start, stop, step }) =>
      aligned[axis] !== 1 && (start !== 0 || stop !== value.shape[axis] || step !== 1),
  );
  if (real.length === 0) return { ...value, shape };
  const { name } = emit.aligned(value);
  const list = (pick: (slice: AxisSlice) => number): string => emit.indices(real.map(pick));
  const inputs = [name, list((s) => s.start), list((s) => s.stop), list((s) => s.axis), list((s) => s.step)];
  const held = aligned.map((extent, axis) => (extent === 1 ? 1 : (shape[axis] as number)));
  return { name: emit.node("Slice", inputs)[0] as string, element: value.element, shape, held };
}

export const lowerSlice: LowerRule<"slice"> = ({ emit }, inputs, { start, stop, step }) => [
  sliceAxes(
    emit,
    single(inputs),
    start.map((from, axis) => ({
      axis,
      start: from,
      stop: stop[axis] as number,
      step: step[axis] as number,
    })),
  ),
];

/** Zeros before and after, per axis. */
function padEnds(emit: Emitter, value: Value, low: readonly number[], high: readonly number[]): Value {
  const axes = value.shape.flatMap((_, axis) => (low[axis] === 0 && high[axis] === 0 ? [] : [axis]));
  if (axes.length === 0) return value;
  const rest = value.shape.flatMap((_, axis) => (axes.includes(axis) ? [] : [axis]));
  const operand = emit.whole(value, rest);
  const grow = (extent: number, axis: number): number =>
    extent + (low[axis] as number) + (high[axis] as number);
  const name = emit.node("Pad", [operand.name, emit.indices([...low, ...high])])[0] as string; // one output
  return { name, element: value.element, shape: value.shape.map(grow), held: operand.held.map(grow) };
}

export const lowerPad: LowerRule<"pad"> = ({ emit, outputs }, inputs, { low, high, interior }) => {
  let value = single(inputs);
  const { shape } = outputs[0] as (typeof outputs)[number]; // pad has one output
  if (value.shape.includes(0)) return [emit.splat(value.element, shape, 0)];
  interior.forEach((gap, axis) => {
    const extent = value.shape[axis] as number;
    if (gap === 0 || extent === 1) return;
    // Each element becomes a row of itself and the gap; the rows are joined and the last gap cut off.
    const split = [...value.shape.slice(0, axis + 1), 1, ...value.shape.slice(axis + 1)];
    const none = split.map(() => 0);
    const rows = padEnds(emit, emit.reshape(emit.whole(value), split), none, none.with(axis + 1, gap));
    const joined = emit.reshape(rows, value.shape.with(axis, extent * (gap + 1)));
    value = sliceAxes(emit, joined, [{ axis, start: 0, stop: extent + (extent - 1) * gap, step: 1 }]);
  });
  return [padEnds(emit, value, low, high)];
};

export const lowerConcat: LowerRule<"concat"> = ({ emit, outputs }, inputs, { axis }) => {
  const parts = inputs.filter((part) => part.shape[axis] !== 0);
  const { shape } = outputs[0] as (typeof outputs)[number]; // concat has one output
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return [first];
  // An axis along which no part varies stays broadcast.
  const held = parts.map(alignedHeld);
  const compact = shape.flatMap((_, i) =>
    i !== axis && held.every((extents) => extents[i] === 1) ? [i] : [],
  );
  const operands = parts.map((part) => emit.whole(part, compact));
  const result = emit.node(
    "Concat",
    operands.map((part) => part.name),
    { axis: int(axis) },
  )[0] as string; // one output
  return [
    {
      name: result,
      element: single(inputs).element,
      shape,
      held: shape.map((extent, i) => (compact.includes(i) ? 1 : extent)),
    },
  ];
};
