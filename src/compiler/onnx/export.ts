/**
 * A declared function as an `.onnx` model that other programs can run: trace, optimize, lower, with the names that the function
 * gives to its inputs and outputs. Pure and browser-safe.
 *
 * Consumed by users through the package's main entry. The lowering itself is in to-onnx.ts.
 */
import { trace } from "../../dsl/fn.ts";
import type { Fn } from "../../dsl/fn.ts";
import type { Sizes } from "../../dsl/trace/sizes.ts";
import { inlineCalls } from "../passes/inline.ts";
import { optimize } from "../passes/pipeline.ts";
import { toOnnx } from "./to-onnx.ts";
import type { OnnxModel } from "./to-onnx.ts";

export interface ExportOptions {
  /** Sizes of the named dimensions; the model has fixed shapes. */
  readonly sizes?: Sizes;
  /** Name of the graph; default "program". */
  readonly name?: string;
  /** What the model is, in prose. */
  readonly doc?: string;
  /** Key-value pairs that readers of the file find under its metadata. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes a declared function as an ONNX model (IR version 10, operator set 21). Inputs and outputs are named by their paths in
 * the function's trees, such as `params.blocks.0.weight`; a function of one tensor has "input" and "output". An output
 * whose path is also an input's gets the suffix ".out".
 * @throws OpError when a name has no size or an op of the function breaks its rule; the message names the line
 */
export function exportOnnx<In, Out>(f: Fn<In, Out>, options: ExportOptions = {}): OnnxModel {
  const { sizes = {}, ...rest } = options;
  const { program, inputNames, outputNames } = trace(f as unknown as Fn<never, unknown>, sizes); // trace makes the input itself
  return toOnnx(optimize(inlineCalls(program)), { ...rest, inputNames, outputNames });
}
