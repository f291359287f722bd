/**
 * How a random program grows by one op of each kind: a rule picks legal operands and parameters and offers the results.
 * A new op needs a line in `GROW`, without which it is not tested by any property.
 */
import { ARITHMETIC_OPS, COMPARE_OPS, UNARY_OPS, sizeOf } from "../../src/dsl/program/program.ts";
import type { AttentionParams, OpKind, TensorType, UnaryOp } from "../../src/dsl/program/program.ts";
import { isFloat } from "../../src/dsl/types/dtype.ts";
import type { DType } from "../../src/dsl/types/dtype.ts";
import { Unsuitable } from "./random-gen.ts";
import type { Gen, Step, Var } from "./random-gen.ts";
import { program } from "./programs.ts";

type Grow = (g: Gen, step: Step) => void;
const none = {} as const;

/** Grows the program by a step. @throws Unsuitable when it offers no operands for it. */
export function applyStep(g: Gen, step: Step): void {
  GROW[step.op](g, step);
}

/** Operand ranges and results of the unary float ops in bounded mode: [operand lo, hi, result lo, hi]. */
const SMOOTH: { readonly [K in UnaryOp]?: readonly [number, number, number, number] } = {
  exp: [-3, 2.5, 0, 13],
  log: [0.2, 20, -1.7, 3],
  sin: [-20, 20, -1, 1],
  cos: [-20, 20, -1, 1],
  tanh: [-20, 20, -1, 1],
  sqrt: [0.2, 20, 0.4, 4.5],
  rsqrt: [0.2, 20, 0.2, 2.3],
  erf: [-20, 20, -1, 1],
  logistic: [-20, 20, 0, 1],
};

function unary(op: UnaryOp): Grow {
  const range = SMOOTH[op];
  if (range !== undefined) {
    return (g) => g.offer(g.make(op, [g.within(g.float(), range[0], range[1])], none, range[2], range[3]));
  }
  return (g) => {
    if (op === "not") return g.offer(g.make(op, [g.any(({ dtype }) => !isFloat(dtype))], none));
    if (op === "floor") {
      const x = g.float();
      const n = g.pick(3) - 1;
      return g.offer(g.make(op, [g.shift(g.within(x, 0.1, 0.9), g.bounded ? n : 0)], none, -1, 1));
    }
    const x = op === "neg" ? g.number() : g.offKink(g.number(), 0);
    const [lo, hi] = op === "neg" ? [-x.hi, -x.lo] : op === "sign" ? [-1, 1] : [0, Math.max(-x.lo, x.hi)];
    g.offer(g.make(op, [x], none, lo, hi));
  };
}

/** Both operands of a float op in bounded mode. */
const BINARY_FLOAT: { readonly [op: string]: (g: Gen, x: Var, y: Var) => Var } = {
  add: (g, x, y) => g.plus(x, y),
  sub: (g, x, y) => g.make("sub", [x, y], none, x.lo - y.hi, x.hi - y.lo),
  mul: (g, x, y) => g.times(g.within(x, -20, 20), g.within(y, -20, 20)),
  div: (g, x, y) => {
    const side = g.pick(2);
    const below = g.within(y, side === 0 ? 0.4 : -3, side === 0 ? 3 : -0.4);
    const above = g.within(x, -6, 6);
    return g.make("div", [above, below], none, -15, 15);
  },
  rem: (g, x, y) => {
    const whole = g.pick(2);
    const above = g.within(x, whole === 0 ? 0.1 : 2.1, whole === 0 ? 0.9 : 2.4);
    return g.make("rem", [above, g.within(y, 1.5, 2)], none, 0, 1);
  },
  pow: (g, x, y) => g.make("pow", [g.within(x, 0.3, 3), g.within(y, -2, 2)], none, 0, 12),
  max: (g, x, y) => extremum(g, "max", x, y),
  min: (g, x, y) => extremum(g, "min", x, y),
};

function extremum(g: Gen, op: "max" | "min", x: Var, y: Var): Var {
  const [a, b] = [g.within(x, -20, 20), g.within(y, -20, 20)];
  const apart = g.bounded ? g.shift(b, a.hi - b.lo + 0.25) : b;
  const [first, second] = g.pick(2) === 0 ? [a, apart] : [apart, a];
  return g.make(op, [first, second], none, Math.min(a.lo, apart.lo), Math.max(a.hi, apart.hi));
}

