/**
 * Lowering of elementwise ops. Floats go to kernels, but for those that are coarse or wrong for some values on a backend (erf, pow, rem);
 * of integers only what every backend computes exactly, modulo 2³², does. The rest is for the host.
 *
 * Consumed by `index.ts`.
 */
import { sameShape } from "../../../dsl/program/program.ts";
import type { AnyEquation, ArithmeticOp, CompareOp, UnaryOp } from "../../../dsl/program/program.ts";
import { isFloat } from "../../../dsl/types/dtype.ts";
import { pair, single, triple } from "../../lowering.ts";
import type { PlanBuilder } from "../builder.ts";
import { storageOf } from "../plan.ts";
import type { Value } from "../value.ts";
import { onHost } from "./rule.ts";
import type { LowerRule } from "./rule.ts";

const SIGN_BIT = -(2 ** 31);

const binary = (build: PlanBuilder, kernel: string, a: Value, b: Value, dtype = a.dtype): Value =>
  build.elementwise(kernel, { a, b }, dtype);

/** u32 as the i32 of the same order: the sign bit turned around, by a sum that wraps. Other dtypes as they are. */
export const ordered = (build: PlanBuilder, x: Value): Value =>
  x.dtype === "u32"
    ? binary(build, "Add", build.as(x, "i32"), build.splat({ shape: x.shape, dtype: "i32" }, SIGN_BIT))
    : x;

/** Undoes {@link ordered}. */
export const unordered = (build: PlanBuilder, x: Value, dtype: Value["dtype"]): Value =>
  dtype === "u32"
    ? build.as(binary(build, "Add", x, build.splat({ shape: x.shape, dtype: "i32" }, SIGN_BIT)), "u32")
    : x;

/** condition ? x : y; the kernel takes whole operands of one shape, and four bytes for an element. */
export function choose(build: PlanBuilder, condition: Value, x: Value, y: Value): Value {
  if (x.dtype === "bool") {
    const no = build.elementwise("LogicalNot", { x: condition }, "bool");
    const [yes, otherwise] = [binary(build, "LogicalAnd", condition, x), binary(build, "LogicalAnd", no, y)];
    return binary(build, "LogicalOr", yes, otherwise);
  }
  const { shape, dtype } = x;
  const [c, t, e] = [condition, x, y].map((value) => build.whole(value).slot) as [number, number, number]; // three
  return build.call("Select", { condition: c, t, e }, dtype, shape);
}

/** Whether both are the same bits, NaN unlike itself. */
const unequal = (build: PlanBuilder, a: Value, b: Value): Value => binary(build, "NotEqual", a, b, "bool");

/** True where a float is NaN. */
export const isNaN = (build: PlanBuilder, x: Value): Value => unequal(build, x, x);

const kernel =
  (name: string): LowerRule<UnaryOp> =>
  ({ build }, inputs) => {
    const x = single(inputs);
    return [build.elementwise(name, { x }, x.dtype)];
  };

const zeroLike = (build: PlanBuilder, { shape, dtype }: Value): Value => build.splat({ shape, dtype }, 0);

/** 0 − x for integers: it wraps. */
const lowerNeg: LowerRule<"neg"> = ({ build }, inputs) => {
  const x = single(inputs);
  if (isFloat(x.dtype)) return [build.elementwise("Neg", { x }, x.dtype)];
  return [binary(build, "Sub", zeroLike(build, x), x)];
};

/** Of integers not by the kernel, which goes through floats. */
const lowerAbs: LowerRule<"abs"> = ({ build }, inputs) => {
  const x = single(inputs);
  if (x.dtype === "u32") return [x];
  if (isFloat(x.dtype)) return [build.elementwise("Abs", { x }, x.dtype)];
  return [binary(build, "Maximum", x, binary(build, "Sub", zeroLike(build, x), x))];
};

/**
 * By comparisons: the kernels give 0 for NaN and for very small numbers. What compares as neither is NaN, or 0, or a subnormal number on
 * a backend that takes those for 0; times 0 it is what it should be.
 */
