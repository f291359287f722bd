/**
 * Distributions over real numbers and bits, as pure functions of a key and a shape. Results are f32; their
 * derivative with respect to anything is zero (reparameterize: scale and shift a standard draw).
 *
 * To add one: take `blocks` or `words` once per key, and say in the docstring which values can occur.
 */
import { OpError } from "../ops/definition.ts";
import { sizeOf } from "../program/program.ts";
import { blaming, broadcastShape, stretch, traced, typed } from "../surface/operand.ts";
import { emitOne } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import { sizesOfShape } from "../trace/sizes.ts";
import type { Dim, Shape, ShapeOf, Tensor } from "../types/index.ts";
import { blocks, unblock, words } from "./bits.ts";
import type { Key } from "./bits.ts";

type T = TracedTensor;

const shifted = (x: T, by: number): T => prim.add(x, prim.fill(by, x));

/** Words to multiples of 2⁻²⁴ in [0, 1): exact in f32, so equal on every target. */
function unit(word: T): T {
  const top = emitOne("shiftRight", [word, prim.fill(8, word)], {});
  return prim.scale(prim.cast(top, "f32"), 2 ** -24);
}

/**
 * Words to (0, 1]: (word + ½)·2⁻³², which f32 holds with full relative precision where it is small. Never 0;
 * f32 rounds the topmost 128 words to 1.
 */
const positive = (word: T): T => shifted(prim.scale(prim.cast(word, "f32"), 2 ** -32), 2 ** -33);

export interface Range {
  /** Included; 0 by default. */
  readonly low?: number;
  /** Excluded; 1 by default. */
  readonly high?: number;
}

/** The largest f32 below x. */
function below(x: number): number {
  const float = Float32Array.of(x);
  const pattern = new Int32Array(float.buffer);
  const rounded = float[0] as number; // one element
  if (rounded < x) return rounded;
  if (rounded === 0) return -(2 ** -149);
  pattern[0] = (pattern[0] as number) + (rounded > 0 ? -1 : 1);
  return float[0] as number;
}

/**
 * Uniform in [low, high): 2²⁴ equidistant values. With the defaults the same bits on every target.
 * @throws OpError when the range is empty or not finite
 */
export function uniform<const S extends readonly Dim[]>(
  key: Key,
  shape: S,
  { low = 0, high = 1 }: Range = {},
): Tensor<[...S], "f32"> {
  return blaming(() => {
    if (!(low < high) || !Number.isFinite(high - low))
      throw new OpError(`random.uniform: [${low}, ${high}) is no finite range; low must be below high`);
    const u = unit(words(traced("random.uniform", key), sizesOfShape(shape)));
    if (low === 0) return typed(prim.scale(u, high));
    const x = shifted(prim.scale(u, high - low), low);
    // The addition may round up to `high`, or down below `low`.
    return typed(emitOne("min", [emitOne("max", [x, prim.fill(low, x)], {}), prim.fill(below(high), x)], {}));
  });
}

/**
 * Standard normal, by the transformation of Box and Muller (1958): of every block the first word gives a
 * radius √(−2 ln u) with u in (0, 1], the second an angle; their cosine and sine projections are two
 * independent normals, the cosines of all blocks first. So n numbers cost n/2 logarithms and square roots,
 * n/2 cosines and n/2 sines. |x| <= √(66 ln 2) = 6.77: u is never 0. The angle lies in [−π, π], where targets
 * are most accurate.
 */
export function normal<const S extends readonly Dim[]>(key: Key, shape: S): Tensor<[...S], "f32"> {
  return blaming(() => {
    const sizes = sizesOfShape(shape);
    const [first, second] = blocks(traced("random.normal", key), sizeOf(sizes));
    const radius = emitOne("sqrt", [prim.scale(prim.log(positive(first)), -2)], {});
    const angle = shifted(prim.scale(prim.cast(second, "f32"), 2 * Math.PI * 2 ** -32), -Math.PI);
    return typed(unblock([prim.mul(radius, prim.cos(angle)), prim.mul(radius, prim.sin(angle))], sizes));
  });
}

/**
 * Standard exponential draws of a run-time shape: −ln(1 − v) with v in (0, 1]. Small v, from which the
 * maximum of Gumbels comes, goes through the series of the logarithm, since 1 − v has lost its digits.
 */
function exponentials(key: T, shape: readonly number[]): T {
  const v = positive(words(key, shape));
  const series = [1 / 5, 1 / 4, 1 / 3, 1 / 2, 1]
    .map((c) => prim.fill(c, v))
    .reduce((sum, c) => prim.add(c, prim.mul(v, sum)));
  // 2⁻²⁵ stands for what is left when v rounds to 1.
  const rest = emitOne("max", [shifted(prim.neg(v), 1), prim.fill(2 ** -25, v)], {});
  return prim.select(prim.less(v, prim.fill(1 / 16, v)), prim.mul(v, series), prim.neg(prim.log(rest)));
}

/** Standard exponential: values from 2⁻³³ to 25 ln 2. */
export function exponential<const S extends readonly Dim[]>(key: Key, shape: S): Tensor<[...S], "f32"> {
  return blaming(() => typed(exponentials(traced("random.exponential", key), sizesOfShape(shape))));
}

/**
 * Standard Gumbel: −ln E of a standard exponential E; values from −2.9 to 33 ln 2 = 22.9. The upper tail,
 * which decides an argmax, is exact to 2⁻³³: draws from 24-bit uniforms, cut at 16.6, sample a large
 * vocabulary as if it were cooled (Zheng et al. 2024, arXiv:2409.02908).
 */
export function gumbel<const S extends readonly Dim[]>(key: Key, shape: S): Tensor<[...S], "f32"> {
  return blaming(() =>
    typed(prim.neg(prim.log(exponentials(traced("random.gumbel", key), sizesOfShape(shape))))),
  );
}

/**
 * True with probability p, a number or a tensor that `shape` (by default its own) contains. 0 is never, 1
 * always.
 * @throws OpError when p is a number without a shape or outside [0, 1], or does not stretch to the shape
 */
export function bernoulli<const S extends readonly Dim[]>(
  key: Key,
  p: number | Tensor<Shape, "f32">,
  shape: S,
): Tensor<[...S], "bool">;
export function bernoulli<P extends Tensor<Shape, "f32">>(key: Key, p: P): Tensor<ShapeOf<P>, "bool">;
export function bernoulli(
  key: Key,
  p: number | Tensor<Shape, "f32">,
  shape?: readonly Dim[],
): Tensor<Shape, "bool"> {
  return blaming(() => {
    if (typeof p === "number" && !(p >= 0 && p <= 1))
      throw new OpError(`random.bernoulli: ${p} is no probability; give a number from 0 to 1`);
    const own = typeof p === "number" ? undefined : traced("random.bernoulli", p);
    const sizes = shape === undefined ? own?.shape : sizesOfShape(shape);
    if (sizes === undefined)
      throw new OpError("random.bernoulli: give a shape when the probability is a number");
    if (own !== undefined && broadcastShape("random.bernoulli", own.shape, sizes).join() !== sizes.join()) {
      throw new OpError(
        `random.bernoulli: probabilities [${own.shape.join(",")}] do not stretch to [${sizes.join(",")}]`,
      );
    }
    const u = unit(words(traced("random.bernoulli", key), sizes));
    return typed(prim.less(u, own === undefined ? prim.fill(p as number, u) : stretch(own, sizes)));
  });
}