function arithmetic(op: (typeof ARITHMETIC_OPS)[number]): Grow {
  return (g) => {
    const legal = (type: TensorType): boolean => {
      if (op === "shiftLeft" || op === "shiftRight") return type.dtype === "i32" || type.dtype === "u32";
      if (op === "and" || op === "or" || op === "xor") return !isFloat(type.dtype);
      return op === "pow" ? isFloat(type.dtype) : type.dtype !== "bool";
    };
    const x = g.any(legal);
    const y = g.ofType(x.type);
    const swapped = g.pick(2) === 1;
    const [first, second] = swapped ? [y, x] : [x, y];
    const smooth = BINARY_FLOAT[op];
    if (isFloat(x.type.dtype) && g.bounded && smooth !== undefined) g.offer(smooth(g, first, second));
    else g.offer(g.make(op, [first, second], none));
  };
}

/** In bounded mode floats are not compared: a comparison of nearly equal values is a jump. */
const compare =
  (op: (typeof COMPARE_OPS)[number]): Grow =>
  (g) => {
    const x = g.any(({ dtype }) => (dtype === "bool" ? op === "equal" : !(g.bounded && isFloat(dtype))));
    g.offer(g.make(op, [x, g.ofType(x.type)], none));
  };

const table = <K extends string>(ops: readonly K[], grow: (op: K) => Grow): Record<K, Grow> =>
  Object.fromEntries(ops.map((op) => [op, grow(op)])) as Record<K, Grow>; // the keys are the list

const rankAtLeast =
  (rank: number) =>
  (shape: readonly number[]): boolean =>
    shape.length >= rank;

function cast(g: Gen): void {
  const to = g.choose<DType>(g.settings.dtypes);
  const x = g.any();
  const from = x.type.dtype;
  let operand = x;
  let [lo, hi] = [x.lo, x.hi];
  if (g.bounded && isFloat(from) && !isFloat(to)) operand = g.shift(g.within(x, 0.1, 0.9), g.pick(3));
  if (g.bounded && !isFloat(from) && isFloat(to)) {
    // Integers may be anything; five of them are enough.
    if (from !== "bool") operand = g.make("rem", [x, g.fill(x.type, 5)], none);
    [lo, hi] = [-4, 4];
  }
  g.offer(g.make("cast", [operand], { dtype: to }, lo, hi));
}

function broadcast(g: Gen): void {
  const x = g.any(({ shape }) => shape.length <= 3);
  const shape: number[] = [];
  const dims: number[] = [];
  for (const dim of x.type.shape) {
    while (shape.length < 4 && g.pick(4) === 1) shape.push(g.choose(g.settings.extents));
    dims.push(shape.length);
    shape.push(dim === 1 && g.pick(2) === 1 ? g.choose(g.settings.extents) : dim);
  }
  if (shape.length < 4 && g.pick(2) === 0) shape.push(g.choose(g.settings.extents));
  g.checkSize(shape);
  g.offer(g.make("broadcast", [x], { shape, dims }, x.lo, x.hi));
}

function reshape(g: Gen): void {
  const x = g.any();
  const { shape } = x.type;
  const size = sizeOf(shape);
  const divisor = [2, 3, 4, 5].find((n) => size > 0 && size % n === 0);
  const forms: (readonly number[])[] = [
    [size],
    [1, ...shape],
    [...shape, 1],
    shape.filter((dim) => dim !== 1),
    shape,
  ];
  if (shape.length >= 2) forms.push([(shape[0] as number) * (shape[1] as number), ...shape.slice(2)]);
  if (divisor !== undefined) forms.push([divisor, size / divisor], [size / divisor, divisor]);
  g.offer(g.make("reshape", [x], { shape: g.choose(forms) }, x.lo, x.hi));
}

function transpose(g: Gen): void {
  const x = g.any(({ shape }) => shape.length >= 1);
  const rest = x.type.shape.map((_, i) => i);
  const perm = x.type.shape.map(() => rest.splice(g.pick(rest.length), 1)[0] as number);
  g.offer(g.make("transpose", [x], { perm }, x.lo, x.hi));
}

function slice(g: Gen): void {
  const x = g.any(({ shape }) => shape.length >= 1);
  const start: number[] = [];
  const stop: number[] = [];
  const step: number[] = [];
  for (const dim of x.type.shape) {
    const whole = g.pick(3) === 0;
    const from = whole ? 0 : g.pick(dim + 1);
    start.push(from);
    stop.push(whole ? dim : Math.min(dim, from + 1 + g.pick(dim)));
    step.push(whole ? 1 : 1 + g.pick(2));
  }
  g.offer(g.make("slice", [x], { start, stop, step }, x.lo, x.hi));
}

