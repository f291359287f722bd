/**
 * What the scalar ops are in WGSL, by the type of their operands: an operator, a builtin, or a function of `helpers.ts` where WGSL
 * means something else.
 *
 * Consumed by the printer. To add an op: a row in the table of its arity.
 */
import type { ArithmeticOp, BinaryOp, CompareOp, UnaryOp } from "../../dsl/program/program.ts";
import type { Scalar } from "../kernel/ir.ts";
import { atom, call, infix, prefix } from "./code.ts";
import type { Code } from "./code.ts";
import { callHelper } from "./helpers.ts";
import type { Helper } from "./helpers.ts";
import { literalCode } from "./literal.ts";

type Unary = (x: Code) => Code;
type Binary = (x: Code, y: Code) => Code;
/** A missing type is one that the op is not defined for. */
type ByType<Rule> = { readonly [T in Scalar]?: Rule };

const operator =
  (text: string): Binary =>
  (x, y) =>
    infix(x, text, y);
const sign =
  (text: string): Unary =>
  (x) =>
    prefix(text, x);
/** A builtin function, or a conversion. */
const builtin =
  (name: string): Unary & Binary =>
  (...operands: readonly Code[]) =>
    call(name, ...operands);
const helper =
  (name: Helper): Unary & Binary =>
  (...operands: readonly Code[]) =>
    callHelper(name, ...operands);
const same: Unary = (x) => x;

const numbers = <R>(rule: R): ByType<R> => ({ f32: rule, i32: rule, u32: rule });
const integers = <R>(rule: R): ByType<R> => ({ i32: rule, u32: rule });

/** Division by a positive literal needs no care. Index arithmetic is of this kind. */
const division =
  (text: string, general: Helper): Binary =>
  (x, y) =>
    y.value !== undefined && y.value > 0 ? infix(x, text, y) : callHelper(general, x, y);

const shift =
  (text: string, general: Helper): Binary =>
  (x, y) =>
    y.value !== undefined && y.value >= 0 && y.value < 32
      ? infix(x, text, literalCode("u32", y.value))
      : callHelper(general, x, y);

/** x times 0 or −0. */
const zeroTimes = (zero: number, x: Code): Code => {
  const product = callHelper("zero_times", x);
  return Object.is(zero, 0) ? product : prefix("-", product);
};

const multiplyFloats: Binary = (x, y) => {
  if (x.value === 0) return zeroTimes(x.value, y);
  return y.value === 0 ? zeroTimes(y.value, x) : infix(x, "*", y);
};

/** WGSL promises nothing of divisions by more than this: its reciprocal may be taken for 0. */
const LARGEST_DIVISOR = 2 ** 126;

/** By a multiplication where an operand is 0 or infinite: optimizers leave x / 0 undefined, and take 0 / x and x / ∞ for 0. */
const divideFloats: Binary = (x, y) => {
  const isSpecial = y.value !== undefined && (y.value === 0 || Math.abs(y.value) === Infinity);
  if (isSpecial) return multiplyFloats(x, literalCode("f32", 1 / y.value));
  if (x.value === 0) return zeroTimes(x.value, infix(atom("1.0f"), "/", y));
  return y.value !== undefined && Math.abs(y.value) <= LARGEST_DIVISOR
    ? infix(x, "/", y)
    : callHelper("div_f32", x, y);
};

/** A name of what is true in every kernel that mentions it. */
export const ALWAYS = "always";

