/**
 * Elementwise ops: all operands have one shape (broadcasting is explicit, see `broadcast`) and, but for `select`, one dtype.
 * Each entry holds the scalar value (used by the interpreter, in f64 for floats, wrapped to 32 bits for integers) and
 * the scalar derivative (used by jvp). To add one: name it in `program.ts`, then add a row here.
 */
import { formatType, sameShape } from "../program/program.ts";
import type { ArithmeticOp, CompareOp, TensorType, UnaryOp } from "../program/program.ts";
import type { DType } from "../types/dtype.ts";
import { erf } from "../numerics/erf.ts";
import { require } from "./definition.ts";
import type {
  ArithmeticDefinition,
  BinaryDerivative,
  CompareDefinition,
  OpDefinition,
  UnaryDefinition,
  UnaryDerivative,
} from "./definition.ts";

type Legal = "float" | "number" | "integer" | "integer or bool";
const LEGAL: Readonly<Record<Legal, readonly DType[]>> = {
  float: ["f32", "f16"],
  number: ["f32", "f16", "i32", "u32"],
  integer: ["i32", "u32"],
  "integer or bool": ["i32", "u32", "bool"],
};

/** Checks that all inputs have one shape and one legal dtype; returns the first. */
function alike(
  op: string,
  inputs: readonly TensorType[],
  count: number,
  legal: readonly DType[],
): TensorType {
  require(inputs.length === count, () => `${op} takes ${count} tensor(s), got ${inputs.length}`);
  const first = inputs[0] as TensorType; // present: count >= 1 was checked
  for (const input of inputs) {
    require(input.dtype === first.dtype, () =>
      `${op}: dtypes differ: ${first.dtype} vs ${input.dtype}; use cast`);
    require(sameShape(input.shape, first.shape), () =>
      `${op}: shapes differ: ${inputs.map(formatType).join(" vs ")}`);
  }
  require(legal.includes(first.dtype), () =>
    `${op} is not defined for ${first.dtype} (only for ${legal.join(", ")})`);
  return first;
}

function unary(
  op: UnaryOp,
  legal: Legal,
  doc: string,
  value: UnaryDefinition["value"],
  derivative: UnaryDerivative | null,
): UnaryDefinition {
  return { doc, value, derivative, infer: (inputs) => [alike(op, inputs, 1, LEGAL[legal])] };
}

const logistic = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

export const UNARY = {
  neg: unary(
    "neg",
    "number",
    "−x; wraps for integers.",
    (x) => -x,
    (m) => m.constant(-1),
  ),
  abs: unary(
    "abs",
    "number",
    "|x|; derivative sign(x), 0 at 0.",
    (x) => Math.abs(x),
    (m, x) => m.sign(x),
  ),
  sign: unary("sign", "number", "−1, 0 or 1.", (x) => (x > 0 ? 1 : x < 0 ? -1 : x === 0 ? 0 : x), null),
  floor: unary("floor", "float", "Largest integer not above x.", (x) => Math.floor(x), null),
  exp: unary(
    "exp",
    "float",
    "eˣ.",
    (x) => Math.exp(x),
    (_m, _x, y) => y,
  ),
  log: unary(
    "log",
    "float",
    "Natural logarithm; −inf at 0, NaN below.",
    (x) => Math.log(x),
    (m, x) => m.div(m.constant(1), x),
  ),
  sin: unary(
    "sin",
    "float",
    "sin x, x in radians.",
    (x) => Math.sin(x),
    (m, x) => m.cos(x),
  ),
  cos: unary(
    "cos",
    "float",
    "cos x, x in radians.",
    (x) => Math.cos(x),
    (m, x) => m.neg(m.sin(x)),
  ),
  tanh: unary(
    "tanh",
    "float",
    "tanh x.",
    (x) => Math.tanh(x),
    (m, _x, y) => m.sub(m.constant(1), m.mul(y, y)),
  ),
  sqrt: unary(
    "sqrt",
    "float",
    "√x; NaN below 0.",
    (x) => Math.sqrt(x),
    (m, _x, y) => m.div(m.constant(0.5), y),
  ),
  rsqrt: unary(
    "rsqrt",
    "float",
    "1/√x.",
    (x) => 1 / Math.sqrt(x),
    (m, x, y) => m.mul(m.constant(-0.5), m.div(y, x)),
  ),
  erf: unary(
    "erf",
    "float",
    "Error function 2/√π ∫₀ˣ exp(−u²) du.",
    (x) => erf(x),
    (m, x) => m.mul(m.constant(2 / Math.sqrt(Math.PI)), m.exp(m.neg(m.mul(x, x)))),
  ),
  logistic: unary("logistic", "float", "1/(1+e⁻ˣ), without overflow.", logistic, (m, _x, y) =>
    m.mul(y, m.sub(m.constant(1), y)),
  ),
  not: unary(
    "not",
    "integer or bool",
    "Logical not of bool, bitwise complement of integers.",
    (x, dtype) => (dtype === "bool" ? 1 - x : ~x),
    null,
  ),
} as const satisfies { [K in UnaryOp]: UnaryDefinition };

