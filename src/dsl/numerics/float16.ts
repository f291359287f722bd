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

/** What numbers between 2^e and 2^(e + 1) are multiplied with, at e + 14, so that f16 holds integers of them: 2^(10 - e). */
const UNITS = Float64Array.from({ length: 30 }, (_, i) => 2 ** (24 - i));

/** Bits of the f16 nearest to `value`, ties to even; |value| >= 65520 gives infinity, NaN the quiet NaN 0x7e00. */
export function numberToF16(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  FLOATS[0] = value;
  const sign = ((WORDS[HIGH] ?? 0) >>> 16) & 0x8000;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  // Below 2^-14 the spacing is 2^-24 throughout; above, 2^-10 of the power of two below the value.
  const exponent = magnitude < 2 ** -14 ? -14 : (((WORDS[HIGH] ?? 0) >>> 20) & 0x7ff) - 1023;
  const units = roundTiesToEven(magnitude * (UNITS[exponent + 14] as number)); // below 65520, exponents are at most 15
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
  return exponent === 0
    ? sign * fraction * 2 ** -24
    : (sign * (1024 + fraction)) / (UNITS[exponent - 1] as number); // 2^(25 - exponent)
}

/** The f16 nearest to `value`, as a number (what `Math.fround` is for f32). */
export const roundToF16 = (value: number): number => f16ToNumber(numberToF16(value));

/** Rounds numbers to f16 bit patterns; same length. */
export function encodeF16(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const bits = new Uint16Array(values.length);
  if (values instanceof Float32Array) {
    encodeWords(new Uint32Array(values.buffer, values.byteOffset, values.length), bits);
    return bits;
  }
  // Neither loop is `from` with a function: that calls an iterator for each number, which takes most of the time.
  for (let i = 0; i < bits.length; i++) bits[i] = numberToF16(values[i] as number);
  return bits;
}

/** Rounds f32, given as bit patterns, as `numberToF16` does, in integers alone but where f16 has no exponent: tensors are large. */
function encodeWords(words: Uint32Array, bits: Uint16Array): void {
  for (let i = 0; i < bits.length; i++) {
    const word = words[i] as number;
    const sign = (word >>> 16) & 0x8000;
    const magnitude = word & 0x7fffffff;
    if (magnitude > 0x7f800000) bits[i] = 0x7e00;
    else if (magnitude >= 0x47800000) bits[i] = sign | 0x7c00;
    else if (magnitude >= 0x38800000)
      // 13 bits of the fraction go; a carry out of what is left adds one to the exponent, and makes infinity of the largest.
      bits[i] = sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000) >>> 13);
    else {
      WORD[0] = magnitude;
      bits[i] = sign | roundTiesToEven((FLOAT[0] as number) * 2 ** 24);
    }
  }
}

const FLOAT = new Float32Array(1);
const WORD = new Uint32Array(FLOAT.buffer);

/** Widens f16 bit patterns to f32, exactly; same length. */
export function decodeF16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(bits.length);
  for (let i = 0; i < values.length; i++) values[i] = f16ToNumber(bits[i] as number);
  return values;
}
