import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bf16ToFloat32,
  f16ToFloat32,
  float32ToBf16,
  float32ToF16,
} from "../../../src/runtime/safetensors/half.ts";

const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

/** The value of a 16-bit float from the definition of the format, independent of any f32 bit pattern. */
function definition(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = bits >= 0x8000 ? -1 : 1;
  const exponent = (bits >> fractionBits) & ((1 << exponentBits) - 1);
  const fraction = (bits & ((1 << fractionBits) - 1)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === (1 << exponentBits) - 1) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

const formats = [
  { name: "f16", exponentBits: 5, fractionBits: 10, widen: f16ToFloat32, round: float32ToF16 },
  { name: "bf16", exponentBits: 8, fractionBits: 7, widen: bf16ToFloat32, round: float32ToBf16 },
];

describe.each(formats)("$name", ({ exponentBits, fractionBits, widen, round }) => {
  const values = Array.from(all, (bits) => definition(bits, exponentBits, fractionBits));
  const infinity = values.indexOf(Infinity);

  it("widens all 65,536 patterns to the value the format defines", () => {
    expect(Array.from(widen(all))).toEqual(values);
  });

  it("rounds every pattern's own value back to the pattern (NaN to a NaN of the same sign)", () => {
    const back = round(widen(all));
    all.forEach((bits) => {
      if (Number.isNaN(values[bits])) {
        expect(Number.isNaN(values[back[bits] ?? 0])).toBe(true);
        expect((back[bits] ?? 0) & 0x8000).toBe(bits & 0x8000);
      } else expect(back[bits]).toBe(bits);
    });
  });

  /** Nearest by exact f64 distances; infinity stands for the next power of two, as IEEE rounding does. */
  function nearest(value: number): number {
    const top = 2 ** (2 ** (exponentBits - 1));
    const at = (bits: number): number => (bits === infinity ? top : (values[bits] ?? NaN));
    let low = 0;
    let high = infinity;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (at(middle) <= value) low = middle;
      else high = middle;
    }
    const [down, up] = [value - at(low), at(high) - value];
    return value >= top || up < down || (up === down && high % 2 === 0) ? high : low;
  }

  it("rounds to nearest, ties to even, everywhere", () => {
    const f32 = fc.integer({ min: 0, max: 0x7f800000 });
    // Exact ties and their f32 neighbours, which uniform bit patterns would rarely hit.
    const tie = fc
      .tuple(fc.integer({ min: 0, max: infinity - 1 }), fc.integer({ min: -1, max: 1 }))
      .map(([bits, delta]) => {
        const next = bits + 1 === infinity ? 2 ** (2 ** (exponentBits - 1)) : (values[bits + 1] ?? 0);
        const middle = Float32Array.of(((values[bits] ?? 0) + next) / 2);
        return Math.max(0, (new Uint32Array(middle.buffer)[0] ?? 0) + delta);
      });
    fc.assert(
      fc.property(fc.oneof(f32, tie), fc.boolean(), (bits, negative) => {
        const value = new Float32Array(Uint32Array.of(bits).buffer);
        const signed = Float32Array.of(negative ? -(value[0] ?? 0) : (value[0] ?? 0));
        expect(round(signed)[0]).toBe(nearest(value[0] ?? 0) | (negative ? 0x8000 : 0));
      }),
      { numRuns: 3000 },
    );
  });
});

describe("well-known values", () => {
  it("f16: largest finite, overflow, smallest subnormal, its half", () => {
    const halves = float32ToF16(
      Float32Array.of(65504, 65519.99, 65520, 2 ** -24, 2 ** -25, 1.5 * 2 ** -25, -0, 1e-45),
    );
    expect(Array.from(halves)).toEqual([0x7bff, 0x7bff, 0x7c00, 1, 0, 1, 0x8000, 0]);
  });

  it("bf16: overflow of the largest f32, a tie each way", () => {
    const bits = Uint32Array.of(0x7f7fffff, 0x3f808000, 0x3f818000, 0x7f800001);
    expect(Array.from(float32ToBf16(new Float32Array(bits.buffer)))).toEqual([
      0x7f80, 0x3f80, 0x3f82, 0x7fc0,
    ]);
  });

  it("respects the offset of a view", () => {
    expect(Array.from(float32ToF16(Float32Array.of(9, 1, 2).subarray(1)))).toEqual([0x3c00, 0x4000]);
  });
});
