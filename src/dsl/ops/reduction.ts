/**
 * Ops that combine elements along axes: sums, maxima, prefix sums, argmax, sort and the general dot product.
 * Reductions run in a fixed order on every target. To add one: parameters in `program.ts`, an entry here, a line in `ops/index.ts`.
 */
import { formatType } from "../program/program.ts";
import type { OpParams, TensorType } from "../program/program.ts";
import { require } from "./definition.ts";
import type { OpDefinition } from "./definition.ts";
import { legalAxes, legalAxis, only } from "./structural.ts";

function numeric(op: string, type: TensorType): TensorType {
  require(type.dtype !== "bool", () => `${op} is not defined for bool; use cast`);
  return type;
}

function reduce(op: "reduceSum" | "reduceMax", doc: string): OpDefinition<typeof op> {
  return {
    doc,
    infer(inputs, { axes }) {
      const input = numeric(op, only(op, inputs));
      legalAxes(op, axes, input.shape.length);
      require(op === "reduceSum" || axes.every((axis) => input.shape[axis] !== 0), () =>
        `${op}: the maximum over an axis of extent 0 does not exist`);
      return [{ shape: input.shape.filter((_, i) => !axes.includes(i)), dtype: input.dtype }];
    },
  };
}

export const REDUCE_SUM: OpDefinition<"reduceSum"> = reduce(
  "reduceSum",
  "Sum over `axes`, which are removed. The sum over nothing is 0.",
);
export const REDUCE_MAX: OpDefinition<"reduceMax"> = reduce(
  "reduceMax",
  "Maximum over `axes`, which are removed and must not be empty. NaN where an entry is.",
);

export const CUMSUM: OpDefinition<"cumsum"> = {
  doc: "Inclusive prefix sums along `axis`, from the end when `reverse`.",
  infer(inputs, { axis }) {
    const input = numeric("cumsum", only("cumsum", inputs));
    legalAxis("cumsum", axis, input.shape.length);
    return [input];
  },
};

export const ARGMAX: OpDefinition<"argmax"> = {
  doc: "i32 index of the first maximum along `axis`, which is removed and must not be empty. NaN is the greatest.",
  infer(inputs, { axis }) {
    const input = numeric("argmax", only("argmax", inputs));
    legalAxis("argmax", axis, input.shape.length);
    require(input.shape[axis] !== 0, () => "argmax: the axis has extent 0");
    return [{ shape: input.shape.filter((_, i) => i !== axis), dtype: "i32" }];
  },
};

export const SORT: OpDefinition<"sort"> = {
  doc: "Ascending stable sort along `axis`: (values, i32 positions they came from). NaN comes last.",
  infer(inputs, { axis }) {
    const input = numeric("sort", only("sort", inputs));
    legalAxis("sort", axis, input.shape.length);
    return [input, { shape: input.shape, dtype: "i32" }];
  },
};

/** Axes of an operand of rank `rank` that are neither batch nor contracted. */
export const freeAxes = (
  rank: number,
  batch: readonly number[],
  contract: readonly number[],
): readonly number[] =>
  Array.from({ length: rank }, (_, i) => i).filter((i) => !batch.includes(i) && !contract.includes(i));

function sideAxes(op: string, type: TensorType, batch: readonly number[], contract: readonly number[]): void {
  legalAxes(op, [...batch, ...contract], type.shape.length);
}

export const DOT: OpDefinition<"dot"> = {
  doc: "General dot product: sums products over the contracted axes; result axes are [batch, free of lhs, free of rhs]. Floats only.",
  infer(inputs, params: OpParams["dot"]) {
    require(inputs.length === 2, () => `dot takes 2 tensors, got ${inputs.length}`);
    const [lhs, rhs] = inputs as readonly [TensorType, TensorType];
    require(lhs.dtype === rhs.dtype, () => `dot: dtypes differ: ${lhs.dtype} vs ${rhs.dtype}; use cast`);
    require(lhs.dtype === "f32" || lhs.dtype === "f16", () => `dot is not defined for ${lhs.dtype}`);
    sideAxes("dot", lhs, params.lhsBatch, params.lhsContract);
    sideAxes("dot", rhs, params.rhsBatch, params.rhsContract);
    const pairs = [
      [params.lhsBatch, params.rhsBatch, "batch"],
      [params.lhsContract, params.rhsContract, "inner"],
    ] as const;
    for (const [left, right, what] of pairs) {
      require(left.length === right.length, () =>
        `dot: ${left.length} ${what} axes on the left, ${right.length} on the right`);
      left.forEach((axis, i) => {
        const [a, b] = [lhs.shape[axis], rhs.shape[right[i] as number]];
        require(a === b, () =>
          `dot: ${what} dimensions differ: ${a} vs ${b} (${formatType(lhs)} and ${formatType(rhs)})`);
      });
    }
    const free = (type: TensorType, batch: readonly number[], contract: readonly number[]): number[] =>
      freeAxes(type.shape.length, batch, contract).map((axis) => type.shape[axis] as number);
    return [
      {
        shape: [
          ...params.lhsBatch.map((axis) => lhs.shape[axis] as number),
          ...free(lhs, params.lhsBatch, params.lhsContract),
          ...free(rhs, params.rhsBatch, params.rhsContract),
        ],
        dtype: lhs.dtype,
      },
    ];
  },
};
