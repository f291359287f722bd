/**
 * Lowering of sums, maxima, prefix sums, argmax and sort. ONNX Runtime has no kernels for u32 here: prefix
 * sums run on the same bits as i32, comparisons on i32 of the same order. What it does with NaN is mended in `nan.ts`.
 *
 * Consumed by `index.ts`. The order in which a sum adds is ONNX Runtime's.
 */
import { single } from "../../lowering.ts";
import { int } from "../emitter.ts";
import type { Emitter } from "../emitter.ts";
import { ElementType } from "../proto.ts";
import { alignedHeld } from "../value.ts";
import type { Value } from "../value.ts";
import { isNaNOf, unlessNaN } from "./nan.ts";
import type { LowerRule } from "./rule.ts";

const { float32, int32, int64, uint32 } = ElementType;

/**
 * Flips the top bit, so that the order of u32 is that of the same bits as i32; its own inverse up to the
 * cast.
 */
const flipTop = (emit: Emitter, value: Value): Value =>
  emit.elementwise("BitwiseXor", [
    value,
    emit.scalar(value.element, value.element === uint32 ? 2 ** 31 : -(2 ** 31)),
  ]);

const toOrdered = (emit: Emitter, value: Value): Value =>
  value.element === uint32 ? emit.cast(flipTop(emit, value), int32) : value;

const fromOrdered = (emit: Emitter, value: Value, element: ElementType): Value =>
  element === uint32 ? flipTop(emit, emit.cast(value, uint32)) : value;

const toSigned = (emit: Emitter, value: Value): Value =>
  value.element === uint32 ? emit.cast(value, int32) : value;

/** Reduces what is stored along the axes; axes along which nothing varies just go. */
function reduce(
  emit: Emitter,
  op: "ReduceSum" | "ReduceMax" | "ReduceL1",
  value: Value,
  axes: readonly number[],
): Value {
  const kept = <T>(extents: readonly T[]): readonly T[] => extents.filter((_, axis) => !axes.includes(axis));
  const shape = kept(value.shape);
  if (value.held.length === 0) return { ...value, shape };
  const operand = emit.aligned(value);
  // One output.
  const name = emit.node(op, [operand.name, emit.indices(axes)], { keepdims: int(0) })[0] as string;
  return { name, element: value.element, shape, held: kept(operand.held) };
}

/** Sum over axes (removed). What is equal along an axis is multiplied by its extent instead. */
export function sum(emit: Emitter, value: Value, axes: readonly number[]): Value {
  if (axes.length === 0) return value;
  const held = alignedHeld(value);
  const copies = axes.reduce(
    (product, axis) => product * (held[axis] === 1 ? (value.shape[axis] as number) : 1),
    1,
  );
  const partial = reduce(emit, "ReduceSum", value, axes);
  return copies === 1
    ? partial
    : emit.elementwise("Mul", [partial, emit.splat(partial.element, partial.shape, copies)]);
}

/** Maximum over axes (removed). Keeps a NaN only where it comes first: for those after whom a sum over the same entries keeps it. */
export const maximum = (emit: Emitter, value: Value, axes: readonly number[]): Value =>
  axes.length === 0 ? value : reduce(emit, "ReduceMax", value, axes);

export const lowerReduceSum: LowerRule<"reduceSum"> = ({ emit, outputs }, inputs, { axes }) =>
  emit.inFloat32(inputs, (operands) => {
    const x = single(operands);
    if (x.shape.includes(0)) return [emit.splat(x.element, outputs[0]?.shape ?? [], 0)];
    // The sum of int32 saturates in ONNX Runtime; that of int64 is exact, and its low half is the sum that
    // wraps.
    const wide = x.element === ElementType.float32 ? x : emit.cast(x, int64);
    return [emit.cast(sum(emit, wide, axes), x.element)];
  });

export const lowerReduceMax: LowerRule<"reduceMax"> = ({ emit, nanAbsorbed }, inputs, { axes }) =>
  emit.inFloat32(inputs, (operands) => {
    const x = emit.aligned(single(operands));
    if (x.element !== float32) return [fromOrdered(emit, maximum(emit, toOrdered(emit, x), axes), x.element)];
    const most = maximum(emit, x, axes);
    if (nanAbsorbed || axes.every((axis) => x.held[axis] === 1)) return [most];
    return unlessNaN(emit, x, [most], (inner) => {
      // No ∞ − ∞ in a sum of absolute values: it is NaN just where there is one.
      const size = reduce(inner, "ReduceL1", x, axes);
      return [inner.elementwise("Where", [isNaNOf(inner, size), size, most])];
    });
  });

