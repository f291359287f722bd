/**
 * The affine layer, in PyTorch's convention: y = x·Wᵀ + b with W [out, in].
 * Consumed by every other layer with weights; weights of published checkpoints fit as they are.
 */
import { split } from "../random/key.ts";
import type { Key } from "../random/bits.ts";
import { fail, stretch, traced, typed } from "../surface/operand.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import type {
  BinaryDType,
  Dim,
  DTypeOf,
  Result,
  SameDim,
  Shape,
  ShapeError,
  ShapeOf,
  ShowDim,
  Tensor,
  Valid,
} from "../types/index.ts";
import * as initializers from "./initializers.ts";
import type { Initializer } from "./initializers.ts";

/** Parameters of a linear layer; without a bias the key is absent. */
export interface LinearParams<W extends Tensor = Tensor, B extends Tensor = Tensor> {
  /** [out, in]. */
  readonly weight: W;
  /** [out]. */
  readonly bias?: B;
}

/** [..., in] through a weight [out, in] gives [..., out]. `Op` is named where they do not fit. */
export type Linear<
  X extends Shape,
  W extends Shape,
  Op extends string = "linear",
> = number extends X["length"]
  ? Shape
  : X extends readonly [...infer Rows extends Shape, infer In extends Dim]
    ? number extends W["length"]
      ? [...Rows, Dim]
      : W extends readonly [infer Out extends Dim, infer WeightIn extends Dim]
        ? [SameDim<In, WeightIn>] extends [never]
          ? ShapeError<`${Op}: the input has ${ShowDim<In>} features, the weight takes ${ShowDim<WeightIn>}`>
          : [...Rows, Out]
        : ShapeError<`${Op}: the weight must be a matrix [out, in]`>
    : ShapeError<`${Op}: the input needs an axis of features`>;

/**
 * y = x·Wᵀ + b: x [..., in] -> [..., out].
 * @throws OpError when sizes or dtypes do not fit
 */
export function linear<X extends Tensor, W extends Tensor>(
  params: LinearParams<W>,
  x: Valid<X, Linear<ShapeOf<X>, ShapeOf<W>> | BinaryDType<"linear", DTypeOf<X>, DTypeOf<W>>>,
): Result<Linear<ShapeOf<X>, ShapeOf<W>>, BinaryDType<"linear", DTypeOf<X>, DTypeOf<W>>> {
  const { input, weight, bias } = operands("linear", params, x as Tensor);
  const y = prim.dot(input, weight, {
    lhsBatch: [],
    rhsBatch: [],
    lhsContract: [input.shape.length - 1],
    rhsContract: [1],
  });
  return typed(bias === undefined ? y : prim.add(y, stretch(bias, y.shape)));
}

/**
 * The input and parameters of a linear layer, for ops that are made of one.
 * @throws OpError when sizes or dtypes do not fit
 */
export function operands(
  op: string,
  params: LinearParams,
  x: Tensor,
): { readonly input: TracedTensor; readonly weight: TracedTensor; readonly bias?: TracedTensor } {
  const [input, weight] = [traced(op, x), traced(op, params.weight)];
  const [features, expected] = [input.shape.at(-1), weight.shape[1]];
  if (weight.shape.length !== 2)
    fail(`${op}: the weight must be a matrix [out, in], got [${weight.shape.join(",")}]`);
  if (features !== expected)
    fail(
      `${op}: the input has ${features ?? "no"} features, the weight takes ${expected} ([${input.shape.join(",")}] through [${weight.shape.join(",")}])`,
    );
  if (params.bias === undefined) return { input, weight };
  const bias = traced(op, params.bias);
  if (bias.shape.length !== 1 || bias.shape[0] !== weight.shape[0])
    fail(`${op}: the bias must be [${weight.shape[0]}], got [${bias.shape.join(",")}]`);
  return { input, weight, bias };
}

export interface LinearOptions<In extends Dim, Out extends Dim, Bias extends boolean> {
  readonly inputs: In;
  readonly outputs: Out;
  /** True by default. */
  readonly bias?: Bias;
  /** Initial weight; uniform within ±1/√inputs by default, as in PyTorch. */
  readonly weightInit?: Initializer;
  /** Initial bias; uniform within ±1/√inputs by default, as in PyTorch. */
  readonly biasInit?: Initializer;
}

/** Parameters with or without a bias. */
export type InitialLinear<In extends Dim, Out extends Dim, Bias extends boolean> = Bias extends false
  ? { readonly weight: Tensor<[Out, In], "f32"> }
  : { readonly weight: Tensor<[Out, In], "f32">; readonly bias: Tensor<[Out], "f32"> };

/** Parameters of a linear layer: `initLinear(key, { inputs: 64, outputs: "out" })`. */
export function initLinear<const In extends Dim, const Out extends Dim, const Bias extends boolean = true>(
  key: Key,
  {
    inputs,
    outputs,
    bias,
    weightInit = initializers.kaimingUniform(),
    biasInit,
  }: LinearOptions<In, Out, Bias>,
): InitialLinear<In, Out, Bias> {
  const [weightKey, biasKey] = split(key, 2);
  const weight = weightInit(weightKey, [outputs, inputs]);
  const fanIn = traced("initLinear", weight).shape[1] as number; // a matrix
  const initialBias = biasInit ?? initializers.uniform(fanIn === 0 ? 0 : 1 / Math.sqrt(fanIn));
  const params = bias === false ? { weight } : { weight, bias: initialBias(biasKey, [outputs]) };
  return params as unknown as InitialLinear<In, Out, Bias>; // the branch above is the conditional type
}
