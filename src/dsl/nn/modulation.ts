/**
 * Adaptive layer norm with zero initialization (Peebles and Xie 2023): shifts, scales and gates that are a
 * linear function of a conditioning vector, zero at first, so that every block starts as the identity.
 */
import { OpError } from "../ops/definition.ts";
import { blaming, traced, typed } from "../surface/operand.ts";
import { add, mul } from "../surface/elementwise.ts";
import { zeros } from "../surface/create.ts";
import * as prim from "../trace/prim.ts";
import { sizeOfDim } from "../trace/sizes.ts";
import type { Dim, DTypeOf, ShapeOf, Tensor } from "../types/index.ts";
import { linear } from "./linear.ts";
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
  return blaming(() => {
    const all = traced("modulations", linear(params, conditioning));
    const last = all.shape.length - 1;
    const outputs = all.shape[last] as number;
    if (outputs % count !== 0)
      throw new OpError(`modulations: ${outputs} outputs do not divide into ${count}`);
    const width = outputs / count;
    const chunks = prim
      .range(count)
      .map((i) =>
        prim.reshape(prim.sliceAxis(all, last, i * width, (i + 1) * width), [
          ...all.shape.slice(0, -1),
          1,
          width,
        ]),
      );
    return chunks as unknown as Chunks<Count>; // as many as counted
  });
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
