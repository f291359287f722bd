/**
 * Lowering of reductions, running sums and sort. Sort is for the host: the kernel for the largest elements knows neither NaN nor
 * the order of equals.
 *
 * Consumed by `index.ts`.
 */
import { sizeOf } from "../../../dsl/program/program.ts";
import type { TensorType } from "../../../dsl/program/program.ts";
import { isFloat } from "../../../dsl/types/dtype.ts";
import { single } from "../../lowering.ts";
import type { PlanBuilder } from "../builder.ts";
import type { Value } from "../value.ts";
import { product } from "./dot.ts";
import { choose, isNaN, ordered, unordered } from "./elementwise.ts";
import { onHost } from "./rule.ts";
import type { LowerRule } from "./rule.ts";

const sorted = (axes: readonly number[]): readonly number[] => [...axes].sort((a, b) => a - b);

export const lowerReduceSum: LowerRule<"reduceSum"> = ({ build, outputs }, inputs, { axes }) => {
  const x = single(inputs);
  const type = outputs[0] as TensorType; // a sum has one output
  if (axes.length === 0) return [x];
  if (sizeOf(x.shape) === 0) return [build.splat(type, 0)];
  const rows = sizeOf(x.shape.slice(0, axes.length));
  const columns = sizeOf(x.shape.slice(axes.length));
  if (isFloat(x.dtype) && columns > 1 && sorted(axes).every((axis, i) => axis === i)) {
    // Sums of whole rows as a product with ones, since the kernel would transpose first.
    const ones = build.whole(build.splat({ shape: [1, 1, rows], dtype: x.dtype }, 1));
    const sums = product(build, ones, build.shaped(x, [1, rows, columns]));
    return [build.reshape(sums, type.shape)];
  }
  const attributes = { axis: sorted(axes), keepDims: false };
  return [build.call("Sum", { x: build.whole(x).slot }, type.dtype, type.shape, attributes)];
};

/** The maximum of no elements. */
const LEAST = { f32: -Infinity, f16: -Infinity, i32: -(2 ** 31), u32: 0, bool: 0 } as const;

export const lowerReduceMax: LowerRule<"reduceMax"> = ({ build, outputs }, inputs, { axes }) => {
  const x = single(inputs);
  const type = outputs[0] as TensorType; // a maximum has one output
  if (axes.length === 0) return [x];
  if (sizeOf(x.shape) === 0) return [build.splat(type, LEAST[type.dtype])];
  const attributes = { reductionIndices: sorted(axes), keepDims: false };
  const operand = build.whole(ordered(build, x));
  const largest = build.call("Max", { x: operand.slot }, operand.dtype, type.shape, attributes);
  return [unordered(build, largest, x.dtype)];
};

export const lowerCumsum: LowerRule<"cumsum"> = ({ build }, inputs, { axis, reverse }) => {
  const x = build.whole(single(inputs));
  const shape = [
    sizeOf(x.shape.slice(0, axis)),
    x.shape[axis] as number, // the axis is legal
    sizeOf(x.shape.slice(axis + 1)),
  ];
  const flat = build.shaped(x, shape);
  const attributes = { axis: 1, exclusive: false, reverse };
  const sums = build.call("Cumsum", { x: flat.slot }, x.dtype, shape, attributes);
  return [build.reshape(sums, x.shape)];
};

const largestAt = (build: PlanBuilder, x: Value, axis: number, shape: readonly number[]): Value =>
  build.call("ArgMax", { x: build.whole(x).slot }, "i32", shape, { axis });

/** The kernels pass NaN over, which counts as the largest: where there is one, the first is what was looked for. */
export const lowerArgmax: LowerRule<"argmax"> = ({ build, outputs }, inputs, { axis }) => {
  const x = build.whole(single(inputs));
  const { shape } = outputs[0] as TensorType; // an argmax has one output
  const found = largestAt(build, ordered(build, x), axis, shape);
  if (!isFloat(x.dtype)) return [found];
  const flags = build.call("Cast", { x: isNaN(build, x).slot }, "i32", x.shape, { dtype: "int32" });
  const attributes = { reductionIndices: [axis], keepDims: false };
  const any = build.call("Max", { x: flags.slot }, "i32", shape, attributes);
  const none = build.splat({ shape, dtype: "i32" }, 0);
  const some = build.elementwise("NotEqual", { a: any, b: none }, "bool");
  return [choose(build, some, largestAt(build, flags, axis, shape), found)];
};

export const lowerSort: LowerRule<"sort"> = onHost("sort");
