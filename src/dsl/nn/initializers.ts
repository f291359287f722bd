/**
 * Initial values of parameters: an initializer is a pure function of a key and a shape. For a weight [out,
 * in] the fan-in is the last size and the fan-out the one before; leading axes are stacked layers.
 *
 * Consumed by the `init…` functions of the layers. To add one, return an `Initializer` and state its
 * variance.
 */
import { OpError } from "../ops/definition.ts";
import type { Key } from "../random/bits.ts";
import { normal as drawNormal, uniform as drawUniform } from "../random/distributions.ts";
import { full } from "../surface/create.ts";
import { blaming, traced, typed } from "../surface/operand.ts";
import * as prim from "../trace/prim.ts";
import { sizesOfShape } from "../trace/sizes.ts";
import type { Dim, Tensor } from "../types/index.ts";

/** Initial values of a parameter of the given shape. */
export type Initializer = <const S extends readonly Dim[]>(key: Key, shape: S) => Tensor<[...S], "f32">;

function fans(name: string, shape: readonly Dim[]): { readonly fanIn: number; readonly fanOut: number } {
  return blaming(() => {
    const sizes = sizesOfShape(shape);
    const [fanOut, fanIn] = sizes.slice(-2);
    if (fanOut === undefined || fanIn === undefined)
      throw new OpError(`${name}: needs a matrix [out, in], got shape [${sizes.join(",")}]`);
    return { fanIn, fanOut };
  });
}

/** The same value everywhere; draws nothing. */
export const constant =
  (value: number): Initializer =>
  (_key, shape) =>
    full(shape, value);

/** Zeros. */
export const zeros = constant(0);

/** Ones. */
export const ones = constant(1);

/** Normal with the given standard deviation, around 0. */
export const normal =
  (std: number): Initializer =>
  (key, shape) =>
    typed(prim.scale(traced("normal", drawNormal(key, shape)), std));

/** Uniform in [−bound, bound). */
export const uniform =
  (bound: number): Initializer =>
  (key, shape) =>
    bound === 0 ? full(shape, 0) : drawUniform(key, shape, { low: -bound, high: bound });

/**
 * Uniform with bound √(6 / ((1 + a²)·fan-in)) (He et al. 2015). With a = √5, the default, the bound is
 * 1/√fan-in: what PyTorch gives its linear layers.
 */
export const kaimingUniform =
  (a = Math.sqrt(5)): Initializer =>
  (key, shape) =>
    uniform(Math.sqrt(6 / ((1 + a * a) * fans("kaimingUniform", shape).fanIn)))(key, shape);

/** Uniform with variance 2·gain² / (fan-in + fan-out) (Glorot and Bengio 2010). */
export const xavierUniform =
  (gain = 1): Initializer =>
  (key, shape) => {
    const { fanIn, fanOut } = fans("xavierUniform", shape);
    return uniform(gain * Math.sqrt(6 / (fanIn + fanOut)))(key, shape);
  };

/** Normal with variance 2·gain² / (fan-in + fan-out). */
export const xavierNormal =
  (gain = 1): Initializer =>
  (key, shape) => {
    const { fanIn, fanOut } = fans("xavierNormal", shape);
    return normal(gain * Math.sqrt(2 / (fanIn + fanOut)))(key, shape);
  };
