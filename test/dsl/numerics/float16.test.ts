import { describe, expect, it } from "vitest";
import {
  decodeF16,
  encodeF16,
  f16ToNumber,
  numberToF16,
  roundToF16,
} from "../../../src/dsl/numerics/float16.ts";

describe("f16", () => {
  it("reads every bit pattern back", () => {
    const patterns = Array.from({ length: 0x10000 }, (_, bits) => bits);
    const isNaN = (bits: number): boolean => (bits & 0x7fff) > 0x7c00;
    expect(
      patterns.filter((bits) => numberToF16(f16ToNumber(bits)) !== (isNaN(bits) ? 0x7e00 : bits)),
    ).toEqual([]);
  });

  it("knows the landmarks", () => {
    expect([0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x03ff, 0x7c00, 0x8000].map(f16ToNumber)).toEqual([
      1, -2, 65504, 2 ** -24, 2 ** -14, 1023 * 2 ** -24, Infinity, -0,
    ]); // prettier-ignore
  });

  it("rounds half way to even, between all neighbours", () => {
    const finite = Array.from({ length: 0x7c00 }, (_, bits) => bits);
    const wrong = finite.filter((bits) => {
      const [low, high] = [f16ToNumber(bits), bits === 0x7bff ? 65536 : f16ToNumber(bits + 1)];
      const middle = (low + high) / 2;
      const even = bits % 2 === 0 ? bits : bits + 1;
      const below = numberToF16(middle * (1 - 2 ** -50));
      const above = numberToF16(-middle * (1 + 2 ** -50));
      return numberToF16(middle) !== even || below !== bits || above !== (0x8000 | (bits + 1));
    });
    expect(wrong).toEqual([]);
  });

  it("rounds once: a double just above half way is not lost in f32", () => {
    const x = 1 + 2 ** -11 + 2 ** -40;
    expect(Math.fround(x)).toBe(1 + 2 ** -11);
    expect(roundToF16(x)).toBe(1 + 2 ** -10);
  });

  it("converts arrays", () => {
    expect(Array.from(decodeF16(encodeF16([0.1, -1e6, NaN, 1e-10])))).toEqual([
      0.0999755859375,
      -Infinity,
      NaN,
      0,
    ]);
  });

  it("converts arrays of f32 as it does numbers", () => {
    // Each f16, half way to the next, and the f32 beside them; what lies beyond; and every exponent with some fractions.
    const around = Array.from({ length: 0x7c00 }, (_, bits) => {
      const low = f16ToNumber(bits);
      const high = bits === 0x7bff ? 65536 : f16ToNumber(bits + 1);
      return [low, (low + high) / 2];
    }).flat();
    const [floats, words] = bothViews(3 * around.length);
    floats.set(around.flatMap((x) => [x, x, x]));
    for (let i = 0; i < words.length; i += 3) {
      words[i] = Math.max(0, (words[i] ?? 0) - 1);
      words[i + 2] = (words[i + 2] ?? 0) + 1;
    }
    const [others, patterns] = bothViews(256 * 64);
    for (let i = 0; i < patterns.length; i++)
      patterns[i] = ((i >>> 6) << 23) | (Math.imul(i & 63, 0x2545f491) >>> 9);
    for (const values of [floats, floats.map((x) => -x), others, others.map((x) => -x)]) {
      const bits = encodeF16(values);
      expect(values.findIndex((x, i) => bits[i] !== numberToF16(x))).toBe(-1);
    }
    expect(encodeF16(others.subarray(1, 3))).toEqual(encodeF16([...others.subarray(1, 3)]));
  });
});

/** The same memory as f32, and as their bit patterns. */
function bothViews(length: number): readonly [Float32Array, Uint32Array] {
  const floats = new Float32Array(length);
  return [floats, new Uint32Array(floats.buffer)];
}
