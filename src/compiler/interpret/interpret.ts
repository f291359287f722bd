/**
 * The reference interpreter: the specification of every op. Runs a program equation by equation on the host.
 *
 * Numbers: f32 and f16 are doubles throughout and never rounded to their own precision, not even by `cast` or `constant`: this is
 * the mathematics that targets approximate, so a target's tolerance is that of its dtype. i32 and u32 wrap modulo 2³², bool
 * is 0 or 1. Elementwise values come from the ops' own entries in src/dsl/ops.
 *
 * Consumed by tests of every transform, pass and target, and by constant folding. A new op needs a line in `RULES`.
 */
import { OPS } from "../../dsl/ops/index.ts";
import {
  ARITHMETIC_OPS,
  COMPARE_OPS,
  UNARY_OPS,
  formatType,
  sameType,
  sizeOf,
  typeOf,
} from "../../dsl/program/program.ts";
import type {
  BinaryOp,
  OpKind,
  OpParams,
  Program,
  TensorType,
  UnaryOp,
  VarId,
} from "../../dsl/program/program.ts";
import { threefry2x32 } from "../../dsl/random/threefry.ts";
import { isFloat } from "../../dsl/types/dtype.ts";
import type { DType } from "../../dsl/types/dtype.ts";
import { toExact } from "../host-tensor.ts";
import type { HostTensor } from "../host-tensor.ts";
import * as arrays from "./arrays.ts";
import { empty } from "./arrays.ts";
import type { Value } from "./arrays.ts";
import { attention, attentionTangent, attentionTranspose } from "./attention.ts";

/** Values of an equation's outputs, whose types are `types`. `inputs` are legal for the op. */
type Rule<K extends OpKind> = (
  inputs: readonly Value[],
  params: OpParams[K],
  types: readonly TensorType[],
) => readonly Value[];

/**
 * Runs a (verified) program.
 * @param inputs one tensor per program input, of its type: floats in storage form or as doubles.
 * @returns the outputs, floats as Float64Array. Data may be shared with inputs; treat it as read-only.
 * @throws TypeError when the inputs do not match the program's.
 */
export function interpret(program: Program, inputs: readonly HostTensor[]): readonly Value[] {
  if (inputs.length !== program.inputs.length) {
    throw new TypeError(`the program takes ${program.inputs.length} tensors, got ${inputs.length}.`);
  }
  const exact = inputs.map((input, i) => {
    const expected = typeOf(program, program.inputs[i] as VarId); // lengths are equal
    if (!sameType(input, expected))
      throw new TypeError(`input ${i} is ${formatType(input)}, the program takes ${formatType(expected)}.`);
    return toExact(input);
  });
  return run(program, exact).map(arrays.owned);
}

function run(program: Program, inputs: readonly Value[]): readonly Value[] {
  const values: Value[] = [];
  const read = (id: VarId): Value => values[id] as Value; // verified: defined before use
  program.inputs.forEach((id, i) => (values[id] = inputs[i] as Value));
  for (const { op, inputs: ids, outputs, params } of program.equations) {
    const rule = RULES[op] as unknown as Rule<OpKind>; // the table pairs each op with its own parameters
    const results = rule(
      ids.map(read),
      params,
      outputs.map((id) => typeOf(program, id)),
    );
    outputs.forEach((id, i) => (values[id] = results[i] as Value));
  }
  return program.outputs.map(read);
}

function unary(op: UnaryOp): Rule<UnaryOp> {
  const { value } = OPS[op];
  return ([x]) => {
    const out = empty(x as Value);
    for (let i = 0; i < out.data.length; i++) out.data[i] = value((x as Value).data[i] as number, out.dtype);
    return [out];
  };
}

function binary(op: BinaryOp): Rule<BinaryOp> {
  const { value } = OPS[op];
  return ([x, y], _params, [type]) => {
    const out = empty(type as TensorType);
    const { data: a, dtype } = x as Value;
    const { data: b } = y as Value;
    for (let i = 0; i < out.data.length; i++)
      out.data[i] = Number(value(a[i] as number, b[i] as number, dtype));
    return [out];
  };
}

/** One rule per name. fromEntries forgets the keys; they are the list that the type is made of. */
const table = <K extends string, R>(ops: readonly K[], rule: (op: K) => R): Record<K, R> =>
  Object.fromEntries(ops.map((op) => [op, rule(op)])) as Record<K, R>;

/** How a value converts: floats to integers truncate and saturate (NaN gives 0), to bool is x ≠ 0, the rest wraps or is exact. */
function castScalar(x: number, from: DType, to: DType): number {
  if (to === "bool") return x === 0 ? 0 : 1;
  if (!isFloat(from) || isFloat(to)) return x;
  const [low, high] = to === "i32" ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
  return Number.isNaN(x) ? 0 : Math.min(Math.max(Math.trunc(x), low), high);
}