function pad(g: Gen): void {
  const x = g.any(({ shape }) => shape.length >= 1);
  const amounts = (): number[] => x.type.shape.map(() => (g.pick(2) === 0 ? 0 : g.pick(3)));
  const params = { low: amounts(), high: amounts(), interior: amounts() };
  g.checkSize(x.type.shape.map((dim, i) => dim + 4 + dim * (params.interior[i] as number)));
  g.offer(g.make("pad", [x], params, Math.min(0, x.lo), Math.max(0, x.hi)));
}

function concat(g: Gen): void {
  const x = g.any(({ shape }) => shape.length >= 1);
  const axis = g.pick(x.type.shape.length);
  const parts = [x];
  for (let i = 0, more = g.pick(6); i < more; i++) {
    const extent = g.choose([x.type.shape[axis] as number, ...g.settings.extents]);
    parts.push(
      g.ofType({ dtype: x.type.dtype, shape: x.type.shape.map((dim, a) => (a === axis ? extent : dim)) }),
    );
  }
  g.checkSize([parts.length, ...x.type.shape]);
  g.offer(
    g.make(
      "concat",
      parts,
      { axis },
      Math.min(...parts.map(({ lo }) => lo)),
      Math.max(...parts.map(({ hi }) => hi)),
    ),
  );
}

/** Operand, indices and parameters that gather and scatterAdd share. */
function indexed(
  g: Gen,
  wanted: (type: TensorType) => boolean,
): { x: Var; indices: Var; params: { axis: number; batchDims: number }; rows: TensorType } {
  const x = g.any((type) => wanted(type) && type.shape.length >= 1 && type.shape.every((dim) => dim > 0));
  const axis = g.pick(x.type.shape.length);
  const batchDims = g.pick(axis + 1);
  const batch = x.type.shape.slice(0, batchDims);
  const shape = [...batch, ...g.choose<readonly number[]>([[2], [], [3], [1, 2]])];
  const existing = g.vars.filter(
    ({ type }) => type.dtype === "i32" && batch.every((dim, i) => type.shape[i] === dim),
  );
  const indices =
    existing.length > 0 && g.pick(2) === 1 ? g.choose(existing) : g.constant({ shape, dtype: "i32" });
  const rows: TensorType = {
    dtype: x.type.dtype,
    shape: [
      ...x.type.shape.slice(0, axis),
      ...indices.type.shape.slice(batchDims),
      ...x.type.shape.slice(axis + 1),
    ],
  };
  g.checkSize(rows.shape);
  return { x, indices, params: { axis, batchDims }, rows };
}

function gather(g: Gen): void {
  const { x, indices, params } = indexed(g, () => true);
  g.offer(g.make("gather", [x, indices], params, x.lo, x.hi));
}

function scatterAdd(g: Gen): void {
  const { x, indices, params, rows } = indexed(g, ({ dtype }) => dtype !== "bool");
  const updates = g.ofType(rows);
  const most = Math.max(1, sizeOf(indices.type.shape));
  const [lo, hi] = [x.lo + Math.min(0, most * updates.lo), x.hi + Math.max(0, most * updates.hi)];
  g.offer(g.make("scatterAdd", [x, indices, updates], params, lo, hi));
}

function axesOf(g: Gen, x: Var, nonEmpty: boolean): number[] {
  return x.type.shape.map((_, i) => i).filter((i) => !(nonEmpty && x.type.shape[i] === 0) && g.pick(3) < 2);
}

function reduceSum(g: Gen): void {
  const x = g.number();
  const axes = axesOf(g, x, false);
  const n = sizeOf(axes.map((axis) => x.type.shape[axis] as number));
  g.offer(g.make("reduceSum", [x], { axes }, Math.min(0, n * x.lo), Math.max(0, n * x.hi)));
}

function reduceMax(g: Gen): void {
  const x = g.number();
  const axes = axesOf(g, x, true);
  const apart = g.distinct(x, axes);
  g.offer(g.make("reduceMax", [apart], { axes }, apart.lo, apart.hi));
}

function cumsum(g: Gen): void {
  const x = g.number(rankAtLeast(1));
  const axis = g.pick(x.type.shape.length);
  const n = x.type.shape[axis] as number;
  g.offer(
    g.make("cumsum", [x], { axis, reverse: g.pick(2) === 1 }, Math.min(0, n * x.lo), Math.max(0, n * x.hi)),
  );
}

