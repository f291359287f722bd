/**
 * IEEE 754 binary16 (f16: 1 sign, 5 exponent, 10 fraction bits) as bit patterns: JavaScript has no array type for it on
 * the Node versions that are supported here.
 *
 * Consumed by host tensors, file formats, and constant folding. Pure. Rounding is to nearest, ties to even, from the double
 * directly: going through f32 would round twice.
 */

const FLOATS = new Float64Array(1);
const WORDS = new Uint32Array(FLOATS.buffer);
// Which of the two words of a double holds sign and exponent depends on the host's byte order.
FLOATS[0] = 1;
const HIGH = WORDS[0] === 0 ? 1 : 0;

/** Bits of the f16 nearest to `value`, ties to even; |value| >= 65520 gives infinity, NaN the quiet NaN 0x7e00. */
export function numberToF16(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  FLOATS[0] = value;
  const sign = ((WORDS[HIGH] ?? 0) >>> 16) & 0x8000;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  // Below 2^-14 the spacing is 2^-24 throughout; above, 2^-10 of the power of two below the value.
  const exponent = magnitude < 2 ** -14 ? -14 : (((WORDS[HIGH] ?? 0) >>> 20) & 0x7ff) - 1023;
  const units = roundTiesToEven(magnitude * 2 ** (10 - exponent));
  // `units` holds the implicit bit (1024) for normals, so adding it onto exponent - 1 also carries into the next binade.
  return sign | (((exponent + 14) << 10) + units);
}

function roundTiesToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** The number that the f16 bit pattern `bits` stands for: always exact. */
export function f16ToNumber(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The f16 nearest to `value`, as a number (what `Math.fround` is for f32). */
export const roundToF16 = (value: number): number => f16ToNumber(numberToF16(value));

/** Rounds numbers to f16 bit patterns; same length. */
export function encodeF16(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  return Uint16Array.from(values, numberToF16);
}

/** Widens f16 bit patterns to f32, exactly; same length. */
export function decodeF16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  return Float32Array.from(bits, f16ToNumber);
}
