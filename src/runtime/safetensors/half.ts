/**
 * The two 16-bit floats, as bit patterns in a `Uint16Array`: IEEE binary16 (f16: 5 exponent bits, 10 fraction
 * bits) and bfloat16 (the upper half of a binary32). JavaScript has no array type for either on Node 20.
 *
 * Consumed by the safetensors codecs and by whoever feeds half-precision tensors to a device. Pure.
 */

/**
 * Bits of the f32 `bits` rounded to f16, ties to even; overflow gives infinity, NaN stays NaN (made quiet).
 */
function f32BitsToF16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  // 65520 is half way between the largest finite f16 (65504) and 65536, and ties to the even side: infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    // Normal (>= 2^-14): move the exponent bias from 127 to 15, drop 13 fraction bits. A carry into the
    // exponent is right.
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  // Subnormal: the result counts units of 2^-24. The value is m · 2^(e-150), so m moves right by 126 - e.
  const shift = 126 - (magnitude >>> 23);
  if (shift > 24) return sign; // below 2^-25, half of the smallest subnormal
  const m = (magnitude & 0x7fffff) | 0x800000;
  const kept = m >>> shift;
  const dropped = m & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (kept + (dropped > half || (dropped === half && (kept & 1) === 1) ? 1 : 0));
}

/** Bits of the f32 with the same value as the f16 `half`: always exact. */
function f16ToF32Bits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // Subnormal: fraction · 2^-24 = 1.xxx · 2^(p-24), where p is the position of the leading bit.
  const p = 31 - Math.clz32(fraction);
  return sign | ((p + 103) << 23) | ((fraction << (23 - p)) & 0x7fffff);
}

/** Bits of the f32 `bits` rounded to bf16, ties to even; NaN stays NaN (made quiet). */
function f32BitsToBf16(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits >>> 0) + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function toHalf(values: Float32Array, convert: (bits: number) => number): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, convert);
}

function fromHalf(halves: Uint16Array, convert: (half: number) => number): Float32Array {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = convert(halves[i] ?? 0);
  return new Float32Array(bits.buffer);
}

/**
 * Rounds f32 values to f16 bit patterns: nearest, ties to even; |x| >= 65520 becomes infinity. Same length.
 */
export const float32ToF16 = (values: Float32Array): Uint16Array => toHalf(values, f32BitsToF16);

/** Widens f16 bit patterns to f32: exact, with subnormals, infinities and NaN. Same length. */
export const f16ToFloat32 = (halves: Uint16Array): Float32Array => fromHalf(halves, f16ToF32Bits);

/** Rounds f32 values to bf16 bit patterns: nearest, ties to even. Same length. */
export const float32ToBf16 = (values: Float32Array): Uint16Array => toHalf(values, f32BitsToBf16);

/** Widens bf16 bit patterns to f32: exact. Same length. */
export const bf16ToFloat32 = (halves: Uint16Array): Float32Array => fromHalf(halves, (half) => half << 16);
