/**
 * Ops that make, move or rearrange elements without computing on them. All but `constant` and `iota` are linear.
 * To add one: parameters in `program.ts`, an entry here, a line in `ops/index.ts`.
 */
import { formatType, sizeOf } from "../program/program.ts";
import type { OpParams, TensorType } from "../program/program.ts";
import { require } from "./definition.ts";
import type { OpDefinition } from "./definition.ts";

/** The single operand of a unary structural op. */
export function only(op: string, inputs: readonly TensorType[]): TensorType {
  require(inputs.length === 1, () => `${op} takes 1 tensor, got ${inputs.length}`);
  return inputs[0] as TensorType; // present: length was checked
}

/** Checks an extent list: whole, non-negative numbers. */
export function legalShape(op: string, shape: readonly number[]): void {
  require(shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0), () =>
    `${op}: [${shape.join(",")}] is not a shape of whole numbers >= 0`);
}

export function legalAxis(op: string, axis: number, rank: number): void {
  require(Number.isInteger(axis) && axis >= 0 && axis < rank, () =>
    `${op}: axis ${axis} is out of range for rank ${rank}`);
}

/** Checks that `axes` are distinct and within the rank. */
export function legalAxes(op: string, axes: readonly number[], rank: number): void {
  for (const axis of axes) legalAxis(op, axis, rank);
  require(new Set(axes).size === axes.length, () => `${op}: axes [${axes.join(",")}] repeat an axis`);
}

export const CONSTANT: OpDefinition<"constant"> = {
  doc: "A tensor of known values, row-major, or one scalar for all entries.",
  infer(inputs, { shape, dtype, values }) {
    require(inputs.length === 0, () => "constant takes no tensors");
    legalShape("constant", shape);
    require(!Array.isArray(values) || values.length === sizeOf(shape), () =>
      `constant: ${(values as readonly unknown[]).length} values for shape [${shape.join(",")}]`);
    return [{ shape, dtype }];
  },
};

export const IOTA: OpDefinition<"iota"> = {
  doc: "0, 1, 2, … along one axis, repeated along the others. Number dtypes only.",
  infer(inputs, { shape, dtype, axis }) {
    require(inputs.length === 0, () => "iota takes no tensors");
    legalShape("iota", shape);
    legalAxis("iota", axis, shape.length);
    require(dtype !== "bool", () => "iota is not defined for bool");
    return [{ shape, dtype }];
  },
};

export const BROADCAST: OpDefinition<"broadcast"> = {
  doc: "Repeats: input axis i becomes output axis dims[i], of the same extent or stretched from 1; new axes repeat the whole.",
  infer(inputs, { shape, dims }) {
    const input = only("broadcast", inputs);
    legalShape("broadcast", shape);
    require(dims.length === input.shape.length, () =>
      `broadcast: ${dims.length} dims for an input of rank ${input.shape.length}`);
    legalAxes("broadcast", dims, shape.length);
    dims.forEach((dim, i) => {
      require(i === 0 || dim > (dims[i - 1] as number), () =>
        `broadcast: dims [${dims.join(",")}] must increase`);
      const from = input.shape[i];
      const to = shape[dim];
      require(from === to || from === 1, () =>
        `broadcast: ${formatType(input)} does not stretch to [${shape.join(",")}]: ${from} vs ${to}`);
    });
    return [{ shape, dtype: input.dtype }];
  },
};

export const RESHAPE: OpDefinition<"reshape"> = {
  doc: "The same elements in row-major order under another shape of equal size.",
  infer(inputs, { shape }) {
    const input = only("reshape", inputs);
    legalShape("reshape", shape);
    require(sizeOf(shape) === sizeOf(input.shape), () =>
      `reshape: [${input.shape.join(",")}] has ${sizeOf(input.shape)} elements, [${shape.join(",")}] has ${sizeOf(shape)}`);
    return [{ shape, dtype: input.dtype }];
  },
};

export const TRANSPOSE: OpDefinition<"transpose"> = {
  doc: "Permutes axes: output axis i is input axis perm[i].",
  infer(inputs, { perm }) {
    const input = only("transpose", inputs);
    require(perm.length === input.shape.length, () =>
      `transpose: permutation [${perm.join(",")}] for rank ${input.shape.length}`);
    legalAxes("transpose", perm, input.shape.length);
    return [{ shape: perm.map((axis) => input.shape[axis] as number), dtype: input.dtype }];
  },
};

/** Number of elements that start:stop:step selects. */
const sliceExtent = (start: number, stop: number, step: number): number =>
  Math.max(0, Math.ceil((stop - start) / step));

