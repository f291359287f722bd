/**
 * Simplification: replaces equations by cheaper ones with the same value. Consumed by the pipeline. To add an identity: a line in
 * the rule of its op below, and a case in test/compiler/passes/simplify.test.ts.
 *
 * Every identity holds to the bit for every float, NaN, infinities and signed zeros included (but for the payload of NaN).
 * Hence x + 0 is not x (−0 + 0 is +0) unless x cannot be −0, x − 0 and x + (−0) are; x·0 and x − x are not 0 for floats; and sums
 * are not reordered.
 */
import type { AnyEquation, BinaryOp, OpKind, Program, VarId } from "../../dsl/program/program.ts";
import { isFloat, isInteger } from "../../dsl/types/dtype.ts";
import { mapNested, rewrite } from "./rewrite.ts";
import type { Rewriter } from "./rewrite.ts";
import { CONTROL_RULES } from "./simplify-control.ts";
import type { SimplifyRule, SimplifyRules } from "./simplify-rule.ts";
import { STRUCTURAL_RULES } from "./simplify-structural.ts";

/** Applies the identities of this file, of simplify-structural.ts and of simplify-control.ts, also inside nested programs. */
export function simplify(program: Program): Program {
  return rewrite(program, (equation, r) => {
    const inner = mapNested(equation, simplify);
    const rule = RULES[inner.op] as SimplifyRule<OpKind> | undefined; // the table pairs each op with its own equation
    return rule?.(inner, r) ?? (inner === equation ? undefined : r.keep(inner));
  });
}

type Binary = readonly [VarId, VarId];
type Operands = Pick<AnyEquation, "inputs">;
const none = {} as const;

/** The single input of a unary equation. */
const only = ({ inputs }: Operands): VarId => inputs[0] as VarId;
/** The two inputs of a binary equation. */
const pair = ({ inputs }: Operands): Binary => inputs as Binary;

/** x in op(op(x)). */
const undo =
  (op: "neg" | "not"): SimplifyRule<"neg" | "not"> =>
  (equation, r) =>
    r.defined(only(equation), op)?.inputs;

/** op(op(x)) = op(x). */
const idempotent =
  (op: "abs" | "sign" | "floor" | "stopGradient"): SimplifyRule<typeof op> =>
  (equation, r) =>
    r.definition(only(equation))?.op === op ? [only(equation)] : undefined;

/** Ops whose result is never −0. Sums start from +0, so that not even a sum of negative zeros is −0. */
const NEVER_NEGATIVE_ZERO: readonly OpKind[] = [
  "exp",
  "abs",
  "logistic",
  "iota",
  "dot",
  "reduceSum",
  "cumsum",
];

/** Whether adding `zero` to x gives x, to the bit. */
function absorbsZero(x: VarId, zero: number | undefined, r: Rewriter): boolean {
  if (zero !== 0) return false;
  const op = r.definition(x)?.op;
  return (
    Object.is(zero, -0) ||
    !isFloat(r.typeOf(x).dtype) ||
    (op !== undefined && NEVER_NEGATIVE_ZERO.includes(op))
  );
}

/** x when both operands are the same variable. */
const same: SimplifyRule<BinaryOp> = (equation) => {
  const [x, y] = pair(equation);
  return x === y ? [x] : undefined;
};

/** The operand beside a uniform one, and that one's value. */
function besideUniform(
  equation: Operands,
  r: Rewriter,
): { readonly x: VarId; readonly value: number } | undefined {
  const [x, y] = pair(equation);
  const [a, b] = [r.uniform(x), r.uniform(y)];
  return b !== undefined ? { x, value: b } : a !== undefined ? { x: y, value: a } : undefined;
}

/** Bitwise and logical ops with all bits, or no bit, on one side. */
const bitwise =
  (op: "and" | "or" | "xor"): SimplifyRule<typeof op> =>
  (equation, r) => {
    const known = besideUniform(equation, r);
    if (known === undefined) return op === "xor" ? undefined : same(equation, r);
    const { dtype } = r.typeOf(known.x);
    const ones = dtype === "bool" ? 1 : dtype === "u32" ? 2 ** 32 - 1 : -1;
    if (known.value === 0) return [op === "and" ? r.fill(r.typeOf(known.x), 0, equation) : known.x];
    if (known.value !== ones) return undefined;
    if (op === "xor") return [r.one("not", [known.x], none, equation)];
    return [op === "and" ? known.x : r.fill(r.typeOf(known.x), ones, equation)];
  };

const shift: SimplifyRule<"shiftLeft" | "shiftRight"> = (equation, r) => {
  const [x, by] = pair(equation);
  return r.uniform(by) === 0 ? [x] : undefined;
};

