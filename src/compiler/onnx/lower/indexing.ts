/**
 * Lowering of gather and scatterAdd. Both work on the operand as [batch·axis, rest] rows: batch entry b's
 * index i is row b·extent + i. Indices are clamped first. Sums go through ScatterElements, which adds one
 * update after the other in a fixed order; ScatterND adds in parallel and loses updates of equal index.
 *
 * Consumed by `index.ts`.
 */
import { sizeOf } from "../../../dsl/program/program.ts";
import type { OpParams } from "../../../dsl/program/program.ts";
import { pair, triple } from "../../lowering.ts";
import { int, string } from "../emitter.ts";
import type { Emitter } from "../emitter.ts";
import { ElementType } from "../proto.ts";
import type { Value } from "../value.ts";
import type { LowerRule } from "./rule.ts";
import { iota } from "./structural.ts";

const { int32, uint32 } = ElementType;

const clamp = (emit: Emitter, indices: Value, extent: number): Value =>
  emit.elementwise("Clip", [indices, emit.scalar(int32, 0), emit.scalar(int32, extent - 1)]);

const range = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);

/** The clamped indices as rows of [batch·extent, …]: the batch entry's number times the extent added. */
function rowIndices(emit: Emitter, indices: Value, batchDims: number, extent: number): Value {
  const clamped = clamp(emit, indices, extent);
  if (batchDims === 0) return emit.whole(clamped);
  const batch = indices.shape.slice(0, batchDims);
  const number = emit.reshape(iota(emit, int32, sizeOf(batch)), batch);
  const offset = emit.elementwise("Mul", [number, emit.scalar(int32, extent)]);
  return emit.whole(
    emit.elementwise("Add", [clamped, emit.broadcast(offset, indices.shape, range(0, batchDims))]),
  );
}

/** Brings `axis` to just behind the batch axes; the inverse permutation brings it back. */
function axisFirst(rank: number, axis: number, batchDims: number): readonly number[] {
  const rest = range(batchDims, rank).filter((i) => i !== axis);
  return [...range(0, batchDims), axis, ...rest];
}

const invert = (perm: readonly number[]): readonly number[] => perm.map((_, i) => perm.indexOf(i));

/**
 * Permutation from gathered rows [batch, indices, before the axis, after it] to gather's own order
 * [batch, before the axis, indices, after it].
 */
function rowsToResult(
  rank: number,
  { axis, batchDims }: OpParams["gather"],
  indexRank: number,
): readonly number[] {
  const indices = range(batchDims, batchDims + indexRank);
  const before = range(batchDims + indexRank, indexRank + axis);
  return [...range(0, batchDims), ...before, ...indices, ...range(indexRank + axis, rank)];
}

export const lowerGather: LowerRule<"gather"> = ({ emit, outputs }, inputs, params) => {
  const [operand, indices] = pair(inputs);
  const { axis, batchDims } = params;
  const extent = operand.shape[axis] as number;
  const shape = outputs[0]?.shape ?? []; // gather has one output
  if (batchDims === 0) {
    const at = emit.whole(clamp(emit, indices, extent));
    const rows = emit.whole(operand);
    return [emit.make("Gather", [rows.name, at.name], operand.element, shape, { axis: int(axis) })];
  }
  const moved = emit.whole(emit.transpose(operand, axisFirst(operand.shape.length, axis, batchDims)));
  const rest = moved.shape.slice(batchDims + 1);
  const rows = emit.whole(emit.reshape(moved, [sizeOf(moved.shape.slice(0, batchDims + 1)), ...rest]));
  const at = rowIndices(emit, indices, batchDims, extent);
  const gathered = emit.make("Gather", [rows.name, at.name], operand.element, [...indices.shape, ...rest], {
    axis: int(0),
  });
  return [emit.transpose(gathered, rowsToResult(shape.length, params, indices.shape.length - batchDims))];
};

export const lowerScatterAdd: LowerRule<"scatterAdd"> = ({ emit }, inputs, params) => {
  const [target, indices, updates] = triple(inputs);
  if (updates.shape.includes(0)) return [target];
  return emit.inFloat32([target, updates], (operands) => {
    const [operand, addends] = pair(operands).map((value) =>
      value.element === uint32 ? emit.cast(value, int32) : value,
    ) as readonly Value[] as readonly [Value, Value]; // map keeps the pair
    const { axis, batchDims } = params;
    const rank = operand.shape.length;
    const perm = axisFirst(rank, axis, batchDims);
    const moved = emit.whole(emit.transpose(operand, perm));
    const rest = sizeOf(moved.shape.slice(batchDims + 1));
    const rowShape = [sizeOf(moved.shape.slice(0, batchDims + 1)), rest];
    const count = sizeOf(indices.shape);
    const toRows = invert(rowsToResult(updates.shape.length, params, indices.shape.length - batchDims));
    const added = emit.reshape(emit.transpose(addends, toRows), [count, rest]);
    const at = emit.reshape(rowIndices(emit, indices, batchDims, operand.shape[axis] as number), [count]);
    const spread = emit.whole(emit.broadcast(at, [count, rest], [0]));
    const names = [emit.reshape(moved, rowShape), spread, added].map((value) => emit.whole(value).name);
    const rows = emit.make("ScatterElements", names, operand.element, rowShape, {
      axis: int(0),
      reduction: string("add"),
    });
    return [emit.cast(emit.transpose(emit.reshape(rows, moved.shape), invert(perm)), target.element)];
  });
};
