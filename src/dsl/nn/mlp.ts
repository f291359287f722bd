/**
 * The two-layer perceptron of transformer blocks: down(activation(up(x))).
 */
import { split } from "../random/key.ts";
import type { Key } from "../random/bits.ts";
import { gelu } from "../surface/gelu.ts";
import { blaming, traced, typed } from "../surface/operand.ts";
import { sizeOfDim } from "../trace/sizes.ts";
import type { Dim, DTypeOf, ShapeOf, Tensor } from "../types/index.ts";
import { initLinear, linear } from "./linear.ts";
import type { LinearParams } from "./linear.ts";

/** Parameters of the perceptron. */
export interface MlpParams {
  /** width -> hidden. */
  readonly up: LinearParams;
  /** hidden -> width. */
  readonly down: LinearParams;
}

export interface MlpOptions {
  /** GELU in its tanh form by default. */
  readonly activation?: (x: Tensor) => Tensor;
}

/** down(activation(up(x))): x [..., width] -> the same shape. */
export function mlp<X extends Tensor>(
  params: MlpParams,
  x: X,
  { activation = gelu }: MlpOptions = {},
): Tensor<ShapeOf<X>, DTypeOf<X>> {
  const hidden: Tensor = linear(params.up, x as Tensor);
  return typed(traced("mlp", linear(params.down, activation(hidden))));
}

/** Parameters with biases; the hidden width is 4·width by default. */
export function initMlp(
  key: Key,
  { width, hidden, bias = true }: { readonly width: Dim; readonly hidden?: Dim; readonly bias?: boolean },
): MlpParams {
  const [up, down] = split(key, 2);
  const inner = hidden ?? 4 * blaming(() => sizeOfDim(width));
  return {
    up: initLinear(up, { inputs: width, outputs: inner, bias }),
    down: initLinear(down, { inputs: inner, outputs: width, bias }),
  };
}
