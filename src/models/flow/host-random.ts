// Random numbers on the host for the few that a training step needs before it reaches a device: times, row
// kinds, bootstrap resamples, Monte-Carlo checks. Keys are values and every function is pure: the same key
// gives the same numbers on every machine, and a key is meant to be used for one draw (derive others with
// `fold`).
//
// Consumed by times.ts's callers, eval/metrics.ts, verify and the tests. To add a distribution, take its bits
// from `words` so that its stream stays apart from the keys that `fold` derives.

import { threefry2x32, threefry2x32Into } from "../../dsl/random/threefry.ts";

/** A random key: two unsigned 32-bit words. */
export type Key = readonly [number, number];

const TWO_32 = 2 ** 32;
// Draws use counters with this bit set and `fold` uses counters without it, so no draw repeats a derived
// key's words.
const DRAW = 0x8000_0000;

function requireCount(what: string, n: number): void {
  if (!Number.isSafeInteger(n) || n < 0) {
    throw new RangeError(`${what} must be a whole number from 0 to 2^53 - 1, got ${n}.`);
  }
}

/**
 * The key of a seed.
 *
 * @param seed whole number from 0 to 2^53 - 1
 * @throws RangeError for any other seed
 */
export function key(seed: number): Key {
  requireCount("A random seed", seed);
  return [Math.floor(seed / TWO_32), seed >>> 0];
}

/**
 * A new key from a key and a number (a step, a row, the index of a purpose); different numbers give unrelated
 * keys.
 *
 * @param from the parent key
 * @param n whole number from 0 to 2^53 - 1
 * @throws RangeError for any other number
 */
export function fold(from: Key, n: number): Key {
  requireCount("The number folded into a random key", n);
  return threefry2x32(from[0], from[1], Math.floor(n / TWO_32), n >>> 0);
}

/** `n` independent uniformly distributed 32-bit words. */
export function words(from: Key, n: number): Uint32Array {
  requireCount("The number of random words", n);
  const blocks = Math.ceil(n / 2);
  const out = new Uint32Array(2 * blocks);
  const first = out.subarray(0, blocks);
  const second = out.subarray(blocks);
  for (let i = 0; i < blocks; i++) {
    first[i] = DRAW;
    second[i] = i;
  }
  threefry2x32Into(from[0], from[1], first, second, first, second);
  return out.subarray(0, n);
}

/** `n` uniform numbers in [0, 1), multiples of 2^-32. */
export function uniforms(from: Key, n: number): Float64Array {
  const out = new Float64Array(n);
  words(from, n).forEach((word, i) => {
    out[i] = word / TWO_32;
  });
  return out;
}

/** `n` independent standard normal numbers (Box-Muller; magnitudes end at 6.8, the tail of 2^-33). */
export function normals(from: Key, n: number): Float64Array {
  requireCount("The number of random normals", n);
  const out = new Float64Array(n);
  const bits = words(from, 2 * Math.ceil(n / 2));
  for (let i = 0; i < n; i += 2) {
    // Half a unit is added so that the logarithm never sees zero.
    const radius = Math.sqrt(-2 * Math.log(((bits[i] ?? 0) + 0.5) / TWO_32));
    const angle = (2 * Math.PI * (bits[i + 1] ?? 0)) / TWO_32;
    out[i] = radius * Math.cos(angle);
    if (i + 1 < n) out[i + 1] = radius * Math.sin(angle);
  }
  return out;
}

/** A uniformly random permutation of 0 .. n-1 (Fisher-Yates). */
export function permutation(from: Key, n: number): Uint32Array {
  requireCount("The length of a permutation", n);
  const out = Uint32Array.from({ length: n }, (_, i) => i);
  const bits = words(from, 2 * n);
  for (let i = n - 1; i > 0; i--) {
    // 53 bits, so that the bias of scaling to i + 1 values is of the order of 1e-16 * n.
    const unit = ((bits[2 * i] ?? 0) * 2 ** 21 + ((bits[2 * i + 1] ?? 0) >>> 11)) / 2 ** 53;
    const j = Math.floor(unit * (i + 1));
    const moved = out[i] ?? 0;
    out[i] = out[j] ?? 0;
    out[j] = moved;
  }
  return out;
}
