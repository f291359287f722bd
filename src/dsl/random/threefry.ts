// Threefry-2x32 with 20 rounds: the counter-based generator behind every random number in Fluxion.
//
// Consumed by the reference interpreter (the threefry op), by targets without 32-bit integers, which draw
// their noise on the host from the same stream, and by src/models/flow/host-random.ts. Source: Salmon,
// Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). Everything here is u32
// arithmetic and pure; keys and counters are values. To add another generator, give it a file of its own and
// its published answers as tests.

/** Two unsigned 32-bit words: a key, a counter, or a block of output. */
export type Word2 = readonly [number, number];

// The key schedule's third word is the xor of the key and this constant, so that the zero key is not a fixed
// point.
const PARITY = 0x1bd11bda;

function rotateLeft(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}

/**
 * Encrypts counters elementwise under one key: `(out0[i], out1[i]) = threefry(key, (x0[i], x1[i]))`.
 *
 * Allocates nothing. `out0` and `out1` may be the inputs themselves (each index is read before it is
 * written).
 *
 * @param k0 first key word (u32)
 * @param k1 second key word (u32)
 * @param x0 first counter words, length n
 * @param x1 second counter words, length n
 * @param out0 receives the first output words, length n
 * @param out1 receives the second output words, length n
 * @throws RangeError if the four arrays differ in length
 */
export function threefry2x32Into(
  k0: number,
  k1: number,
  x0: Uint32Array,
  x1: Uint32Array,
  out0: Uint32Array,
  out1: Uint32Array,
): void {
  const n = x0.length;
  if (x1.length !== n || out0.length !== n || out1.length !== n) {
    throw new RangeError(
      `threefry2x32Into: counters and outputs need one length, got ` +
        `${n}, ${x1.length}, ${out0.length} and ${out1.length}; allocate all four alike.`,
    );
  }
  const k2 = k0 ^ k1 ^ PARITY;
  for (let i = 0; i < n; i++) {
    let a = ((x0[i] ?? 0) + k0) | 0;
    let b = ((x1[i] ?? 0) + k1) | 0;
    // Five groups of four rounds, a key injection after each; written out: all noise runs through here.
    a = (a + b) | 0;
    b = rotateLeft(b, 13) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, 15) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, 26) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, 6) ^ a;
    a = (a + k1) | 0;
    b = (b + k2 + 1) | 0;
    a = (a + b) | 0;
    b = rotateLeft(b, 17) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, 29) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, 16) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, 24) ^ a;
    a = (a + k2) | 0;
    b = (b + k0 + 2) | 0;
    a = (a + b) | 0;
    b = rotateLeft(b, 13) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, 15) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, 26) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, 6) ^ a;
    a = (a + k0) | 0;
    b = (b + k1 + 3) | 0;
    a = (a + b) | 0;
    b = rotateLeft(b, 17) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, 29) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, 16) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, 24) ^ a;
    a = (a + k1) | 0;
    b = (b + k2 + 4) | 0;
    a = (a + b) | 0;
    b = rotateLeft(b, 13) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, 15) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, 26) ^ a;
    a = (a + b) | 0;
    b = rotateLeft(b, 6) ^ a;
    out0[i] = a + k2;
    out1[i] = b + k0 + 5;
  }
}

/**
 * Encrypts one counter block under a key: the pure scalar form of {@link threefry2x32Into}.
 *
 * @returns the two output words as unsigned 32-bit numbers
 */
export function threefry2x32(k0: number, k1: number, x0: number, x1: number): Word2 {
  const a = Uint32Array.of(x0);
  const b = Uint32Array.of(x1);
  threefry2x32Into(k0, k1, a, b, a, b);
  return [a[0] ?? 0, b[0] ?? 0];
}
