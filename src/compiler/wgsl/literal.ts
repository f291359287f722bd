/**
 * Literals. WGSL has none for infinities and NaN, and rejects constant expressions with such values, so these are made from their
 * bits by a function call, which is no constant expression. So are −0 and subnormal numbers, which compilers are free to change, and
 * the largest number, whose short decimals are all a little too large.
 *
 * Consumed by the printer.
 */
import { LARGEST_F32 } from "../../dsl/numerics/float32.ts";
import type { Scalar } from "../kernel/ir.ts";
import { atom } from "./code.ts";
import type { Code } from "./code.ts";
import { callHelper } from "./helpers.ts";

const SMALLEST_NORMAL = 2 ** -126;

const bitsOf = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0] as number;

/** The shortest decimal that is this f32 number. */
function shortest(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9))); // nine digits tell all f32 numbers apart
}

function float(x: number): string {
  const plain = Object.is(x, 0) || (Math.abs(x) >= SMALLEST_NORMAL && Math.abs(x) < LARGEST_F32);
  if (!plain) return `from_bits(0x${bitsOf(x).toString(16)}u)`;
  const text = shortest(x);
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}

/** The number as the type holds it: integers of any size wrap, as the ops do. */
const HELD = {
  f32: Math.fround,
  i32: (value) => value | 0,
  u32: (value) => value >>> 0,
  bool: (value) => (value === 0 ? 0 : 1),
} as const satisfies { [T in Scalar]: (value: number) => number };

const TEXT = {
  f32: float,
  // A literal has no sign, and 2³¹ is no i32.
  i32: (value) => (value === -(2 ** 31) ? "i32(-2147483648)" : `${value}i`),
  u32: (value) => `${value}u`,
  bool: (value) => (value === 0 ? "false" : "true"),
} as const satisfies { [T in Scalar]: (value: number) => string };

export function literalCode(type: Scalar, value: number): Code {
  const number = HELD[type](value);
  const text = TEXT[type](number);
  // A negative one in parentheses: two minus signs in a row would be another operator.
  return { ...atom(text.startsWith("-") ? `(${text})` : text), value: number };
}

/** The same number, but no constant expression. */
export function runtimeCode(type: Scalar, value: number): Code {
  const code = literalCode(type, value);
  return { ...code, ...callHelper(`runtime_${type}`, code) };
}