const lowerSign: LowerRule<"sign"> = ({ build }, inputs) => {
  const x = single(inputs);
  const zero = zeroLike(build, x);
  const of = (value: number): Value => build.splat({ shape: x.shape, dtype: x.dtype }, value);
  const positive = binary(build, x.dtype === "u32" ? "NotEqual" : "Less", zero, x, "bool");
  if (x.dtype === "u32") return [choose(build, positive, of(1), x)];
  const neither = isFloat(x.dtype) ? binary(build, "Multiply", x, zero) : x;
  const rest = choose(build, binary(build, "Less", x, zero, "bool"), of(-1), neither);
  return [choose(build, positive, of(1), rest)];
};

const lowerNot: LowerRule<"not"> = (lowering, inputs) => {
  const x = single(inputs);
  const { build } = lowering;
  if (x.dtype === "bool") return [build.elementwise("LogicalNot", { x }, "bool")];
  // ~x = −1 − x, in either reading of the bits.
  const ones = build.splat({ shape: x.shape, dtype: x.dtype }, x.dtype === "u32" ? 2 ** 32 - 1 : -1);
  return [binary(build, "Sub", ones, x)];
};

const lowerLog: LowerRule<"log"> = ({ build }, inputs) => {
  const x = single(inputs);
  const result = build.elementwise("Log", { x }, x.dtype);
  if (build.target.zeroHasLogarithm !== true) return [result];
  const isZero = binary(build, "Equal", x, zeroLike(build, x), "bool");
  return [choose(build, isZero, build.splat({ shape: x.shape, dtype: x.dtype }, -Infinity), result)];
};

/** Where the kernel is wrong (it is, for NaN, on WebGPU), 1/(1 + exp(−x)) stays there and is not coarser. */
const lowerLogistic: LowerRule<"logistic"> = ({ build }, inputs) => {
  const x = single(inputs);
  const { dtype } = x;
  if (build.target.avoided?.includes("Sigmoid") !== true) return [build.elementwise("Sigmoid", { x }, dtype)];
  const one = build.splat({ shape: x.shape, dtype }, 1);
  const power = build.elementwise("Exp", { x: build.elementwise("Neg", { x }, dtype) }, dtype);
  return [binary(build, "RealDiv", one, binary(build, "Add", one, power))];
};

export const UNARY = {
  neg: lowerNeg,
  abs: lowerAbs,
  sign: lowerSign,
  floor: kernel("Floor"),
  exp: kernel("Exp"),
  log: lowerLog,
  sin: kernel("Sin"),
  cos: kernel("Cos"),
  tanh: kernel("Tanh"),
  sqrt: kernel("Sqrt"),
  rsqrt: kernel("Rsqrt"),
  erf: onHost("erf"),
  logistic: lowerLogistic,
  not: lowerNot,
} as const satisfies { [K in UnaryOp]: LowerRule<K> };

/** A kernel for floats, `integers` for i32 and u32. */
const arithmetic =
  <K extends ArithmeticOp>(name: string, integers: "wraps" | K): LowerRule<K> =>
  (lowering, inputs, params) => {
    const [a, b] = pair(inputs);
    if (isFloat(a.dtype) || integers === "wraps") return [binary(lowering.build, name, a, b)];
    return onHost(integers)(lowering, inputs, params);
  };

const lowerDiv: LowerRule<"div"> = (lowering, inputs, params) => {
  const { build } = lowering;
  const [a, b] = pair(inputs);
  if (!isFloat(a.dtype)) return onHost("div")(lowering, inputs, params);
  const quotient = binary(build, "RealDiv", a, b);
  const ordinary = ({ splat }: Value): boolean =>
    splat !== undefined && Number.isFinite(splat) && splat !== 0;
  if (build.target.equalsDivideToOne !== true || ordinary(a) || ordinary(b)) return [quotient];
  // The product with the reciprocal is NaN for zeros and for infinities.
  const product = binary(build, "Multiply", a, build.elementwise("Reciprocal", { x: b }, b.dtype));
  return [choose(build, isNaN(build, product), product, quotient)];
};

/**
 * The larger or smaller. On WebAssembly the kernels return the first operand when one is NaN, so the second must not be, or is looked
 * at.
 */
const extremum =
  (name: "Maximum" | "Minimum"): LowerRule<"max" | "min"> =>
  ({ build }, inputs) => {
    const [a, b] = pair(inputs);
    if (!isFloat(a.dtype)) {
      const result = binary(build, name, ordered(build, a), ordered(build, b));
      return [unordered(build, result, a.dtype)];
    }
    const known = (x: Value): boolean => x.splat !== undefined && !Number.isNaN(x.splat);
    if (known(b)) return [binary(build, name, a, b)];
    if (known(a)) return [binary(build, name, b, a)];
    return [choose(build, isNaN(build, b), b, binary(build, name, a, b))];
  };