function alongAxis(op: "argmax" | "sort"): Grow {
  return (g) => {
    const x = g.number((shape) => shape.some((dim) => dim > 0));
    const axis = g.choose(
      x.type.shape.map((_, i) => i).filter((i) => op === "sort" || x.type.shape[i] !== 0),
    );
    const apart = g.distinct(x, [axis]);
    for (const result of g.makeAll(op, [apart], { axis }, [[apart.lo, apart.hi]])) g.offer(result);
  };
}

function dot(g: Gen): void {
  const x = g.within(g.float(), -2, 2);
  const y = g.within(
    g.any(({ dtype }) => dtype === x.type.dtype),
    -2,
    2,
  );
  const params = {
    lhsBatch: [] as number[],
    rhsBatch: [] as number[],
    lhsContract: [] as number[],
    rhsContract: [] as number[],
  };
  for (const [i, dim] of x.type.shape.entries()) {
    const used = [...params.rhsBatch, ...params.rhsContract];
    const partners = y.type.shape
      .map((_, j) => j)
      .filter((j) => y.type.shape[j] === dim && !used.includes(j));
    const role = g.pick(4);
    if (partners.length === 0 || role === 3) continue;
    const j = g.choose(partners);
    (role === 2 ? params.lhsBatch : params.lhsContract).push(i);
    (role === 2 ? params.rhsBatch : params.rhsContract).push(j);
  }
  const n = sizeOf(params.lhsContract.map((i) => x.type.shape[i] as number));
  const most = n * Math.max(-x.lo, x.hi) * Math.max(-y.lo, y.hi);
  if (sizeOf(x.type.shape) * sizeOf(y.type.shape) > 4096) throw new Unsuitable();
  const result = g.make("dot", [x, y], params, -most, most);
  g.checkSize(result.type.shape);
  g.offer(result);
}

function threefry(g: Gen): void {
  const key = g.any(({ dtype }) => dtype === "u32");
  const words = [key, g.ofType(key.type), g.ofType(key.type), g.ofType(key.type)];
  for (const bits of g.makeAll("threefry", words, none)) g.offer(bits);
}

/** q, k, v of small shapes, and modifiers. */
function attentionOperands(g: Gen): { qkv: readonly [Var, Var, Var]; params: AttentionParams } {
  const dtype = g.float().type.dtype;
  const batch = g.choose<readonly number[]>([[], [2], [1, 2]]);
  const queries = g.choose([1, 2, 3]);
  const keys = queries + g.pick(2);
  const [depth, width] = [g.choose([1, 2]), g.choose([2, 1])];
  const operand = (...tail: number[]): Var =>
    g.within(g.ofType({ dtype, shape: [...batch, ...tail] }), -2, 2);
  return {
    qkv: [operand(queries, depth), operand(keys, depth), operand(keys, width)],
    params: { scale: g.choose([1, 0.5]), softcap: g.choose([0, 1.5]), causal: g.pick(2) === 1 },
  };
}

/** Tangents of attention are bounded by those of its operands; the factor is generous. */
const WIDE = [-15, 15] as const;

function attention(g: Gen): void {
  const { qkv, params } = attentionOperands(g);
  for (const result of g.makeAll("attention", qkv, params, [
    [-2, 2],
    [-10, 10],
  ]))
    g.offer(result);
}

function attentionTangent(g: Gen): void {
  const { qkv, params } = attentionOperands(g);
  const outputs = g.makeAll("attention", qkv, params, [
    [-2, 2],
    [-10, 10],
  ]);
  const tangents = qkv.map(({ type }) => g.within(g.ofType(type), -1, 1));
  for (const result of g.makeAll("attentionTangent", [...qkv, ...outputs, ...tangents], params, [
    [-40, 40],
    WIDE,
  ]))
    g.offer(result);
}

function attentionTranspose(g: Gen): void {
  const { qkv, params } = attentionOperands(g);
  const outputs = g.makeAll("attention", qkv, params, [
    [-2, 2],
    [-10, 10],
  ]);
  const cotangents = outputs.map(({ type }) => g.within(g.ofType(type), -1, 1));
  const ranges = [[-60, 60], [-60, 60], WIDE] as const;
  for (const result of g.makeAll("attentionTranspose", [...qkv, ...outputs, ...cotangents], params, ranges))
    g.offer(result);
}

