/**
 * Elementwise functions with NumPy broadcasting. Numbers may stand for tensors: `add(x, 1)`.
 * Shapes: operands broadcast together. Dtypes: both operands have one dtype; nothing is promoted silently.
 * @throws OpError (all functions) when shapes do not line up, dtypes differ or the op is not defined for the dtype.
 */
import { emitOne } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import type { ArithmeticOp, CompareOp, UnaryOp } from "../program/program.ts";
import type {
  ArgumentDType,
  Broadcast,
  DType,
  DTypeOf,
  Result,
  Shape,
  ShapeOf,
  Tensor,
  Valid,
} from "../types/index.ts";
import { align, fail, filled, traced, typed } from "./operand.ts";
import type { BinaryOperandDType, BinaryResult, BinaryRule, BinaryShape, Operand } from "./operand.ts";

const unary =
  (op: UnaryOp) =>
  <T extends Tensor>(x: T): Tensor<ShapeOf<T>, DTypeOf<T>> =>
    typed(emitOne(op, [traced(op, x)], {}));

/** −x. */
export const neg = unary("neg");
/** |x|; derivative 0 at 0. */
export const abs = unary("abs");
/** −1, 0 or 1. */
export const sign = unary("sign");
/** Largest integer not above x. */
export const floor = unary("floor");
/** eˣ. */
export const exp = unary("exp");
/** Natural logarithm. */
export const log = unary("log");
/** Sine of radians. */
export const sin = unary("sin");
/** Cosine of radians. */
export const cos = unary("cos");
/** Hyperbolic tangent. */
export const tanh = unary("tanh");
/** Square root. */
export const sqrt = unary("sqrt");
/** 1/√x. */
export const rsqrt = unary("rsqrt");
/** Error function. */
export const erf = unary("erf");
/** 1/(1+e⁻ˣ). */
export const sigmoid = unary("logistic");
/** Logical not of bool, complement of integers. */
export const not = unary("not");

type Binary<Op extends string> = <A extends Operand, B extends Operand>(
  a: A,
  b: Valid<B, BinaryRule<Op, A, B>>,
) => BinaryResult<Op, A, B>;
type Comparison<Op extends string> = <A extends Operand, B extends Operand>(
  a: A,
  b: Valid<B, BinaryRule<Op, A, B>>,
) => Result<
  BinaryShape<Op, A, B>,
  BinaryOperandDType<Op, A, B> extends DType ? "bool" : BinaryOperandDType<Op, A, B>
>;

function binary<Op extends ArithmeticOp>(op: Op): Binary<Op> {
  return (a, b) => typed(emitOne(op, align(op, a, b), {}));
}

function comparison<Op extends string>(name: Op, op: CompareOp, swap = false): Comparison<Op> {
  return (a, b) => {
    const [x, y] = align(name, a, b) as readonly [TracedTensor, TracedTensor];
    return typed(emitOne(op, swap ? [y, x] : [x, y], {}));
  };
}

/** a + b. */
export const add: Binary<"add"> = binary("add");
/** a − b. */
export const sub: Binary<"sub"> = binary("sub");
/** a · b. */
export const mul: Binary<"mul"> = binary("mul");
/** a / b; integers truncate, and a / 0 = a for integers. */
export const div: Binary<"div"> = binary("div");
/** Remainder with the sign of a. */
export const rem: Binary<"rem"> = binary("rem");
/** aᵇ for a ≥ 0. */
export const pow: Binary<"pow"> = binary("pow");
/** The larger. */
export const maximum: Binary<"max"> = binary("max");
/** The smaller. */
export const minimum: Binary<"min"> = binary("min");
/** Logical or bitwise and. */
export const and: Binary<"and"> = binary("and");
/** Logical or bitwise or. */
export const or: Binary<"or"> = binary("or");
/** Logical or bitwise exclusive or. */
export const xor: Binary<"xor"> = binary("xor");
/** a·2ᵇ modulo 2³². */
export const shiftLeft: Binary<"shiftLeft"> = binary("shiftLeft");
/** Arithmetic shift for i32, logical for u32. */
export const shiftRight: Binary<"shiftRight"> = binary("shiftRight");