const threefry: Rule<"threefry"> = (inputs) => {
  const [k0, k1, x0, x1] = inputs as readonly [Value, Value, Value, Value];
  const [y0, y1] = [empty(k0), empty(k0)];
  for (let i = 0; i < y0.data.length; i++) {
    [y0.data[i], y1.data[i]] = threefry2x32(
      k0.data[i] as number,
      k1.data[i] as number,
      x0.data[i] as number,
      x1.data[i] as number,
    );
  }
  return [y0, y1];
};

const scan: Rule<"scan"> = (inputs, { body, length, consts, carry, reverse }, types) => {
  const xs = inputs.slice(consts + carry);
  const ys = types.slice(carry).map(empty);
  let carried = inputs.slice(consts, consts + carry);
  for (let step = 0; step < length; step++) {
    const at = reverse ? length - 1 - step : step;
    const slices = xs.map(({ shape, dtype, data }): Value => {
      const size = sizeOf(shape.slice(1));
      return { shape: shape.slice(1), dtype, data: data.subarray(at * size, (at + 1) * size) };
    });
    const results = run(body, [...inputs.slice(0, consts), ...carried, ...slices]);
    carried = results.slice(0, carry);
    results.slice(carry).forEach((y, i) => (ys[i] as Value).data.set(y.data, at * y.data.length));
  }
  return [...carried, ...ys];
};

const loop: Rule<"while"> = (inputs, { condition, body, conditionConsts, bodyConsts }) => {
  const forCondition = inputs.slice(0, conditionConsts);
  const forBody = inputs.slice(conditionConsts, conditionConsts + bodyConsts);
  let carried = inputs.slice(conditionConsts + bodyConsts);
  while (run(condition, [...forCondition, ...carried])[0]?.data[0] === 1)
    carried = [...run(body, [...forBody, ...carried])];
  return carried;
};

const RULES = {
  ...table(UNARY_OPS, unary),
  ...table([...ARITHMETIC_OPS, ...COMPARE_OPS], binary),
  constant: (_inputs, params) => [arrays.constant(params)],
  iota: (_inputs, params) => [arrays.iota(params)],
  select: (inputs) => {
    const [condition, x, y] = inputs as readonly [Value, Value, Value];
    const out = empty(x);
    for (let i = 0; i < out.data.length; i++)
      out.data[i] = (condition.data[i] === 1 ? x : y).data[i] as number;
    return [out];
  },
  cast: ([x], _params, [type]) => {
    const out = empty(type as TensorType);
    const { data, dtype } = x as Value;
    for (let i = 0; i < out.data.length; i++) out.data[i] = castScalar(data[i] as number, dtype, out.dtype);
    return [out];
  },
  broadcast: ([x], { dims }, [type]) => [arrays.broadcast(x as Value, dims, type as TensorType)],
  reshape: ([x], { shape }) => [{ ...(x as Value), shape }],
  transpose: ([x], { perm }) => [arrays.transpose(x as Value, perm)],
  slice: ([x], params, [type]) => [arrays.slice(x as Value, params, type as TensorType)],
  pad: ([x], params, [type]) => [arrays.pad(x as Value, params, type as TensorType)],
  concat: (xs, { axis }, [type]) => [arrays.concat(xs, axis, type as TensorType)],
  gather: ([x, indices], params, [type]) => [
    arrays.gather(x as Value, indices as Value, params, type as TensorType),
  ],
  scatterAdd: ([x, indices, updates], params) => [
    arrays.scatterAdd(x as Value, indices as Value, updates as Value, params),
  ],
  reduceSum: ([x], { axes }, [type]) => [arrays.reduceSum(x as Value, axes, type as TensorType)],
  reduceMax: ([x], { axes }, [type]) => [arrays.reduceMax(x as Value, axes, type as TensorType)],
  cumsum: ([x], params) => [arrays.cumsum(x as Value, params)],
  argmax: ([x], { axis }, [type]) => [arrays.argmax(x as Value, axis, type as TensorType)],
  sort: ([x], { axis }) => arrays.sort(x as Value, axis),
  dot: ([x, y], params, [type]) => [arrays.dot(x as Value, y as Value, params, type as TensorType)],
  threefry,
  stopGradient: (inputs) => inputs,
  attention: (inputs, params) => attention(inputs as readonly [Value, Value, Value], params),
  attentionTangent,
  attentionTranspose,
  scan,
  cond: ([predicate, ...operands], { onTrue, onFalse }) =>
    run(predicate?.data[0] === 1 ? onTrue : onFalse, operands),
  while: loop,
  remat: (inputs, { body }) => run(body, inputs),
  customJvp: (inputs, { body }) => run(body, inputs),
  customVjp: (inputs, { body }) => run(body, inputs),
  customTangent: (inputs, { tangent, residuals }) => run(tangent, inputs.slice(residuals)),
} as const satisfies { [K in OpKind]: Rule<K> };
