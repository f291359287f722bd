/**
 * Structural hash of programs: equal for programs that differ only in how variables are numbered (or in unused entries of the
 * type table), different otherwise but for chance. For caches and for noticing that a pass has changed something; not for
 * cryptography. Consumed by the pass pipeline and the runtime's compilation caches.
 */
import { print } from "./print.ts";
import type { Program } from "./program.ts";

/** 32 hexadecimal digits (128 bits) of the program's canonical text. Stable between runs and machines. */
export const hashProgram = (program: Program): string => hashText(print(program));

/** 128 bits of a text: four lanes of multiply-xor steps with different odd multipliers, mixed with each other at the end. */
export function hashText(text: string): string {
  const multipliers = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f] as const;
  let [a, b, c, d] = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, multipliers[0]);
    b = Math.imul(b ^ unit, multipliers[1]);
    c = Math.imul(c ^ unit, multipliers[2]);
    d = Math.imul(d ^ unit, multipliers[3]);
    // A multiplication only moves differences upwards; the shifts bring them down again.
    a ^= a >>> 15;
    b ^= b >>> 13;
    c ^= c >>> 16;
    d ^= d >>> 14;
  }
  const lanes = [a ^ text.length, b, c, d];
  for (let round = 0; round < 8; round++) {
    const [from, to] = [round % 4, (round + 1) % 4];
    lanes[to] = finish((lanes[to] as number) + (lanes[from] as number)); // four lanes
  }
  return lanes.map((lane) => (lane >>> 0).toString(16).padStart(8, "0")).join("");
}

/** A bijection of 32 bits in which every input bit affects every output bit. */
function finish(x: number): number {
  let y = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  y = Math.imul(y ^ (y >>> 15), 0x846ca68b);
  return y ^ (y >>> 16);
}