/** a = b. */
export const equal: Comparison<"equal"> = comparison("equal", "equal");
/** a < b. */
export const less: Comparison<"less"> = comparison("less", "less");
/** a ≤ b. */
export const lessEqual: Comparison<"lessEqual"> = comparison("lessEqual", "lessEqual");
/** a > b. */
export const greater: Comparison<"greater"> = comparison("greater", "less", true);
/** a ≥ b. */
export const greaterEqual: Comparison<"greaterEqual"> = comparison("greaterEqual", "lessEqual", true);

type ConditionDType<C extends Tensor> = ArgumentDType<"where", "the condition", DTypeOf<C>, "bool">;
/** The condition broadcast with the values, unless these fail by themselves. */
type ConditionShape<C extends Tensor, A, B> =
  BinaryShape<"where", A, B> extends infer S extends Shape ? Broadcast<ShapeOf<C>, S, "where"> : Shape;
/** The first rule that fails, as the result of all. */
type WhereResult<C extends Tensor, A, B> =
  BinaryResult<"where", A, B> extends Tensor
    ? Result<
        ConditionShape<C, A, B>,
        ConditionDType<C> extends DType ? BinaryOperandDType<"where", A, B> : ConditionDType<C>
      >
    : BinaryResult<"where", A, B>;

/** `a` where the bool `condition` holds, else `b`; all three broadcast together. */
export function where<C extends Tensor, A extends Operand, B extends Operand>(
  condition: Valid<C, ConditionDType<C> | ConditionShape<C, A, B>>,
  a: A,
  b: Valid<B, BinaryRule<"where", A, B>>,
): WhereResult<C, A, B> {
  const test = traced("where", condition);
  if (test.dtype !== "bool") fail(`where: the condition must be bool, got ${test.dtype}`);
  const [x, y] = align("where", a, b) as readonly [TracedTensor, TracedTensor];
  if (x.dtype !== y.dtype) fail(`where: dtypes differ: ${x.dtype} vs ${y.dtype}; use cast`);
  return typed(emitOne("select", align("where", test, x, y), {}));
}

/** Converts the dtype: float to integer truncates, to bool is x ≠ 0. */
export const cast = <T extends Tensor, D extends DType>(x: T, dtype: D): Tensor<ShapeOf<T>, D> =>
  typed(prim.cast(traced("cast", x), dtype));

/** The identity, whose derivative is zero. */
export const stopGradient = <T extends Tensor>(x: T): Tensor<ShapeOf<T>, DTypeOf<T>> =>
  typed(prim.stop(traced("stopGradient", x)));

/** x². */
export const square = <T extends Tensor>(x: T): Tensor<ShapeOf<T>, DTypeOf<T>> => {
  const t = traced("square", x);
  return typed(prim.mul(t, t));
};

/** max(x, 0). */
export const relu = <T extends Tensor>(x: T): Tensor<ShapeOf<T>, DTypeOf<T>> => {
  const t = traced("relu", x);
  return typed(emitOne("max", [t, prim.zeros(t)], {}));
};

/** x·sigmoid(x) (swish). */
export const silu = <T extends Tensor>(x: T): Tensor<ShapeOf<T>, DTypeOf<T>> => {
  const t = traced("silu", x);
  return typed(prim.mul(t, emitOne("logistic", [t], {})));
};

/** log(1 + eˣ), without overflow. */
export const softplus = <T extends Tensor>(x: T): Tensor<ShapeOf<T>, DTypeOf<T>> => {
  const t = traced("softplus", x);
  const tail = prim.log(prim.add(prim.fill(1, t), prim.exp(prim.neg(emitOne("abs", [t], {})))));
  return typed(prim.add(emitOne("max", [t, prim.zeros(t)], {}), tail));
};

/** cap·tanh(x/cap): monotone, within (−cap, cap), slope 1 at 0. */
export const softcap = <T extends Tensor>(x: T, cap: number): Tensor<ShapeOf<T>, DTypeOf<T>> => {
  const t = traced("softcap", x);
  return typed(prim.scale(prim.tanh(prim.scale(t, 1 / cap)), cap));
};

/** Clips to [low, high]. */
export const clip = <T extends Tensor>(x: T, low: number, high: number): Tensor<ShapeOf<T>, DTypeOf<T>> => {
  const t = traced("clip", x);
  return typed(
    emitOne("min", [emitOne("max", [t, filled("clip", low, t)], {}), filled("clip", high, t)], {}),
  );
};