function arithmetic(
  op: ArithmeticOp,
  legal: Legal,
  doc: string,
  value: ArithmeticDefinition["value"],
  ...derivative: [BinaryDerivative | null, BinaryDerivative | null]
): ArithmeticDefinition {
  return { doc, value, derivative, infer: (inputs) => [alike(op, inputs, 2, LEGAL[legal])] };
}

const isInteger = (dtype: DType): boolean => dtype === "i32" || dtype === "u32";

/** 1 for the winner, ½ each in a tie, so that the derivative is the mean of the one-sided ones. */
const winner =
  (pick: "x" | "y"): BinaryDerivative =>
  (m, x, y, z) =>
    m.ifEqual(pick === "x" ? x : y, z, m.ifEqual(x, y, m.constant(0.5), m.constant(1)), m.constant(0));

export const ARITHMETIC = {
  add: arithmetic(
    "add",
    "number",
    "x + y; wraps for integers.",
    (x, y) => x + y,
    (m) => m.constant(1),
    (m) => m.constant(1),
  ),
  sub: arithmetic(
    "sub",
    "number",
    "x − y; wraps for integers.",
    (x, y) => x - y,
    (m) => m.constant(1),
    (m) => m.constant(-1),
  ),
  mul: arithmetic(
    "mul",
    "number",
    "x · y; wraps for integers.",
    (x, y, d) => (isInteger(d) ? Math.imul(x, y) : x * y),
    (_m, _x, y) => y,
    (_m, x) => x,
  ),
  div: arithmetic(
    "div",
    "number",
    "x / y; integers truncate towards zero, and x / 0 = x as in WGSL.",
    (x, y, d) => (isInteger(d) ? (y === 0 ? x : Math.trunc(x / y)) : x / y),
    (m, _x, y) => m.div(m.constant(1), y),
    (m, _x, y, z) => m.neg(m.div(z, y)),
  ),
  rem: arithmetic(
    "rem",
    "number",
    "Remainder with the sign of x: x − y·trunc(x/y); for integers x rem 0 = 0.",
    (x, y, d) => (isInteger(d) && y === 0 ? 0 : x % y),
    (m) => m.constant(1),
    (m, x, y, z) => m.div(m.sub(z, x), y),
  ),
  pow: arithmetic(
    "pow",
    "float",
    "xʸ for x ≥ 0; NaN for negative x with fractional y. The derivative in y at x = 0 is 0.",
    (x, y) => Math.pow(x, y),
    // 0·0⁻¹ is kept from being NaN at (0, 0) only, so that derivatives of this one are right at y = 0.
    (m, x, y) =>
      m.mul(
        y,
        m.pow(
          m.ifEqual(y, m.constant(0), m.ifEqual(x, m.constant(0), m.constant(1), x), x),
          m.sub(y, m.constant(1)),
        ),
      ),
    (m, x, _y, z) =>
      m.ifEqual(
        x,
        m.constant(0),
        m.constant(0),
        m.mul(z, m.log(m.ifEqual(x, m.constant(0), m.constant(1), x))),
      ),
  ),
  max: arithmetic(
    "max",
    "number",
    "The larger; the derivative is shared equally in a tie.",
    (x, y) => Math.max(x, y),
    winner("x"),
    winner("y"),
  ),
  min: arithmetic(
    "min",
    "number",
    "The smaller; the derivative is shared equally in a tie.",
    (x, y) => Math.min(x, y),
    winner("x"),
    winner("y"),
  ),
  and: arithmetic("and", "integer or bool", "Logical or bitwise and.", (x, y) => x & y, null, null),
  or: arithmetic("or", "integer or bool", "Logical or bitwise or.", (x, y) => x | y, null, null),
  xor: arithmetic("xor", "integer or bool", "Logical or bitwise exclusive or.", (x, y) => x ^ y, null, null),
  shiftLeft: arithmetic(
    "shiftLeft",
    "integer",
    "x·2ʸ modulo 2³²; 0 when y ≥ 32.",
    (x, y) => (y >>> 0 >= 32 ? 0 : x << y),
    null,
    null,
  ),
  shiftRight: arithmetic(
    "shiftRight",
    "integer",
    "Arithmetic shift for i32, logical for u32; y ≥ 32 shifts everything out.",
    (x, y, d) => (d === "u32" ? (y >>> 0 >= 32 ? 0 : x >>> y) : x >> (y >>> 0 >= 32 ? 31 : y)),
    null,
    null,
  ),
} as const satisfies { [K in ArithmeticOp]: ArithmeticDefinition };