const others = (value: Value, axis: number): readonly number[] =>
  value.shape.flatMap((_, i) => (i === axis ? [] : [i]));

/** The operand with `axis` written out; the other axes may stay broadcast. */
const wholeAlong = (emit: Emitter, value: Value, axis: number): Value =>
  emit.whole(emit.aligned(value), others(value, axis));

export const lowerCumsum: LowerRule<"cumsum"> = ({ emit }, inputs, { axis, reverse }) =>
  emit.inFloat32(inputs, (operands) => {
    const x = single(operands);
    const operand = wholeAlong(emit, toSigned(emit, x), axis);
    const along = emit.scalar(int64, axis).name;
    // One output.
    const name = emit.node("CumSum", [operand.name, along], { reverse: int(Number(reverse)) })[0] as string;
    return [emit.cast({ name, element: operand.element, shape: x.shape, held: operand.held }, x.element)];
  });

export const lowerArgmax: LowerRule<"argmax"> = ({ emit }, inputs, { axis }) =>
  emit.inFloat32(inputs, (operands) => {
    const operand = emit.aligned(toOrdered(emit, single(operands)));
    const shape = operand.shape.filter((_, i) => i !== axis);
    // Equal along the axis: the first is the maximum.
    if (operand.held[axis] === 1) return [emit.splat(int32, shape, 0)];
    const held = operand.held.filter((_, i) => i !== axis);
    const firstMost = (into: Emitter, value: Value): Value => {
      // One output.
      const name = into.node("ArgMax", [value.name], { axis: int(axis), keepdims: int(0) })[0] as string;
      return { name, element: int64, shape, held };
    };
    const usual = firstMost(emit, operand);
    if (operand.element !== float32) return [emit.cast(usual, int32)];
    const position = unlessNaN(emit, operand, [usual], (inner) => {
      const flags = inner.cast(isNaNOf(inner, operand), int32);
      const has = inner.cast(maximum(inner, flags, [axis]), ElementType.bool);
      return [inner.elementwise("Where", [has, firstMost(inner, flags), usual])];
    });
    return [emit.cast(single(position), int32)];
  });

/** Values along an axis in ascending order, and their positions (int64). Ties keep their order; a NaN brings disorder. */
function ascending(emit: Emitter, value: Value, axis: number): readonly [Value, Value] {
  // The whole axis as its own top k.
  const count = emit.indices([value.held[axis] as number]);
  const attributes = { axis: int(axis), largest: int(0), sorted: int(1) };
  const [values, positions] = emit.node("TopK", [value.name, count], attributes, 2) as readonly [
    string,
    string,
  ];
  return [
    { ...value, name: values },
    { ...value, name: positions, element: int64 },
  ];
}

/** The same with the NaN last: sorted as if they were ∞, and then, ties keeping their order, by which are. */
function ascendingNaNLast(emit: Emitter, value: Value, axis: number): readonly [Value, Value] {
  const at = (from: Value, positions: Value): Value => {
    const name = emit.node("GatherElements", [from.name, positions.name], { axis: int(axis) })[0] as string;
    return { ...from, name };
  };
  const missing = isNaNOf(emit, value);
  const filled = emit.elementwise("Where", [missing, emit.scalar(float32, Infinity), value]);
  const [, byValue] = ascending(emit, filled, axis);
  const [, byKind] = ascending(emit, at(emit.cast(missing, int32), byValue), axis);
  const positions = at(byValue, byKind);
  return [at(value, positions), positions];
}

export const lowerSort: LowerRule<"sort"> = ({ emit }, inputs, { axis }) =>
  emit.inFloat32(inputs, (operands) => {
    const x = single(operands);
    const operand = wholeAlong(emit, toOrdered(emit, x), axis);
    const usual = ascending(emit, operand, axis);
    const [values, positions] = (
      operand.element === float32
        ? unlessNaN(emit, operand, usual, (inner) => ascendingNaNLast(inner, operand, axis))
        : usual
    ) as readonly [Value, Value]; // both give two
    return [fromOrdered(emit, values, x.element), emit.cast(positions, int32)];
  });