/** A comparison of integers or bools with themselves; `less` is false for NaN too. */
const reflexive =
  (op: "equal" | "less" | "lessEqual"): SimplifyRule<typeof op> =>
  (equation, r) => {
    const [x, y] = pair(equation);
    const { shape, dtype } = r.typeOf(x);
    if (x !== y || (isFloat(dtype) && op !== "less")) return undefined;
    return [r.fill({ shape, dtype: "bool" }, op === "less" ? 0 : 1, equation)];
  };

const ELEMENTWISE_RULES = {
  neg: undo("neg"),
  not: undo("not"),
  abs: (equation, r) => {
    const x = only(equation);
    const inner = r.definition(x);
    if (inner?.op === "neg" && isFloat(r.typeOf(x).dtype))
      return [r.one("abs", inner.inputs, none, equation)];
    return idempotent("abs")(equation, r);
  },
  sign: idempotent("sign"),
  floor: idempotent("floor"),
  stopGradient: idempotent("stopGradient"),
  add: (equation, r) => {
    const [x, y] = pair(equation);
    if (absorbsZero(x, r.uniform(y), r)) return [x];
    if (absorbsZero(y, r.uniform(x), r)) return [y];
    const [a, b] = pair(equation).map((id) => r.defined(id, "neg")?.inputs[0]);
    if (b !== undefined) return [r.one("sub", [x, b], none, equation)];
    return a === undefined ? undefined : [r.one("sub", [y, a], none, equation)];
  },
  sub: (equation, r) => {
    const [x, y] = pair(equation);
    const { dtype, shape } = r.typeOf(x);
    if (Object.is(r.uniform(y), 0) || (isInteger(dtype) && r.uniform(y) === 0)) return [x];
    if (x === y && isInteger(dtype)) return [r.fill({ dtype, shape }, 0, equation)];
    const negated = r.defined(y, "neg")?.inputs[0];
    return negated === undefined ? undefined : [r.one("add", [x, negated], none, equation)];
  },
  mul: (equation, r) => {
    const known = besideUniform(equation, r);
    if (known !== undefined) {
      const { dtype } = r.typeOf(known.x);
      if (known.value === 1) return [known.x];
      if (known.value === 0 && isInteger(dtype)) return [r.fill(r.typeOf(known.x), 0, equation)];
      if (known.value === -1) return [r.one("neg", [known.x], none, equation)];
    }
    const [a, b] = pair(equation).map((id) => r.defined(id, "neg")?.inputs[0]);
    return a === undefined || b === undefined ? undefined : [r.one("mul", [a, b], none, equation)];
  },
  div: (equation, r) => {
    const [x, y] = pair(equation);
    const by = r.uniform(y);
    if (by === 1) return [x];
    return by === -1 && isFloat(r.typeOf(x).dtype) ? [r.one("neg", [x], none, equation)] : undefined;
  },
  pow: (equation, r) => {
    const [x, y] = pair(equation);
    return r.uniform(y) === 1 ? [x] : r.uniform(y) === 0 ? [r.fill(r.typeOf(x), 1, equation)] : undefined;
  },
  max: same,
  min: same,
  and: bitwise("and"),
  or: bitwise("or"),
  xor: bitwise("xor"),
  shiftLeft: shift,
  shiftRight: shift,
  equal: reflexive("equal"),
  less: reflexive("less"),
  lessEqual: reflexive("lessEqual"),
  select: (equation, r) => {
    const [condition, x, y] = equation.inputs as readonly [VarId, VarId, VarId];
    const known = r.uniform(condition);
    if (x === y || known === 1) return [x];
    if (known === 0) return [y];
    const negated = r.defined(condition, "not")?.inputs[0];
    return negated === undefined ? undefined : [r.one("select", [negated, y, x], none, equation)];
  },
  cast: (equation, r) => {
    const x = only(equation);
    const to = equation.params.dtype;
    if (r.typeOf(x).dtype === to) return [x];
    const before = r.defined(x, "cast")?.inputs[0];
    if (before === undefined) return undefined;
    // The first cast loses nothing that the second would not: bool and f16 fit elsewhere, i32 and u32 exchange bits.
    const [from, middle] = [r.typeOf(before).dtype, r.typeOf(x).dtype];
    const bits = isInteger(from) && isInteger(middle) && (isInteger(to) || to === "bool");
    if (!(bits || from === "bool" || (from === "f16" && middle === "f32"))) return undefined;
    return from === to ? [before] : [r.one("cast", [before], { dtype: to }, equation)];
  },
} as const satisfies SimplifyRules;

const RULES: SimplifyRules = { ...ELEMENTWISE_RULES, ...STRUCTURAL_RULES, ...CONTROL_RULES };