/** Up to n variables, the latest first, repetitions allowed. */
const several = (g: Gen, n: number): Var[] => Array.from({ length: n }, () => g.any());

/** The latest variable of the inner program that is of this type and in this range, made so if need be. */
function returning(inner: Gen, type: TensorType, lo: number, hi: number): Var {
  return inner.within(inner.ofType(type), lo, hi);
}

function scan(g: Gen, { inner }: Step): void {
  const scanned = g.vars
    .filter(({ type }) => type.shape.length >= 1 && (type.shape[0] as number) <= 4)
    .reverse();
  const first = g.pick(3) === 2 || scanned.length === 0 ? undefined : g.choose(scanned);
  const length = first === undefined ? g.pick(4) : (first.type.shape[0] as number);
  const xs =
    first === undefined
      ? []
      : [
          first,
          ...scanned
            .filter(({ id, type }) => id !== first.id && type.shape[0] === length)
            .slice(0, g.pick(2)),
        ];
  const consts = several(g, g.pick(3));
  // Carries stay in [-2, 2], so that what holds for the first step holds for all.
  const carry = several(g, g.pick(3)).map((value) => g.within(value, -2, 2));
  const slices = xs.map((x): Var => ({ ...x, type: { shape: x.type.shape.slice(1), dtype: x.type.dtype } }));
  const inputs = [...consts, ...carry.map((value) => ({ ...value, lo: -2, hi: 2 })), ...slices];
  let ranges: (readonly [number, number])[] = [];
  const body = g.nested(inputs, inner, (loop) => {
    const carried = carry.map(({ type }) => returning(loop, type, -2, 2));
    const ys = loop.vars.length === 0 ? [] : several(loop, loop.pick(3));
    for (const { type } of ys) loop.checkSize([4, ...type.shape]);
    ranges = [...carried.map(() => [-2, 2] as const), ...ys.map(({ lo, hi }) => [lo, hi] as const)];
    return [...carried, ...ys];
  });
  const params = { length, consts: consts.length, carry: carry.length, reverse: g.pick(2) === 1, body };
  for (const result of g.makeAll("scan", [...consts, ...carry, ...xs], params, ranges)) g.offer(result);
}

function cond(g: Gen, { inner }: Step): void {
  const bools = g.vars.filter(({ type }) => type.dtype === "bool" && type.shape.length === 0);
  const predicate = bools.length > 0 ? g.choose(bools) : g.fill({ shape: [], dtype: "bool" }, g.pick(2));
  const operands = several(g, 1 + g.pick(3));
  const half = Math.ceil(inner.length / 2);
  let results: readonly Var[] = [];
  const onTrue = g.nested(
    operands,
    inner.slice(0, half),
    (branch) => (results = several(branch, 1 + branch.pick(2))),
  );
  const onFalse = g.nested(operands, inner.slice(half), (branch) =>
    results.map(({ type, lo, hi }) => returning(branch, type, lo, Math.max(hi, lo + 1e-3))),
  );
  const ranges = results.map(({ lo, hi }) => [lo, Math.max(hi, lo + 1e-3)] as const);
  for (const result of g.makeAll("cond", [predicate, ...operands], { onTrue, onFalse }, ranges))
    g.offer(result);
}

/** Counts to a limit, with a random body beside the counter. */
function loopWhile(g: Gen, { inner }: Step): void {
  const counter: TensorType = { shape: [], dtype: "i32" };
  const [limit, zero, one] = [g.fill(counter, g.pick(4)), g.fill(counter, 0), g.fill(counter, 1)];
  const consts = several(g, g.pick(2));
  const carry = several(g, 1 + g.pick(2)).map((value) => g.within(value, -2, 2));
  const carried = carry.map((value) => ({ ...value, lo: -2, hi: 2 }));
  const condition = g.nested([limit, zero, ...carried], [], (test, [bound, count]) => [
    test.make("less", [count as Var, bound as Var], none),
  ]);
  const body = g.nested([one, ...consts, zero, ...carried], inner, (loop, ids) => {
    const next = loop.make("add", [ids[1 + consts.length] as Var, ids[0] as Var], none);
    return [next, ...carried.map(({ type }) => returning(loop, type, -2, 2))];
  });
  const params = { conditionConsts: 1, bodyConsts: 1 + consts.length, condition, body };
  const ranges = [[0, 4] as const, ...carried.map(() => [-2, 2] as const)];
  for (const result of g.makeAll("while", [limit, one, ...consts, zero, ...carry], params, ranges).slice(1))
    g.offer(result);
}

