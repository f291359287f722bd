/**
 * Random words of a key: the one place where the threefry op is written. Everything random is made of `bits`.
 *
 * The scheme is JAX's original one (`jax_threefry_partitionable=False`): for n words, the counters 0 … n−1
 * (and one 0 more when n is odd) are cut in two halves, which are the two counter words of the blocks; the
 * first outputs of all blocks come first, then the second ones. Both words of a block are used. JAX's newer,
 * partitionable scheme xors them, so that a number depends on its place alone; that costs twice the work and
 * buys nothing on one device.
 */
import { sizeOf } from "../program/program.ts";
import { OpError } from "../ops/definition.ts";
import { blaming, traced, typed } from "../surface/operand.ts";
import { emit } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import { sizesOfShape } from "../trace/sizes.ts";
import type { Dim, Tensor } from "../types/index.ts";

/** A random key: two words. Use a key for one draw; derive others with `split` or `foldIn`. */
export type Key = Tensor<[2], "u32">;

/** Encrypts counters [n] under a key [2] into two lists of words [n]. */
export function encrypt(
  key: TracedTensor,
  counters: readonly [TracedTensor, TracedTensor],
): readonly [TracedTensor, TracedTensor] {
  if (key.dtype !== "u32" || key.shape.join() !== "2")
    throw new OpError(`random: a key is u32[2], got ${key.toString()}`);
  const shape = counters[0].shape;
  const word = (i: number): TracedTensor =>
    prim.broadcast(prim.reshape(prim.sliceAxis(key, 0, i, i + 1), []), shape, []);
  return emit("threefry", [word(0), word(1), ...counters], {}) as readonly [TracedTensor, TracedTensor];
}

/**
 * The blocks of a draw of n words: first and second words, each [⌈n/2⌉]; the last second word is superfluous
 * when n is odd.
 */
export function blocks(key: TracedTensor, n: number): readonly [TracedTensor, TracedTensor] {
  if (n > 2 ** 32)
    throw new OpError(`random: one key gives at most 2^32 words, got a shape of ${n}; split the key`);
  const half = Math.ceil(n / 2);
  const first = prim.iota([half], "u32", 0);
  const whole = Math.floor(n / 2);
  const rest = prim.iota([whole], "u32", 0);
  const second = prim.add(rest, prim.fill(half, rest));
  const padded = whole === half ? second : prim.concat([second, prim.zeros({ shape: [1], dtype: "u32" })], 0);
  return encrypt(key, [first, padded]);
}

/** Lists of blocks' first and second numbers as n numbers of the given shape. */
export function unblock(
  [first, second]: readonly [TracedTensor, TracedTensor],
  shape: readonly number[],
): TracedTensor {
  const all = prim.concat([first, second], 0);
  const n = sizeOf(shape);
  return prim.reshape(n % 2 === 0 ? all : prim.sliceAxis(all, 0, 0, n), shape);
}

/** `unblock` of `blocks` for a run-time shape. */
export const words = (key: TracedTensor, shape: readonly number[]): TracedTensor =>
  unblock(blocks(key, sizeOf(shape)), shape);

/**
 * Independent uniformly distributed 32-bit words.
 * @throws OpError when the key is not u32[2] or the shape has more than 2³² entries
 */
export function bits<const S extends readonly Dim[]>(key: Key, shape: S): Tensor<[...S], "u32"> {
  return blaming(() => typed(words(traced("random.bits", key), sizesOfShape(shape))));
}
