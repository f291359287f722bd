/**
 * Adaptive layer norm with zero initialization (Peebles and Xie 2023): shifts, scales and gates that are a
 * linear function of a conditioning vector, zero at first, so that every block starts as the identity.
 */
import { blaming, traced, typed } from "../surface/operand.ts";
import { add, mul } from "../surface/elementwise.ts";
import { zeros } from "../surface/create.ts";
import { sizeOfDim } from "../trace/sizes.ts";
import type { Dim, DTypeOf, ShapeOf, Tensor } from "../types/index.ts";
import { expandDims } from "../surface/shape.ts";
import { split } from "../surface/split.ts";
import { linear } from "./linear.ts";
import { layerNorm } from "./norm.ts";
import type { NormParams } from "./norm.ts";
import type { LinearParams } from "./linear.ts";

/** `Count` tensors. */
type Chunks<Count extends number, List extends readonly Tensor[] = []> = number extends Count
  ? readonly Tensor[]
  : List["length"] extends Count
    ? List
    : List["length"] extends 16
      ? readonly Tensor[]
      : Chunks<Count, readonly [...List, Tensor]>;

/**
 * `count` modulations of a conditioning [batch, cond]: each [batch, 1, width], to broadcast over positions.
 * `const [shift, scale, gate] = modulations(params, c, 3)`.
 * @throws OpError when the layer's outputs do not divide by `count`
 */
export function modulations<const Count extends number>(
  params: LinearParams,
  conditioning: Tensor,
  count: Count,
): Chunks<Count> {
  const parts = split(linear(params, conditioning) as Tensor, count);
  return parts.map((part) => expandDims(part, -2)) as unknown as Chunks<Count>; // as many as counted
}

/**
 * Layer norm, then modulation: norm(x)·(1 + scale) + shift, with the norm's weight folded into the scale, so that the
 * normalized input is passed over once.
 * @param norm weight [width]; @param shift and @param scale [batch, 1, width]
 */
export function modulatedNorm(norm: NormParams, x: Tensor, shift: Tensor, scale: Tensor): Tensor {
  const factor: Tensor = add(scale, 1);
  const moved: Tensor = norm.bias === undefined ? shift : add(mul(norm.bias, factor), shift);
  return layerNorm({ weight: mul(norm.weight, factor) as Tensor, bias: moved }, x);
}

/** x·(1 + scale) + shift; shift and scale stretch to x. */
export function modulate<X extends Tensor>(
  x: X,
  shift: Tensor,
  scale: Tensor,
): Tensor<ShapeOf<X>, DTypeOf<X>> {
  const input: Tensor = x;
  const [factor, offset]: readonly [Tensor, Tensor] = [add(scale, 1), shift];
  const scaled: Tensor = mul(input, factor);
  return typed(traced("modulate", add(scaled, offset)));
}

export interface ModulationOptions<Cond extends Dim, Width extends Dim> {
  /** Width of the conditioning. */
  readonly inputs: Cond;
  /** Width of what is modulated. */
  readonly width: Width;
  /** How many modulations: 6 for a block, 2 for the last layer. */
  readonly count: number;
}

/** Zero parameters for `count` modulations. */
export function initModulation<const Cond extends Dim, const Width extends Dim>({
  inputs,
  width,
  count,
}: ModulationOptions<Cond, Width>): {
  readonly weight: Tensor<[number, Cond], "f32">;
  readonly bias: Tensor<[number], "f32">;
} {
  const outputs = blaming(() => sizeOfDim(width)) * count;
  return { weight: zeros([outputs, inputs]), bias: zeros([outputs]) };
}
