/**
 * Lowering of gather and scatterAdd. Indices are clamped first: kernels refuse those that lie outside.
 *
 * Consumed by `index.ts`.
 */
import { sizeOf } from "../../../dsl/program/program.ts";
import type { OpParams, TensorType } from "../../../dsl/program/program.ts";
import { pair, triple } from "../../lowering.ts";
import type { PlanBuilder } from "../builder.ts";
import type { Value } from "../value.ts";
import type { LowerRule } from "./rule.ts";

/** The operand as [batch, middle, n, inner], with `count` indices for each entry of the batch. */
interface Rows {
  readonly batch: number;
  readonly middle: number;
  readonly n: number;
  readonly inner: number;
  readonly count: number;
}

const rowsOf = (operand: Value, indices: Value, { axis, batchDims }: OpParams["gather"]): Rows => ({
  batch: sizeOf(operand.shape.slice(0, batchDims)),
  middle: sizeOf(operand.shape.slice(batchDims, axis)),
  n: operand.shape[axis] as number, // the axis is legal
  inner: sizeOf(operand.shape.slice(axis + 1)),
  count: sizeOf(indices.shape.slice(batchDims)),
});

/** Indices within 0 … n − 1, as [batch, count]. */
function clamped(build: PlanBuilder, indices: Value, { batch, n, count }: Rows): Value {
  const flat = build.shaped(indices, [batch, count]);
  const bound = (value: number): Value => build.splat({ shape: flat.shape, dtype: "i32" }, value);
  const low = build.elementwise("Maximum", { a: flat, b: bound(0) }, "i32");
  return build.elementwise("Minimum", { a: low, b: bound(n - 1) }, "i32");
}

/**
 * The rows of [batch·middle·n, inner] that are meant, as [batch·middle·count]: those of entry (b, m) begin at (b·middle + m)·n. Kernels
 * are called without batches, of which the gather on WebAssembly mixes some up.
 */
function rowNumbers(build: PlanBuilder, indices: Value, rows: Rows): Value {
  const { batch, middle, n, count } = rows;
  const shape = [batch, middle, count];
  const within = build.broadcast(clamped(build, indices, rows), shape, [0, 2]);
  if (batch * middle === 1) return build.reshape(within, [count]);
  const slabs = Array.from({ length: batch * middle }, (_, i) => i * n);
  const first = build.broadcast(build.tensor({ shape: [batch, middle], dtype: "i32" }, slabs), shape, [0, 1]);
  const sum = build.elementwise("Add", { a: first, b: within }, "i32");
  return build.shaped(sum, [batch * middle * count]);
}

export const lowerGather: LowerRule<"gather"> = ({ build, outputs }, inputs, params) => {
  const [operand, indices] = pair(inputs);
  const { shape, dtype } = outputs[0] as TensorType; // a gather has one output
  if (operand.splat !== undefined) return [build.splat({ shape, dtype }, operand.splat)];
  const rows = rowsOf(operand, indices, params);
  const { batch, middle, n, inner, count } = rows;
  const x = build.shaped(operand, [batch * middle * n, inner]);
  const at = build.whole(rowNumbers(build, indices, rows));
  const attributes = { axis: 0, batchDims: 0 };
  const held = [batch * middle * count, inner];
  const operands = { x: x.slot, indices: at.slot };
  const result = build.call("GatherV2", operands, dtype, held, attributes, batch * middle * n);
  return [build.reshape(result, shape)];
};

export const lowerScatterAdd: LowerRule<"scatterAdd"> = ({ build }, inputs, params) => {
  const [operand, indices, updates] = triple(inputs);
  const { shape, dtype } = operand;
  if (sizeOf(updates.shape) === 0) return [operand];
  const rows = rowsOf(operand, indices, params);
  const { batch, middle, n, inner, count } = rows;
  const total = batch * middle * count;
  const at = build.shaped(rowNumbers(build, indices, rows), [total, 1]);
  const given = build.shaped(updates, [total, inner]);
  const held = [batch * middle * n, inner];
  const operands = { indices: at.slot, updates: given.slot };
  const sum = build.reshape(
    build.call("ScatterNd", operands, dtype, held, { shape: held }, batch * middle * n),
    shape,
  );
  return [operand.splat === 0 ? sum : build.elementwise("Add", { a: operand, b: sum }, dtype)];
};
