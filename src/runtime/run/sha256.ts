/**
 * SHA-256 in hexadecimal digits, the same in Node and in a browser: the one has a module of its own for it, the other computes it only on
 * secure pages and only asynchronously. For fingerprints, not for secrets.
 *
 * Consumed by what recognizes texts and vocabularies.
 */
import { sha256 as hash } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

/** The hash of some bytes, given piece by piece, in 64 hexadecimal digits. */
export function sha256(pieces: Iterable<Uint8Array>): string {
  const state = hash.create();
  for (const piece of pieces) state.update(piece);
  return bytesToHex(state.digest());
}

/** The half of it that run folders keep: enough to tell one content from another. In 32 hexadecimal digits. */
export const fingerprintOf = (pieces: Iterable<Uint8Array>): string => sha256(pieces).slice(0, 32);