function remat(g: Gen, { inner }: Step): void {
  const operands = several(g, 1 + g.pick(2));
  let ranges: (readonly [number, number])[] = [];
  const body = g.nested(operands, inner, (call) => {
    const results = several(call, 1 + call.pick(2));
    ranges = results.map(({ lo, hi }) => [lo, hi] as const);
    return results;
  });
  const policy = g.choose(["nothing", "dots", "everything"] as const);
  for (const result of g.makeAll("remat", operands, { policy, body }, ranges)) g.offer(result);
}

/** c·sin(x), whose rule is its true derivative; c is a constant, which is not differentiated. */
function customJvp(g: Gen): void {
  const x = g.float();
  const c = g.fill(x.type, g.choose([2, 0.5, -1]));
  const { type } = x;
  const body = program([type, type], (w, k, v) => [w.one("mul", [k, w.one("sin", [v], none)], none)]);
  const rule = program([type, type, type], (w, k, v, dv) => [
    w.one("mul", [k, w.one("sin", [v], none)], none),
    w.one("mul", [w.one("mul", [k, w.one("cos", [v], none)], none), dv], none),
  ]);
  g.offer(g.make("customJvp", [c, x], { consts: 1, body, rule }, -2, 2));
}

/** tanh, with the output as the residual. */
function tanhBackward(type: TensorType): ReturnType<typeof program> {
  return program([type, type], (w, y, ct) => {
    const one = w.one("constant", [], { shape: type.shape, dtype: type.dtype, values: 1 });
    return [w.one("mul", [w.one("sub", [one, w.one("mul", [y, y], none)], none), ct], none)];
  });
}

function customVjp(g: Gen): void {
  const x = g.float();
  const body = program([x.type], (w, v) => [w.one("tanh", [v], none)]);
  const forward = program([x.type], (w, v) => {
    const y = w.one("tanh", [v], none);
    return [y, y];
  });
  g.offer(g.make("customVjp", [x], { consts: 0, body, forward, backward: tanhBackward(x.type) }, -1, 1));
}

function customTangent(g: Gen): void {
  const x = g.float();
  const dx = g.within(g.ofType(x.type), -2, 2);
  const y = g.make("tanh", [x], none, -1, 1);
  const tangent = program([x.type, x.type], (w, v, dv) => {
    const out = w.one("tanh", [v], none);
    const one = w.one("constant", [], { shape: x.type.shape, dtype: x.type.dtype, values: 1 });
    return [w.one("mul", [w.one("sub", [one, w.one("mul", [out, out], none)], none), dv], none)];
  });
  const params = { residuals: 1, primals: 1, tangent, backward: tanhBackward(x.type) };
  g.offer(g.make("customTangent", [y, x, dx], params, -2, 2));
}

export const GROW = {
  ...table(UNARY_OPS, unary),
  ...table(ARITHMETIC_OPS, arithmetic),
  ...table(COMPARE_OPS, compare),
  constant: (g) => g.offer(g.constant({ shape: g.shape(), dtype: g.choose(g.settings.dtypes) })),
  iota: (g) => {
    const dtype = g.choose(g.settings.dtypes.filter((d) => d !== "bool"));
    const shape = [g.choose(g.settings.extents), ...g.shape(2)];
    g.checkSize(shape);
    g.offer(g.make("iota", [], { shape, dtype, axis: g.pick(shape.length) }, 0, Math.max(...shape)));
  },
  select: (g) => {
    const x = g.any();
    const [condition, y] = [g.ofType({ shape: x.type.shape, dtype: "bool" }), g.ofType(x.type)];
    g.offer(g.make("select", [condition, x, y], none, Math.min(x.lo, y.lo), Math.max(x.hi, y.hi)));
  },
  cast,
  broadcast,
  reshape,
  transpose,
  slice,
  pad,
  concat,
  gather,
  scatterAdd,
  reduceSum,
  reduceMax,
  cumsum,
  argmax: alongAxis("argmax"),
  sort: alongAxis("sort"),
  dot,
  threefry,
  stopGradient: (g) => {
    const x = g.any();
    g.offer(g.make("stopGradient", [x], none, x.lo, x.hi));
  },
  attention,
  attentionTangent,
  attentionTranspose,
  scan,
  cond,
  while: loopWhile,
  remat,
  customJvp,
  customVjp,
  customTangent,
} as const satisfies { [K in OpKind]: Grow };
