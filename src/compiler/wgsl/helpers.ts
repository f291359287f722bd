/**
 * WGSL functions for what WGSL has no operator for, or has one that means something else or too little. A kernel's text has those
 * that it calls, each once.
 *
 * WGSL leaves much of float arithmetic to the device, and devices in use do differ. A compiler may assume that there is neither NaN
 * nor infinity: it takes `x != x` for false and x · 0 for 0, so bits are tested instead. Subnormal numbers may be taken for 0
 * anywhere. It may add in another order, and makes n · (a + b) of n · a + n · b. The builtin sin and cos are off by up to 2e-4, exp by 64
 * units in the last place; log of 0 is finite, tanh of 50 is NaN. So the functions here are built from + - * /, fma, which
 * may round twice, and bits. Polynomials are minimax fits, their coefficients rounded to f32 one after the other; in
 * parentheses is the error of the polynomial alone. What an optimizer makes of x - x or x / x where x is not finite is not mended.
 *
 * Consumed by the printer, and named by the tables of ops. To add a function: an entry here.
 */
import { call } from "./code.ts";
import type { Code } from "./code.ts";

const HELPERS = {
  /** An operand that no longer is a constant expression: WGSL rejects those that overflow, divide by zero and so on. */
  runtime_f32: `fn runtime_f32(x: f32) -> f32 { return x; }`,
  runtime_i32: `fn runtime_i32(x: i32) -> i32 { return x; }`,
  runtime_u32: `fn runtime_u32(x: u32) -> u32 { return x; }`,
  runtime_bool: `fn runtime_bool(x: bool) -> bool { return x; }`,

  from_bits: `fn from_bits(bits: u32) -> f32 { return bitcast<f32>(bits); }`,
  is_nan: `fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }`,
  is_finite: `fn is_finite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }`,
  is_nonzero: `fn is_nonzero(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) != 0u; }`,

  // WGSL defines x / 0 = x, x % 0 = 0, and the least i32 / -1 = itself, unless operands are constant: parameters are not.
  div_i32: `fn div_i32(x: i32, y: i32) -> i32 { return x / y; }`,
  rem_i32: `fn rem_i32(x: i32, y: i32) -> i32 { return x % y; }`,
  div_u32: `fn div_u32(x: u32, y: u32) -> u32 { return x / y; }`,
  rem_u32: `fn rem_u32(x: u32, y: u32) -> u32 { return x % y; }`,

  // Where the reciprocal of y would be subnormal, y is divided by 4 first.
  div_f32: `
fn div_f32(x: f32, y: f32) -> f32 {
  let far = abs(y) > 8.507059173023462e37f;
  return x / select(y, 0.25f * y, far) * select(1.0f, 0.25f, far);
}`,

  // WGSL takes shift amounts modulo 32.
  shift_left_i32: `fn shift_left_i32(x: i32, y: i32) -> i32 { return select(x << (bitcast<u32>(y) & 31u), 0i, bitcast<u32>(y) > 31u); }`,
  shift_left_u32: `fn shift_left_u32(x: u32, y: u32) -> u32 { return select(x << (y & 31u), 0u, y > 31u); }`,
  shift_right_i32: `fn shift_right_i32(x: i32, y: i32) -> i32 { return x >> min(bitcast<u32>(y), 31u); }`,
  shift_right_u32: `fn shift_right_u32(x: u32, y: u32) -> u32 { return select(x >> (y & 31u), 0u, y > 31u); }`,

  // Saturating at both ends: the builtin conversion saturates at the largest f32 within the range.
  to_i32: `
fn to_i32(x: f32) -> i32 {
  let low = select(i32(x), i32(-2147483648), x <= -2147483648.0f);
  return select(select(low, 2147483647i, x >= 2147483648.0f), 0i, is_nan(x));
}`,
  to_u32: `
fn to_u32(x: f32) -> u32 {
  let low = select(u32(x), 0u, x <= 0.0f);
  return select(select(low, 4294967295u, x >= 4294967296.0f), 0u, is_nan(x));
}`,

  // To the nearest, ties to even: WGSL's own conversion rounds up or down as the device likes. Below 2⁻¹⁴ steps are of 2⁻²⁴, and
  // there round() does it, which takes ties to even; above, the bits that f16 lacks are rounded into the others. The sign is kept
  // apart, since optimizers forget that of 0.
  to_f16: `
fn to_f16(x: f32) -> f16 {
  let bits = bitcast<u32>(x);
  let size = bits & 0x7fffffffu;
  if (size < 0x38800000u) {
    let small = round(bitcast<f32>(size) * 16777216.0f) * 0.000000059604645f;
    return f16(bitcast<f32>(bitcast<u32>(small) | (bits & 0x80000000u)));
  }
  let nearest = (bits + 0xfffu + ((bits >> 13u) & 1u)) & 0xffffe000u;
  let overflows = size >= 0x477ff000u && size < 0x7f800000u;
  return f16(bitcast<f32>(select(select(nearest, (bits & 0x80000000u) | 0x7f800000u, overflows), bits, size > 0x7f800000u)));
}`,

  // A sum is NaN where an operand is.
  max_f32: `fn max_f32(x: f32, y: f32) -> f32 { return select(max(x, y), x + y, is_nan(x) || is_nan(y)); }`,
  min_f32: `fn min_f32(x: f32, y: f32) -> f32 { return select(min(x, y), x + y, is_nan(x) || is_nan(y)); }`,
  sign_f32: `fn sign_f32(x: f32) -> f32 { return select(sign(x), x, is_nan(x)); }`,
  // Optimizers take x · 0 for 0 whatever x is.
  zero_times: `fn zero_times(x: f32) -> f32 { return select(from_bits(0x7fc00000u), from_bits(bitcast<u32>(x) & 0x80000000u), is_finite(x)); }`,
  square: `fn square(x: f32) -> f32 { return x * x; }`,

  // x = n ln 2 + r, and a polynomial in r (3e-9). ln 2 in two parts, of which the first is 22713 / 2¹⁵; its product with n is made of
  // integers, or compilers would add the parts up again. 2ⁿ in two factors, since it may lie outside of f32 where the result does not.
  exp_f32: `
fn exp_f32(x: f32) -> f32 {
  let within = clamp(x, -105.0f, 89.0f);
  let n = i32(round(within * 1.442695f));
  let r = fma(f32(n), -1.4286068e-6f, within - f32(n * 22713i) * 0.000030517578f);
  let p = fma(r, fma(r, fma(r, fma(r, 0.00138217397f, 0.00836885162f), 0.0416682586f), 0.166665196f), 0.49999994f);
  let half = n / 2i;
  let y = fma(r * r, p, r) + 1.0f;
  let scaled = y * bitcast<f32>((127i + half) << 23u) * bitcast<f32>((127i + n - half) << 23u);
  return select(scaled, x, is_nan(x));
}`,

  // x = 2ⁿ m with m from √½ to √2, and log m = log((1 + s) / (1 - s)), a polynomial in s² (3e-11).
  log_f32: `
fn log_f32(x: f32) -> f32 {
  if (bitcast<u32>(x) > 0x80000000u || is_nan(x)) { return from_bits(0x7fc00000u); }
  if (bitcast<u32>(x) == 0x7f800000u) { return x; }
  let subnormal = x < 1.1754944e-38f;
  let normal = select(x, x * 16777216.0f, subnormal);
  if (normal == 0.0f) { return from_bits(0xff800000u); }
  let exponent = (bitcast<i32>(normal) - 0x3f3504f3i) >> 23u;
  let f = bitcast<f32>(bitcast<i32>(normal) - (exponent << 23u)) - 1.0f;
  let n = f32(select(exponent, exponent - 24i, subnormal));
  let s = f / (2.0f + f);
  let z = s * s;
  let p = z * fma(z, fma(z, fma(z, 0.242798775f, 0.284987688f), 0.400009722f), 0.666666627f);
  let h = 0.5f * f * f;
  return fma(n, 0.69314575f, f - (h - fma(s, h + p, n * 1.4286068e-6f)));
}`,

  // x = n π/2 + r for large x, from the bits of 2/π that matter: those before stand for whole turns.
  reduce_large_angle: `
const TWO_OVER_PI = array<u32, 7>(
  0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u);
fn reduce_large_angle(x: f32) -> vec2<f32> {
  let bits = bitcast<u32>(x);
  let mantissa = (bits & 0x7fffffu) | 0x800000u;
  let at = ((bits >> 23u) & 255u) - 120u;
  let word = at >> 5u;
  let shift = at & 31u;
  let w0 = TWO_OVER_PI[word];
  let w1 = TWO_OVER_PI[word + 1u];
  let w2 = TWO_OVER_PI[word + 2u];
  let high = select((w0 << shift) | (w1 >> (32u - shift)), w0, shift == 0u);
  let low = select((w1 << shift) | (w2 >> (32u - shift)), w1, shift == 0u);
  // In quarter turns times 2³⁰, modulo 2³²: the product's words from the mantissa's bits 8 to 23, and 0 to 7.
  let turns = mantissa * high
    + (((mantissa >> 8u) * (low >> 16u)) >> 8u)
    + (((mantissa >> 8u) * (low & 0xffffu)) >> 24u)
    + (((mantissa & 255u) * (low >> 8u)) >> 24u);
  let n = f32((turns + 0x20000000u) >> 30u);
  let r = f32(bitcast<i32>(turns << 2u)) * 3.6572952e-10f;
  return select(vec2<f32>(r, n), vec2<f32>(-r, -n), x < 0.0f);
}`,

  // x = n π/2 + r. π/2 in three parts, of which two are 201 / 2⁷ and 127 / 2¹⁸: see exp_f32.
  reduce_angle: `
fn reduce_angle(x: f32) -> vec2<f32> {
  if (abs(x) > 100000.0f) { return reduce_large_angle(x); }
  let n = i32(round(x * 0.63661977f));
  let rest = x - f32(n * 201i) * 0.0078125f - f32(n * 127i) * 0.0000038146973f;
  return vec2<f32>(fma(f32(n), 6.3975784e-7f, rest), f32(n));
}`,

  // Polynomials in r² (4e-9, 1e-10). n tells which of sin r, cos r, -sin r, -cos r it is.
  sine_at: `
fn sine_at(r: f32, n: i32) -> f32 {
  let z = r * r;
  let sine = fma(r * z, fma(z, fma(z, -0.00019517995f, 0.00833218824f), -0.166666552f), r);
  let cosine = fma(z * z, fma(z, fma(z, 2.4430663e-5f, -0.00138873013f), 0.0416666456f), fma(z, -0.5f, 1.0f));
  let y = select(sine, cosine, (n & 1i) != 0i);
  return select(y, -y, (n & 2i) != 0i);
}`,
  sin_f32: `
fn sin_f32(x: f32) -> f32 {
  if (!is_finite(x)) { return from_bits(0x7fc00000u); }
  let angle = reduce_angle(x);
  return sine_at(angle.x, i32(angle.y));
}`,
  cos_f32: `
fn cos_f32(x: f32) -> f32 {
  if (!is_finite(x)) { return from_bits(0x7fc00000u); }
  let angle = reduce_angle(x);
  return sine_at(angle.x, i32(angle.y) + 1i);
}`,

  // A polynomial in x² near 0 (5e-9), and elsewhere by an exponential that cannot overflow.
  tanh_f32: `
fn tanh_f32(x: f32) -> f32 {
  let z = x * x;
  let p = fma(z, fma(z, fma(z, fma(z, -0.00569937471f, 0.0206334982f), -0.053737767f), 0.133314148f), -0.333332807f);
  let t = exp_f32(-2.0f * abs(x));
  let far = (1.0f - t) / (1.0f + t);
  return select(select(far, -far, x < 0.0f), fma(x * z, p, x), abs(x) < 0.625f);
}`,
  logistic_f32: `
fn logistic_f32(x: f32) -> f32 {
  let t = exp_f32(-abs(x));
  return select(1.0f, t, x < 0.0f) / (1.0f + t);
}`,

  // A polynomial in x² near 0 (1e-9), and elsewhere 1 - exp(a polynomial) (1e-9).
  erf_f32: `
fn erf_f32(x: f32) -> f32 {
  let a = abs(x);
  if (a < 1.0f) {
    let z = x * x;
    let p = fma(z, fma(z, fma(z, fma(z, fma(z, 7.80690316e-5f, -0.00079978531f), 0.0051871622f), -0.0268533472f), 0.112835787f), -0.37612626f);
    return fma(x, fma(z, p, 0.128379166f), x);
  }
  let q = fma(a, fma(a, fma(a, fma(a, fma(a, -0.000185582263f, 0.00293968269f), -0.02180559f), 0.103037864f), 0.638225198f), 1.12704027f);
  let far = select(1.0f - exp_f32(-fma(a, q, 0.000353677402f)), 1.0f, a >= 4.0f);
  return select(far, -far, x < 0.0f);
}`,

  // The cases of Math.pow; it is NaN at (±1, ±∞).
  pow_f32: `
fn pow_f32(x: f32, y: f32) -> f32 {
  if (y == 0.0f) { return 1.0f; }
  if (is_nan(x) || is_nan(y)) { return x + y; }
  let a = abs(x);
  if (!is_finite(y)) {
    if (a == 1.0f) { return from_bits(0x7fc00000u); }
    return select(0.0f, from_bits(0x7f800000u), (a > 1.0f) == (y > 0.0f));
  }
  let whole = floor(y) == y;
  if (x < 0.0f && !whole && is_finite(x)) { return from_bits(0x7fc00000u); }
  let odd = whole && abs(y) < 16777216.0f && (i32(y) & 1i) != 0i;
  let p = exp_f32(y * log_f32(a));
  return select(p, -p, odd && bitcast<u32>(x) > 0x7fffffffu);
}`,

  // Exact, by long division of the mantissas, eight bits at a time: x / y may have many more digits than f32 holds.
  rem_f32: `
fn rem_f32(x: f32, y: f32) -> f32 {
  let sign = bitcast<u32>(x) & 0x80000000u;
  let a = bitcast<u32>(x) & 0x7fffffffu;
  let b = bitcast<u32>(y) & 0x7fffffffu;
  if (a >= 0x7f800000u || b > 0x7f800000u || b == 0u) { return from_bits(0x7fc00000u); }
  if (a < b) { return x; }
  // The exponent and mantissa of |y|, and those of |x|; a subnormal number has exponent 1 and no leading one.
  let exponent = max(b >> 23u, 1u);
  let divisor = (b & 0x7fffffu) | select(0x800000u, 0u, (b >> 23u) == 0u);
  var rest = ((a & 0x7fffffu) | select(0x800000u, 0u, (a >> 23u) == 0u)) % divisor;
  var left = max(a >> 23u, 1u) - exponent;
  while (left > 0u && rest != 0u) {
    let bits = min(left, 8u);
    rest = (rest << bits) % divisor;
    left -= bits;
  }
  if (rest == 0u) { return bitcast<f32>(sign); }
  let shift = countLeadingZeros(rest) - 8u;
  if (shift < exponent) { return bitcast<f32>(sign | ((exponent - shift) << 23u) | ((rest << shift) & 0x7fffffu)); }
  return bitcast<f32>(sign | (rest << (exponent - 1u)));
}`,

  // Threefry-2x32 with 20 rounds: five groups of four, and after each a part of the key.
  threefry_round: `
fn threefry_round(x: vec2<u32>, by: u32) -> vec2<u32> {
  let sum = x.x + x.y;
  return vec2<u32>(sum, ((x.y << by) | (x.y >> (32u - by))) ^ sum);
}`,
  threefry_even: `
fn threefry_even(x: vec2<u32>) -> vec2<u32> {
  return threefry_round(threefry_round(threefry_round(threefry_round(x, 13u), 15u), 26u), 6u);
}`,
  threefry_odd: `
fn threefry_odd(x: vec2<u32>) -> vec2<u32> {
  return threefry_round(threefry_round(threefry_round(threefry_round(x, 17u), 29u), 16u), 24u);
}`,
  threefry: `
fn threefry(key0: u32, key1: u32, counter0: u32, counter1: u32) -> vec2<u32> {
  let key2 = key0 ^ key1 ^ 0x1bd11bdau;
  var x = vec2<u32>(counter0 + key0, counter1 + key1);
  x = threefry_even(x) + vec2<u32>(key1, key2 + 1u);
  x = threefry_odd(x) + vec2<u32>(key2, key0 + 2u);
  x = threefry_even(x) + vec2<u32>(key0, key1 + 3u);
  x = threefry_odd(x) + vec2<u32>(key1, key2 + 4u);
  return threefry_even(x) + vec2<u32>(key2, key0 + 5u);
}`,
} as const satisfies Readonly<Record<string, string>>;

export type Helper = keyof typeof HELPERS;

export const callHelper = (name: Helper, ...operands: readonly Code[]): Code => call(name, ...operands);

const calls = (text: string, name: string): boolean => new RegExp(`\\b${name}\\(`).test(text);

/** The functions that a text calls, and those that these call: their text, in the order of the table. */
export function helpersOf(text: string): readonly string[] {
  const used = new Set<string>();
  const visit = (caller: string): void => {
    for (const [name, code] of Object.entries(HELPERS)) {
      if (used.has(name) || !calls(caller, name)) continue;
      used.add(name);
      visit(code);
    }
  };
  visit(text);
  return Object.entries(HELPERS)
    .filter(([name]) => used.has(name))
    .map(([, code]) => code.trim());
}