export const SLICE: OpDefinition<"slice"> = {
  doc: "start:stop:step along every axis, 0 <= start <= stop <= extent, step >= 1.",
  infer(inputs, { start, stop, step }) {
    const input = only("slice", inputs);
    const rank = input.shape.length;
    require(start.length === rank && stop.length === rank && step.length === rank, () =>
      `slice: bounds for rank ${start.length} on rank ${rank}`);
    const shape = input.shape.map((dim, i) => {
      const [from, to, by] = [start[i] as number, stop[i] as number, step[i] as number];
      require(Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= dim, () =>
        `slice: ${from}:${to} is out of range for axis ${i} of extent ${dim}`);
      require(Number.isInteger(by) && by >= 1, () => `slice: step ${by} must be a whole number >= 1`);
      return sliceExtent(from, to, by);
    });
    return [{ shape, dtype: input.dtype }];
  },
};

export const PAD: OpDefinition<"pad"> = {
  doc: "Adds zeros: `low` before, `high` after, `interior` between neighbours of every axis, all >= 0.",
  infer(inputs, { low, high, interior }) {
    const input = only("pad", inputs);
    const rank = input.shape.length;
    for (const amounts of [low, high, interior]) {
      require(amounts.length === rank, () => `pad: amounts for rank ${amounts.length} on rank ${rank}`);
      legalShape("pad", amounts);
    }
    const shape = input.shape.map(
      (dim, i) =>
        dim + (low[i] as number) + (high[i] as number) + Math.max(0, dim - 1) * (interior[i] as number),
    );
    return [{ shape, dtype: input.dtype }];
  },
};

export const CONCAT: OpDefinition<"concat"> = {
  doc: "Joins one or more tensors along an axis; the other extents and the dtypes must agree.",
  infer(inputs, { axis }) {
    require(inputs.length >= 1, () => "concat takes at least 1 tensor");
    const first = inputs[0] as TensorType;
    legalAxis("concat", axis, first.shape.length);
    let extent = 0;
    for (const input of inputs) {
      require(input.dtype === first.dtype, () =>
        `concat: dtypes differ: ${first.dtype} vs ${input.dtype}; use cast`);
      const fits =
        input.shape.length === first.shape.length &&
        input.shape.every((dim, i) => i === axis || dim === first.shape[i]);
      require(fits, () =>
        `concat: shapes differ away from axis ${axis}: [${first.shape.join(",")}] vs [${input.shape.join(",")}]`);
      extent += input.shape[axis] as number;
    }
    return [{ shape: first.shape.map((dim, i) => (i === axis ? extent : dim)), dtype: first.dtype }];
  },
};

/** Checks what gather and scatterAdd share and returns the type of the gathered rows. */
function gatheredType(
  op: string,
  operand: TensorType,
  indices: TensorType,
  { axis, batchDims }: OpParams["gather"],
): TensorType {
  legalAxis(op, axis, operand.shape.length);
  require(indices.dtype === "i32", () => `${op}: indices must be i32, got ${indices.dtype}`);
  require(batchDims >= 0 && batchDims <= axis && batchDims <= indices.shape.length, () =>
    `${op}: ${batchDims} batch axes do not fit axis ${axis} and indices of rank ${indices.shape.length}`);
  for (let i = 0; i < batchDims; i++) {
    require(operand.shape[i] === indices.shape[i], () =>
      `${op}: batch axis ${i} is ${operand.shape[i]} in the operand and ${indices.shape[i]} in the indices`);
  }
  const shape = [
    ...operand.shape.slice(0, axis),
    ...indices.shape.slice(batchDims),
    ...operand.shape.slice(axis + 1),
  ];
  require(operand.shape[axis] !== 0 || sizeOf(indices.shape) === 0, () =>
    `${op}: cannot index axis ${axis} of extent 0`);
  return { shape, dtype: operand.dtype };
}

export const GATHER: OpDefinition<"gather"> = {
  doc:
    "gather(operand, indices): operand.shape[:axis] + indices.shape[batchDims:] + operand.shape[axis+1:]; the first batchDims " +
    "axes are aligned. Indices are i32 and clamped to the axis, on every target.",
  infer(inputs, params) {
    require(inputs.length === 2, () => `gather takes 2 tensors, got ${inputs.length}`);
    return [gatheredType("gather", inputs[0] as TensorType, inputs[1] as TensorType, params)];
  },
};

export const SCATTER_ADD: OpDefinition<"scatterAdd"> = {
  doc:
    "scatterAdd(operand, indices, updates): operand plus the updates added at the (clamped) indices: the transpose of gather. " +
    "Repeated indices accumulate, in a fixed order.",
  infer(inputs, params) {
    require(inputs.length === 3, () => `scatterAdd takes 3 tensors, got ${inputs.length}`);
    const [operand, indices, updates] = inputs as readonly [TensorType, TensorType, TensorType];
    const expected = gatheredType("scatterAdd", operand, indices, params);
    require(formatType(expected) === formatType(updates), () =>
      `scatterAdd: updates are ${formatType(updates)}, expected ${formatType(expected)}`);
    require(operand.dtype !== "bool", () => "scatterAdd is not defined for bool");
    return [operand];
  },
};
