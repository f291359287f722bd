/**
 * Lowering of the elementwise ops. Floats map to one ONNX op mostly (f16 through f32); integers need care
 * where C++ leaves the result undefined or traps (division by zero, INT_MIN / −1, shifts by 32 and more) and
 * where ONNX Runtime has no kernel for the type (Where and Neg on u32, Where on bool).
 *
 * Consumed by `index.ts`. To add an op: a row in the table of its arity.
 */
import type { ArithmeticOp, CompareOp, UnaryOp } from "../../../dsl/program/program.ts";
import { pair, single, triple } from "../../lowering.ts";
import { int, string } from "../emitter.ts";
import type { Emitter } from "../emitter.ts";
import { ElementType } from "../proto.ts";
import { elementOf } from "../value.ts";
import type { Value } from "../value.ts";
import type { LowerRule } from "./rule.ts";

type Unary = (emit: Emitter, x: Value) => Value;
type Binary = (emit: Emitter, x: Value, y: Value) => Value;

const { float32, float64, int32, int64, uint32, bool } = ElementType;
const isUnsigned = (value: Value): boolean => value.element === uint32;
const isFloat = (value: Value): boolean => value.element === float32;

/** condition ? x : y, elementwise. */
function where(emit: Emitter, condition: Value, x: Value, y: Value): Value {
  switch (x.element) {
    case bool: {
      const no = emit.elementwise("Not", [condition]);
      return emit.elementwise("Or", [
        emit.elementwise("And", [condition, x]),
        emit.elementwise("And", [no, y]),
      ]);
    }
    case uint32: // kept bit for bit by both casts
      return emit.cast(
        emit.elementwise("Where", [condition, emit.cast(x, int32), emit.cast(y, int32)]),
        uint32,
      );
    default:
      return emit.elementwise("Where", [condition, x, y]);
  }
}

const shiftBits = (emit: Emitter, x: Value, by: Value, direction: "LEFT" | "RIGHT"): Value =>
  emit.elementwise("BitShift", [x, by], { attributes: { direction: string(direction) } });

/** Shift of u32 by any u32. C++ shifts by less than 32 only, so a longer one is made of two. */
function shiftUnsigned(emit: Emitter, x: Value, by: Value, direction: "LEFT" | "RIGHT"): Value {
  if (by.splat !== undefined) {
    return by.splat < 32 ? shiftBits(emit, x, by, direction) : emit.splat(uint32, x.shape, 0);
  }
  const most = emit.elementwise("Min", [by, emit.scalar(uint32, 31)]);
  const rest = emit.elementwise("Sub", [emit.elementwise("Min", [by, emit.scalar(uint32, 32)]), most]);
  return shiftBits(emit, shiftBits(emit, x, most, direction), rest, direction);
}

/** A bitwise copy as u32; a known number stays known. */
function toUnsigned(emit: Emitter, value: Value): Value {
  return value.splat === undefined
    ? emit.cast(value, uint32)
    : emit.splat(uint32, value.shape, value.splat >>> 0);
}

const shiftLeft: Binary = (emit, x, y) =>
  emit.cast(shiftUnsigned(emit, toUnsigned(emit, x), toUnsigned(emit, y), "LEFT"), x.element);

const shiftRight: Binary = (emit, x, y) => {
  if (isUnsigned(x)) return shiftUnsigned(emit, x, y, "RIGHT");
  // The complement of a negative number is not negative: shift that, and complement again.
  const mask = emit.elementwise("Neg", [
    emit.cast(emit.elementwise("Less", [x, emit.scalar(int32, 0)], { element: bool }), int32),
  ]);
  const flipped = emit.cast(emit.elementwise("BitwiseXor", [x, mask]), uint32);
  const shifted = emit.cast(shiftUnsigned(emit, flipped, toUnsigned(emit, y), "RIGHT"), int32);
  return emit.elementwise("BitwiseXor", [shifted, mask]);
};

const negate: Unary = (emit, x) =>
  isUnsigned(x) ? emit.elementwise("Sub", [emit.scalar(uint32, 0), x]) : emit.elementwise("Neg", [x]);

/** The i32 divisor with 0 and −1 replaced by 1: division by either traps (the latter at INT_MIN). */
function safeDivisor(emit: Emitter, y: Value): { readonly divisor: Value; readonly isMinusOne: Value } {
  const isMinusOne = emit.elementwise("Equal", [y, emit.scalar(int32, -1)], { element: bool });
  const isZero = emit.elementwise("Equal", [y, emit.scalar(int32, 0)], { element: bool });
  const unsafe = emit.elementwise("Or", [isZero, isMinusOne]);
  return { divisor: where(emit, unsafe, emit.scalar(int32, 1), y), isMinusOne };
}

const isSafe = (y: Value): boolean => y.splat !== undefined && y.splat !== 0 && y.splat !== -1;

const divide: Binary = (emit, x, y) => {
  if (isFloat(x) || isSafe(y)) return emit.elementwise("Div", [x, y]);
  if (isUnsigned(x))
    return emit.elementwise("Div", [x, emit.elementwise("Max", [y, emit.scalar(uint32, 1)])]);
  const { divisor, isMinusOne } = safeDivisor(emit, y);
  return where(emit, isMinusOne, negate(emit, x), emit.elementwise("Div", [x, divisor]));
};

