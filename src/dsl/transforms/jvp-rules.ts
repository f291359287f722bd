/**
 * The jvp rule of every op. Definers first, so that most ops are one line: elementwise ops derive their rule from the
 * scalar derivative of their entry in `src/dsl/ops`, linear ops apply themselves to the tangent.
 */
import { ARITHMETIC, UNARY } from "../ops/elementwise.ts";
import type { Arithmetic } from "../ops/definition.ts";
import { ARITHMETIC_OPS, COMPARE_OPS, UNARY_OPS } from "../program/program.ts";
import type { ArithmeticOp, CompareOp, OpKind, OpParams, TensorType, UnaryOp } from "../program/program.ts";
import { emit } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import { attentionRules } from "./jvp-attention.ts";
import { controlRules } from "./jvp-control.ts";
import { dualEvaluator, instantiate, isDifferentiable } from "./jvp.ts";
import type { JvpRule, JvpRules, Tangent } from "./jvp.ts";

type T = TracedTensor;

/** Traced tensors and plain numbers: numbers fold while the derivative is written down. */
type Term = T | number;

/** Arithmetic that writes tensors of one type. */
function tracedArithmetic(type: TensorType): Arithmetic<Term> {
  const lift = (term: Term): T => (typeof term === "number" ? prim.fill(term, type) : term);
  const unary =
    (onNumber: (x: number) => number, onTensor: (x: T) => T) =>
    (x: Term): Term =>
      typeof x === "number" ? onNumber(x) : onTensor(x);
  const choose =
    (test: (a: T, b: T) => T) =>
    (a: Term, b: Term, yes: Term, no: Term): Term =>
      prim.select(test(lift(a), lift(b)), lift(yes), lift(no));
  return {
    add: (a, b) => prim.add(lift(a), lift(b)),
    sub: (a, b) => prim.sub(lift(a), lift(b)),
    mul: (a, b) => (a === 1 ? b : b === 1 ? a : prim.mul(lift(a), lift(b))),
    div: (a, b) => prim.div(lift(a), lift(b)),
    pow: (a, b) => prim.pow(lift(a), lift(b)),
    neg: unary((x) => -x, prim.neg),
    exp: unary(Math.exp, prim.exp),
    log: unary(Math.log, prim.log),
    sin: unary(Math.sin, prim.sin),
    cos: unary(Math.cos, prim.cos),
    sign: unary(Math.sign, prim.sign),
    constant: (value) => value,
    ifEqual: choose(prim.equal),
    ifLess: choose(prim.less),
  };
}

const times = (tangent: T, factor: Term): T =>
  typeof factor === "number" ? prim.scale(tangent, factor) : prim.mul(tangent, factor);

const addTangents = (a: Tangent, b: Tangent): Tangent => (a === null ? b : b === null ? a : prim.add(a, b));

const unaryRule: JvpRule<UnaryOp> = ({ op, inputs, tangents }) => {
  const [x] = inputs as readonly [T];
  const outputs = emit(op, inputs, {});
  const { derivative } = UNARY[op];
  const [tangent] = tangents as readonly [T];
  if (derivative === null) return { outputs, tangents: [null] };
  return { outputs, tangents: [times(tangent, derivative<Term>(tracedArithmetic(x), x, outputs[0] as T))] };
};

const arithmeticRule: JvpRule<ArithmeticOp> = ({ op, inputs, tangents }) => {
  const [x, y] = inputs as readonly [T, T];
  const outputs = emit(op, inputs, {});
  const arithmetic = tracedArithmetic(x);
  const partials = ARITHMETIC[op].derivative.map((derivative, i): Tangent => {
    const tangent = tangents[i] ?? null;
    if (tangent === null || derivative === null) return null;
    return times(tangent, derivative<Term>(arithmetic, x, y, outputs[0] as T));
  });
  return { outputs, tangents: [addTangents(partials[0] ?? null, partials[1] ?? null)] };
};

/** Ops whose outputs do not vary smoothly: no tangent. */
function flat<K extends OpKind>(): JvpRule<K> {
  return ({ op, inputs, params }) => ({ outputs: emit(op, inputs, params), tangents: [] });
}

/** Ops that are linear in their only input. */
function linear<K extends OpKind>(): JvpRule<K> {
  return ({ op, inputs, tangents, params }) => ({
    outputs: emit(op, inputs, params),
    tangents: emit(op, tangents as readonly T[], params),
  });
}