function compare(
  op: CompareOp,
  doc: string,
  legal: readonly DType[],
  value: CompareDefinition["value"],
): CompareDefinition {
  return {
    doc,
    value,
    infer: (inputs) => [{ shape: alike(op, inputs, 2, legal).shape, dtype: "bool" }],
  };
}

export const COMPARE = {
  equal: compare(
    "equal",
    "x = y; NaN equals nothing.",
    ["f32", "f16", "i32", "u32", "bool"],
    (x, y) => x === y,
  ),
  less: compare("less", "x < y.", LEGAL.number, (x, y) => x < y),
  lessEqual: compare("lessEqual", "x ≤ y.", LEGAL.number, (x, y) => x <= y),
} as const satisfies { [K in CompareOp]: CompareDefinition };

export const SELECT: OpDefinition<"select"> = {
  doc: "select(condition, x, y): x where the bool condition holds, else y. All three of one shape, x and y of one dtype.",
  infer(inputs) {
    require(inputs.length === 3, () => `select takes 3 tensors, got ${inputs.length}`);
    const [condition, x, y] = inputs as readonly [TensorType, TensorType, TensorType];
    require(condition.dtype === "bool", () => `select: the condition must be bool, got ${condition.dtype}`);
    require(x.dtype === y.dtype, () => `select: dtypes differ: ${x.dtype} vs ${y.dtype}; use cast`);
    require(sameShape(condition.shape, x.shape) && sameShape(x.shape, y.shape), () =>
      `select: shapes differ: ${inputs.map(formatType).join(" vs ")}`);
    return [x];
  },
};

export const CAST: OpDefinition<"cast"> = {
  doc: "Converts the dtype. Float to integer truncates towards zero (saturating at the ends); to bool is x ≠ 0; i32 and u32 keep bits.",
  infer(inputs, params) {
    require(inputs.length === 1, () => `cast takes 1 tensor, got ${inputs.length}`);
    return [{ shape: (inputs[0] as TensorType).shape, dtype: params.dtype }];
  },
};

export const STOP_GRADIENT: OpDefinition<"stopGradient"> = {
  doc: "The identity, whose derivative is zero.",
  infer(inputs) {
    require(inputs.length === 1, () => `stopGradient takes 1 tensor, got ${inputs.length}`);
    return [inputs[0] as TensorType];
  },
};

export const THREEFRY: OpDefinition<"threefry"> = {
  doc:
    "Threefry-2x32 with 20 rounds (Salmon et al. 2011, Random123): (key0, key1, counter0, counter1) -> (bits0, bits1), " +
    "elementwise over u32 tensors of one shape.",
  infer(inputs) {
    const type = alike("threefry", inputs, 4, ["u32"]);
    return [type, type];
  },
};