const remainder: Binary = (emit, x, y) => {
  const attributes = { fmod: int(1) };
  if (isFloat(x) || isSafe(y)) return emit.elementwise("Mod", [x, y], { attributes });
  const divisor = isUnsigned(x)
    ? emit.elementwise("Max", [y, emit.scalar(uint32, 1)])
    : safeDivisor(emit, y).divisor;
  return emit.elementwise("Mod", [x, divisor], { attributes });
};

const power: Binary = (emit, x, y) => {
  if (y.splat === 2) return emit.elementwise("Mul", [x, x]);
  if (y.splat === -1) return emit.elementwise("Reciprocal", [x]);
  return emit.elementwise("Pow", [x, y]);
};

const plain =
  (op: string): Unary & Binary =>
  (emit: Emitter, ...operands: readonly Value[]) =>
    emit.elementwise(op, operands);

/** One op for bool and another for the bits of integers. */
const bitwise =
  (logical: string, bits: string): Unary & Binary =>
  (emit: Emitter, ...operands: readonly Value[]) =>
    emit.elementwise(single(operands).element === bool ? logical : bits, operands);

const unary =
  (rule: Unary): LowerRule<UnaryOp> =>
  ({ emit }, inputs) =>
    emit.inFloat32(inputs, (operands) => [rule(emit, single(operands))]);

const arithmetic =
  (rule: Binary): LowerRule<ArithmeticOp> =>
  ({ emit }, inputs) =>
    emit.inFloat32(inputs, (operands) => [rule(emit, ...pair(operands))]);

const compare =
  (op: string): LowerRule<CompareOp> =>
  ({ emit }, inputs) =>
    emit.inFloat32(inputs, (operands) => [emit.elementwise(op, operands, { element: bool })]);

export const UNARY = {
  neg: unary(negate),
  abs: unary((emit, x) => (isUnsigned(x) ? x : emit.elementwise("Abs", [x]))),
  sign: unary(plain("Sign")),
  floor: unary(plain("Floor")),
  exp: unary(plain("Exp")),
  log: unary(plain("Log")),
  sin: unary(plain("Sin")),
  cos: unary(plain("Cos")),
  tanh: unary(plain("Tanh")),
  sqrt: unary(plain("Sqrt")),
  rsqrt: unary((emit, x) => emit.elementwise("Reciprocal", [emit.elementwise("Sqrt", [x])])),
  erf: unary(plain("Erf")),
  logistic: unary(plain("Sigmoid")),
  not: unary(bitwise("Not", "BitwiseNot")),
} as const satisfies { [K in UnaryOp]: LowerRule<K> };

export const ARITHMETIC = {
  add: arithmetic(plain("Add")),
  sub: arithmetic(plain("Sub")),
  mul: arithmetic(plain("Mul")),
  div: arithmetic(divide),
  rem: arithmetic(remainder),
  pow: arithmetic(power),
  max: arithmetic(plain("Max")),
  min: arithmetic(plain("Min")),
  and: arithmetic(bitwise("And", "BitwiseAnd")),
  or: arithmetic(bitwise("Or", "BitwiseOr")),
  xor: arithmetic(bitwise("Xor", "BitwiseXor")),
  shiftLeft: arithmetic(shiftLeft),
  shiftRight: arithmetic(shiftRight),
} as const satisfies { [K in ArithmeticOp]: LowerRule<K> };

export const COMPARE = {
  equal: compare("Equal"),
  less: compare("Less"),
  lessEqual: compare("LessOrEqual"),
} as const satisfies { [K in CompareOp]: LowerRule<K> };

export const lowerSelect: LowerRule<"select"> = ({ emit }, inputs) => [where(emit, ...triple(inputs))];

/**
 * Float to integer: NaN to 0 and the ends saturated in f64, which holds every i32 and u32, because C++ leaves
 * both open.
 */
function truncate(emit: Emitter, x: Value, element: typeof int32 | typeof uint32): Value {
  const number = emit.elementwise("Equal", [x, x], { element: bool });
  const wide = emit.cast(emit.elementwise("Where", [number, x, emit.scalar(float32, 0)]), float64);
  const [least, most] = element === int32 ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
  const clipped = emit.elementwise("Min", [
    emit.elementwise("Max", [wide, emit.scalar(float64, least)]),
    emit.scalar(float64, most),
  ]);
  return emit.cast(emit.cast(clipped, int64), element);
}

export const lowerCast: LowerRule<"cast"> = ({ emit }, inputs, { dtype }) => {
  const x = single(inputs);
  if (x.element === elementOf(dtype)) return [x];
  const wide = x.element === ElementType.float16 ? emit.cast(x, float32) : x;
  switch (dtype) {
    case "i32":
      return [isFloat(wide) ? truncate(emit, wide, int32) : emit.cast(wide, int32)];
    case "u32":
      return [isFloat(wide) ? truncate(emit, wide, uint32) : emit.cast(wide, uint32)];
    case "f16": // integers go through f32, which rounds no integer that f16 can hold
      return [emit.cast(emit.cast(wide, float32), ElementType.float16)];
    case "f32":
    case "bool":
      return [emit.cast(wide, elementOf(dtype))];
  }
};

export const lowerStopGradient: LowerRule<"stopGradient"> = (_lowering, inputs) => inputs;
