// Threefry-2x32-20 against the known answers published with Random123.

import { describe, expect, it } from "vitest";
import { threefry2x32, threefry2x32Into } from "../../../src/dsl/random/threefry.ts";

const ANSWERS = [
  { key: [0, 0], counter: [0, 0], out: [0x6b200159, 0x99ba4efe] },
  { key: [0xffffffff, 0xffffffff], counter: [0xffffffff, 0xffffffff], out: [0x1cb996fc, 0xbb002be7] },
  { key: [0x13198a2e, 0x03707344], counter: [0x243f6a88, 0x85a308d3], out: [0xc4923a9c, 0x483df7a0] },
] as const;

describe("threefry2x32", () => {
  it.each(ANSWERS)("key $key, counter $counter", ({ key, counter, out }) => {
    expect(threefry2x32(key[0], key[1], counter[0], counter[1])).toEqual(out);
  });

  it("fills arrays elementwise, in place or not, leaving separate inputs alone", () => {
    const x0 = Uint32Array.of(0, 1, 0xffffffff, 7);
    const x1 = Uint32Array.of(0, 0x80000000, 0xffffffff, 9);
    const out0 = new Uint32Array(4);
    const out1 = new Uint32Array(4);
    threefry2x32Into(5, 0xfedcba98, x0, x1, out0, out1);
    expect(x0[1]).toBe(1);
    for (let i = 0; i < 4; i++) {
      expect([out0[i], out1[i]]).toEqual(threefry2x32(5, 0xfedcba98, x0[i] ?? 0, x1[i] ?? 0));
    }
    threefry2x32Into(5, 0xfedcba98, x0, x1, x0, x1);
    expect([x0, x1]).toEqual([out0, out1]);
  });

  it("refuses arrays of different lengths", () => {
    const two = new Uint32Array(2);
    expect(() => threefry2x32Into(0, 0, two, two, two, new Uint32Array(3))).toThrow(/one length/);
  });
});