const cast: JvpRule<"cast"> = ({ op, inputs, tangents, params }) => {
  const outputs = emit(op, inputs, params);
  return {
    outputs,
    tangents: isDifferentiable(params) ? emit(op, tangents as readonly T[], params) : [null],
  };
};

const select: JvpRule<"select"> = ({ inputs, tangents }) => {
  const [condition, x, y] = inputs as readonly [T, T, T];
  const tangent = prim.select(
    condition,
    instantiate(tangents[1] ?? null, x),
    instantiate(tangents[2] ?? null, y),
  );
  return { outputs: [prim.select(condition, x, y)], tangents: [tangent] };
};

const concat: JvpRule<"concat"> = ({ op, inputs, tangents, params }) => ({
  outputs: emit(op, inputs, params),
  tangents: emit(
    op,
    inputs.map((input, i) => instantiate(tangents[i] ?? null, input)),
    params,
  ),
});

const gather: JvpRule<"gather"> = ({ op, inputs, tangents, params }) => ({
  outputs: emit(op, inputs, params),
  tangents: emit(op, [tangents[0] as T, inputs[1] as T], params),
});

const scatterAdd: JvpRule<"scatterAdd"> = ({ op, inputs, tangents, params }) => {
  const [operand, indices, updates] = inputs as readonly [T, T, T];
  const [dOperand, , dUpdates] = tangents;
  const tangent =
    dUpdates === null || dUpdates === undefined
      ? (dOperand ?? null)
      : (emit(
          op,
          [instantiate(dOperand ?? null, operand), indices, instantiate(dUpdates, updates)],
          params,
        )[0] as T);
  return { outputs: emit(op, inputs, params), tangents: [tangent] };
};

/** The mean of the tangents at the entries that attain the maximum. */
const reduceMax: JvpRule<"reduceMax"> = ({ inputs, tangents, params }) => {
  const [x] = inputs as readonly [T];
  const [tangent] = tangents as readonly [T];
  const maximum = prim.reduceMax(x, params.axes);
  const attained = prim.cast(prim.equal(x, prim.unreduce(maximum, x.shape, params.axes)), x.dtype);
  const sum = prim.reduceSum(prim.mul(tangent, attained), params.axes);
  return { outputs: [maximum], tangents: [prim.div(sum, prim.reduceSum(attained, params.axes))] };
};

const sort: JvpRule<"sort"> = ({ op, inputs, tangents, params }) => {
  const outputs = emit(op, inputs, params);
  return { outputs, tangents: [prim.takeAlong(tangents[0] as T, outputs[1] as T, params.axis), null] };
};

const dot: JvpRule<"dot"> = ({ inputs, tangents, params, saved }) => {
  const [x, y] = inputs as readonly [T, T];
  const [dx, dy] = tangents;
  const left = dx ? prim.dot(dx, y, params) : null;
  const right = dy ? prim.dot(x, dy, params) : null;
  return { outputs: saved ?? [prim.dot(x, y, params)], tangents: [addTangents(left, right)] };
};

/** One rule for a whole family of kinds. */
export function family<K extends OpKind, R>(kinds: readonly K[], rule: R): { readonly [P in K]: R } {
  return Object.fromEntries(kinds.map((kind) => [kind, rule])) as { [P in K]: R }; // every kind is listed
}

export const JVP_RULES: JvpRules = {
  ...family<UnaryOp, JvpRule<UnaryOp>>(UNARY_OPS, unaryRule),
  ...family<ArithmeticOp, JvpRule<ArithmeticOp>>(ARITHMETIC_OPS, arithmeticRule),
  ...family<CompareOp, JvpRule<CompareOp>>(COMPARE_OPS, flat()),
  constant: flat(),
  iota: flat(),
  select,
  cast,
  broadcast: linear(),
  reshape: linear(),
  transpose: linear(),
  slice: linear(),
  pad: linear(),
  concat,
  gather,
  scatterAdd,
  reduceSum: linear(),
  reduceMax,
  cumsum: linear(),
  argmax: flat(),
  sort,
  dot,
  threefry: flat(),
  stopGradient: flat(),
  ...attentionRules,
  ...controlRules,
};

/** Evaluates a program on dual values: the jvp transform. */
export const runJvp = dualEvaluator(JVP_RULES, (op: OpKind, inputs: readonly T[], params: OpParams[OpKind]) =>
  emit(op, inputs, params),
);