/** A kernel for bool; words are for the host. */
const logical =
  <K extends "and" | "or" | "xor">(op: K, name: string): LowerRule<K> =>
  (lowering, inputs, params) => {
    const [a, b] = pair(inputs);
    if (a.dtype === "bool") return [binary(lowering.build, name, a, b)];
    return onHost(op)(lowering, inputs, params);
  };

export const ARITHMETIC = {
  add: arithmetic("Add", "wraps"),
  sub: arithmetic("Sub", "wraps"),
  mul: arithmetic("Multiply", "mul"),
  div: lowerDiv,
  rem: onHost("rem"),
  pow: onHost("pow"),
  max: extremum("Maximum"),
  min: extremum("Minimum"),
  and: logical("and", "LogicalAnd"),
  or: logical("or", "LogicalOr"),
  xor: logical("xor", "NotEqual"),
  shiftLeft: onHost("shiftLeft"),
  shiftRight: onHost("shiftRight"),
} as const satisfies { [K in ArithmeticOp]: LowerRule<K> };

/**
 * An integer as the nearest float. The kernel of the cpu backend only calls the same words floats, which is not enough where they are
 * copied to a GPU next.
 */
function nearest(build: PlanBuilder, x: Value, dtype: "f32" | "f16" = "f32"): Value {
  const { shape, held } = x;
  if (build.target.integers !== "cpu")
    return { ...build.call("Cast", { x: x.slot }, dtype, held, { dtype: "float32" }), shape };
  const equations: AnyEquation[] = [{ op: "cast", inputs: [0], outputs: [1], params: { dtype } }];
  const result = { shape: held, dtype };
  const types = [{ shape: held, dtype: x.dtype }, result];
  const [floats] = build.host({ inputs: [0], equations, outputs: [1], types }, [x], [result]) as [Value]; // one output
  return { ...floats, shape };
}

/**
 * Kernels are slow at integers that broadcast, and fast at floats. Where all integers of one side are small, float32 compares alike: it
 * has those exactly, and rounds none of the others to a smaller size than 2²⁴.
 */
function compared(build: PlanBuilder, name: string, a: Value, b: Value): Value {
  const spreads = a.held.length > 0 && b.held.length > 0 && !sameShape(a.held, b.held);
  if (!spreads || isFloat(a.dtype) || !(a.small || b.small)) return binary(build, name, a, b, "bool");
  return binary(build, name, nearest(build, a), nearest(build, b), "bool");
}

const comparison =
  (name: string): LowerRule<CompareOp> =>
  ({ build }, inputs) => {
    const [a, b] = pair(inputs);
    return [compared(build, name, ordered(build, a), ordered(build, b))];
  };

export const COMPARE = {
  equal: ({ build }, inputs) => [compared(build, "Equal", ...pair(inputs))],
  less: comparison("Less"),
  lessEqual: comparison("LessEqual"),
} as const satisfies { [K in CompareOp]: LowerRule<K> };

export const lowerSelect: LowerRule<"select"> = ({ build }, inputs) => [choose(build, ...triple(inputs))];

/** Kernels convert from bool and from i32; from floats to integers they do not saturate, and u32 they do not know. */
export const lowerCast: LowerRule<"cast"> = (lowering, inputs, params) => {
  const x = single(inputs);
  const { dtype } = params;
  const { build } = lowering;
  const [from, to] = [storageOf(x.dtype), storageOf(dtype)];
  if (from === to) return [build.as(x, dtype)];
  if (dtype === "bool") return [unequal(build, x, zeroLike(build, x))];
  if (x.dtype === "u32" || isFloat(x.dtype)) return onHost("cast")(lowering, inputs, params);
  if (x.dtype === "i32" && (dtype === "f32" || dtype === "f16")) return [nearest(build, x, dtype)];
  const result = { ...build.call("Cast", { x: x.slot }, dtype, x.held, { dtype: to }), shape: x.shape };
  if (build.target.castsByName !== true || to !== "float32") return [result];
  return [binary(build, "Multiply", result, build.splat({ shape: x.shape, dtype }, 1))];
};

export const lowerStopGradient: LowerRule<"stopGradient"> = (_lowering, inputs) => inputs;