const UNARY = {
  neg: { f32: sign("-"), i32: sign("-"), u32: (x) => infix(atom("0u"), "-", x) },
  abs: { f32: builtin("abs"), i32: builtin("abs"), u32: same },
  sign: { f32: helper("sign_f32"), i32: builtin("sign"), u32: (x) => call("min", x, atom("1u")) },
  floor: { f32: builtin("floor") },
  exp: { f32: helper("exp_f32") },
  log: { f32: helper("log_f32") },
  sin: { f32: helper("sin_f32") },
  cos: { f32: helper("cos_f32") },
  tanh: { f32: helper("tanh_f32") },
  sqrt: { f32: builtin("sqrt") },
  rsqrt: { f32: builtin("inverseSqrt") },
  erf: { f32: helper("erf_f32") },
  logistic: { f32: helper("logistic_f32") },
  // A compiler that knows no NaN makes x >= y of !(x < y); of what is known at run time only, it makes nothing.
  not: { ...integers(sign("~")), bool: (x) => infix(x, "!=", atom(ALWAYS)) },
} as const satisfies { [K in UnaryOp]: ByType<Unary> };

const ARITHMETIC = {
  add: numbers(operator("+")),
  sub: numbers(operator("-")),
  mul: { ...integers(operator("*")), f32: multiplyFloats },
  div: { f32: divideFloats, i32: division("/", "div_i32"), u32: division("/", "div_u32") },
  rem: { f32: helper("rem_f32"), i32: division("%", "rem_i32"), u32: division("%", "rem_u32") },
  pow: { f32: (x, y) => (y.value === 2 ? callHelper("square", x) : callHelper("pow_f32", x, y)) },
  max: { ...integers(builtin("max")), f32: helper("max_f32") },
  min: { ...integers(builtin("min")), f32: helper("min_f32") },
  and: { ...integers(operator("&")), bool: operator("&&") },
  or: { ...integers(operator("|")), bool: operator("||") },
  xor: { ...integers(operator("^")), bool: operator("!=") },
  shiftLeft: { i32: shift("<<", "shift_left_i32"), u32: shift("<<", "shift_left_u32") },
  shiftRight: { i32: shift(">>", "shift_right_i32"), u32: shift(">>", "shift_right_u32") },
} as const satisfies { [K in ArithmeticOp]: ByType<Binary> };

const COMPARE = {
  equal: { ...numbers(operator("==")), bool: operator("==") },
  less: numbers(operator("<")),
  lessEqual: numbers(operator("<=")),
} as const satisfies { [K in CompareOp]: ByType<Binary> };

const BINARY: { readonly [K in BinaryOp]: ByType<Binary> } = { ...ARITHMETIC, ...COMPARE };

/** Integers of the two types keep their bits; a float is true where it is not 0, NaN too. */
const CAST = {
  f32: { f32: same, i32: helper("to_i32"), u32: helper("to_u32"), bool: helper("is_nonzero") },
  i32: {
    f32: builtin("f32"),
    i32: same,
    u32: builtin("bitcast<u32>"),
    bool: (x) => infix(x, "!=", atom("0i")),
  },
  u32: {
    f32: builtin("f32"),
    i32: builtin("bitcast<i32>"),
    u32: same,
    bool: (x) => infix(x, "!=", atom("0u")),
  },
  bool: { f32: builtin("f32"), i32: builtin("i32"), u32: builtin("u32"), bool: same },
} as const satisfies { [From in Scalar]: { [To in Scalar]: Unary } };

function ruleOf<R>(op: string, table: ByType<R>, type: Scalar): R {
  const rule = table[type];
  if (rule === undefined) throw new Error(`${op} is not defined for ${type}`);
  return rule;
}

export const unaryCode = (op: UnaryOp, type: Scalar, x: Code): Code => ruleOf<Unary>(op, UNARY[op], type)(x);

export const binaryCode = (op: BinaryOp, type: Scalar, x: Code, y: Code): Code =>
  ruleOf<Binary>(op, BINARY[op], type)(x, y);

export const castCode = (from: Scalar, to: Scalar, x: Code): Code => CAST[from][to](x);

/** Numbers that are no floats are never NaN. */
export const isNanCode = (type: Scalar, x: Code): Code =>
  type === "f32" ? callHelper("is_nan", x) : literalCode("bool", 0);

export const selectCode = (condition: Code, x: Code, y: Code): Code => call("select", y, x, condition);
