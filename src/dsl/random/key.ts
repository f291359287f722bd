/**
 * Keys: making them and deriving them from one another. Pure: a key never changes, so the same key gives the
 * same numbers on every device; a training step derives its keys from the run's key and the step number with
 * `foldIn`.
 *
 * Bit-compatible with JAX's original threefry scheme (see bits.ts).
 */
import { OpError } from "../ops/definition.ts";
import { blaming, fail, traced, typed } from "../surface/operand.ts";
import * as prim from "../trace/prim.ts";
import { sizeOfDim } from "../trace/sizes.ts";
import type { Dim, Tensor } from "../types/index.ts";
import { constant } from "../surface/create.ts";
import { encrypt, words } from "./bits.ts";
import type { Key } from "./bits.ts";

const TWO_32 = 2 ** 32;

function wholeNumber(what: string, value: number, below: number): void {
  if (!Number.isSafeInteger(value) || value < 0 || value >= below)
    fail(`${what} must be a whole number from 0 to ${below - 1}, got ${value}`);
}

/**
 * The key of a seed: [high word, low word].
 * @param seed a whole number up to 2⁵³ − 1, or a scalar u32 tensor
 */
export function key(seed: number | Tensor<[], "u32">): Key {
  if (typeof seed === "number") {
    wholeNumber("random.key: the seed", seed, Number.MAX_SAFE_INTEGER + 1);
    return constant([Math.floor(seed / TWO_32), seed >>> 0], [2], "u32");
  }
  const low = blaming(() => scalarWord("random.key: the seed", seed));
  return typed(prim.concat([prim.zeros({ shape: [1], dtype: "u32" }), prim.reshape(low, [1])], 0));
}

/** A scalar i32 or u32 tensor as u32. */
function scalarWord(what: string, value: Tensor) {
  const t = traced("random", value);
  if (t.shape.length > 0 || (t.dtype !== "u32" && t.dtype !== "i32"))
    throw new OpError(`${what} must be a scalar u32 or i32, got ${t.toString()}`);
  return prim.cast(t, "u32");
}

/** A list of N keys, where N is a literal; else a list of unknown length. */
export type Keys<N extends number, List extends readonly Key[] = []> = number extends N
  ? readonly Key[]
  : List["length"] extends N
    ? List
    : List["length"] extends 64
      ? readonly Key[]
      : Keys<N, readonly [...List, Key]>;

/**
 * `n` independent keys from one, as a list: `const [a, b] = split(key, 2)`. The parent must not be used
 * afterwards.
 */
export function split<const N extends number>(key: Key, n: N): Keys<N> {
  const all = traced("random.split", splitStacked(key, n as number));
  const list = prim.range(n).map((i) => prim.reshape(prim.sliceAxis(all, 0, i, i + 1), [2]));
  return list as unknown as Keys<N>; // n keys, as the type says
}

/** `n` independent keys from one, as one tensor: to scan or vmap over. */
export function splitStacked<const N extends Dim>(key: Key, n: N): Tensor<[N, 2], "u32"> {
  return blaming(() => {
    const count = sizeOfDim(n);
    wholeNumber("random.split: the number of keys", count, TWO_32 / 2);
    return typed(words(traced("random.split", key), [count, 2]));
  });
}

/** A key from a key and a number (a step, a layer, a purpose); different numbers give independent keys. */
export function foldIn(key: Key, data: number | Tensor<[], "u32" | "i32">): Key {
  return blaming(() => {
    if (typeof data === "number") wholeNumber("random.foldIn: the number", data, TWO_32);
    const low =
      typeof data === "number"
        ? prim.fill(data, { shape: [], dtype: "u32" })
        : scalarWord("random.foldIn: the number", data);
    const counter = prim.reshape(low, [1]);
    return typed(prim.concat(encrypt(traced("random.foldIn", key), [prim.zeros(counter), counter]), 0));
  });
}
