/**
 * SHA-256 (FIPS 180-4), so that fingerprints are the same in Node and in a browser: the one has a module of its own for it, the other
 * computes it only on secure pages and only asynchronously. Pure. For fingerprints, not for secrets.
 *
 * Consumed by what recognizes texts and vocabularies.
 */

/** The first `count` primes. */
function primes(count: number): readonly number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}

/** The first 32 bits of a number's fraction. A double has 52 bits, of which roots this small take at most 5 before the point. */
const fractionBits = (x: number): number => Math.floor((x - Math.floor(x)) * 2 ** 32);

const INITIAL = primes(8).map((prime) => fractionBits(Math.sqrt(prime)));
const ROUND = Uint32Array.from(primes(64), (prime) => fractionBits(Math.cbrt(prime)));

const BLOCK = 64;

const rotated = (x: number, by: number): number => (x >>> by) | (x << (32 - by));

/** The hash of some bytes, given piece by piece, in 64 hexadecimal digits. */
export function sha256(pieces: Iterable<Uint8Array>): string {
  const state = Uint32Array.from(INITIAL);
  const words = new Uint32Array(64);
  const block = new Uint8Array(BLOCK);
  const view = new DataView(block.buffer);
  let [filled, total] = [0, 0];
  const compress = (): void => {
    for (let t = 0; t < 16; t++) words[t] = view.getUint32(4 * t);
    compressInto(state, words);
    filled = 0;
  };
  for (const piece of pieces) {
    total += piece.length;
    for (let done = 0; done < piece.length;) {
      const part = piece.subarray(done, done + BLOCK - filled);
      block.set(part, filled);
      filled += part.length;
      done += part.length;
      if (filled === BLOCK) compress();
    }
  }
  block[filled++] = 0x80;
  if (filled > BLOCK - 8) {
    block.fill(0, filled);
    compress();
  }
  block.fill(0, filled);
  view.setBigUint64(BLOCK - 8, BigInt(total) * 8n);
  compress();
  return Array.from(state, (word) => word.toString(16).padStart(8, "0")).join("");
}

/** The compression function: one block, whose words are the first 16 of `w`. */
function compressInto(state: Uint32Array, w: Uint32Array): void {
  // Indices are in range: `w` and `ROUND` have 64 words, `state` has 8.
  const at = (array: Uint32Array, i: number): number => array[i] as number;
  for (let t = 16; t < 64; t++) {
    const [x, y] = [at(w, t - 15), at(w, t - 2)];
    const s0 = rotated(x, 7) ^ rotated(x, 18) ^ (x >>> 3);
    const s1 = rotated(y, 17) ^ rotated(y, 19) ^ (y >>> 10);
    w[t] = at(w, t - 16) + s0 + at(w, t - 7) + s1;
  }
  let a = at(state, 0);
  let b = at(state, 1);
  let c = at(state, 2);
  let d = at(state, 3);
  let e = at(state, 4);
  let f = at(state, 5);
  let g = at(state, 6);
  let h = at(state, 7);
  for (let t = 0; t < 64; t++) {
    const one = (h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + ((e & f) ^ (~e & g)) + at(ROUND, t) + at(w, t)) | 0; // prettier-ignore
    const two = ((rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => (state[i] = at(state, i) + word));
}
