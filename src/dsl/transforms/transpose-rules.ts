/**
 * The transpose rule of every op that is linear in some inputs; `null` for those that are not. With y = op(x) linear, a rule
 * maps the cotangent of y to that of x. Products name which factor is linear by its `null` input.
 */
import { freeAxes } from "../ops/reduction.ts";
import { ARITHMETIC_OPS, COMPARE_OPS, UNARY_OPS } from "../program/program.ts";
import type { ArithmeticOp, CompareOp, DotParams, OpKind, TensorType, UnaryOp } from "../program/program.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import { family } from "./jvp-rules.ts";
import { transposeControlRules } from "./transpose-control.ts";
import { transposer } from "./transpose.ts";
import type { Cotangent, TransposeRule } from "./transpose.ts";

type T = TracedTensor;

/** Rule of an op with one input and one output. */
function unary<K extends OpKind>(
  rule: (cotangent: T, equation: Parameters<TransposeRule<K>>[0]) => T,
): TransposeRule<K> {
  return (equation) => [rule(equation.cotangents[0] as T, equation)];
}

const mul: TransposeRule<ArithmeticOp> = ({ inputs, cotangents }) => {
  const [x, y] = inputs;
  const cotangent = cotangents[0] as T;
  return [y ? prim.mul(cotangent, y) : null, x ? prim.mul(cotangent, x) : null];
};

const select: TransposeRule<"select"> = ({ inputs, cotangents }) => {
  const condition = inputs[0] as T;
  const cotangent = cotangents[0] as T;
  const zero = prim.zeros(cotangent);
  return [
    null,
    inputs[1] === null ? prim.select(condition, cotangent, zero) : null,
    inputs[2] === null ? prim.select(condition, zero, cotangent) : null,
  ];
};

const broadcast = unary<"broadcast">((cotangent, { params, inputTypes }) => {
  const { shape } = inputTypes[0] as TensorType;
  const stretched = params.shape.flatMap((_, axis) => {
    const from = params.dims.indexOf(axis);
    return from < 0 || (shape[from] === 1 && params.shape[axis] !== 1) ? [axis] : [];
  });
  return prim.reshape(prim.reduceSum(cotangent, stretched), shape);
});

const slice = unary<"slice">((cotangent, { params, inputTypes }) => {
  const { shape } = inputTypes[0] as TensorType;
  const { start, step } = params;
  const interior = step.map((by) => by - 1);
  const high = shape.map((dim, i) => {
    const extent = cotangent.shape[i] as number;
    const spread = extent + Math.max(0, extent - 1) * (interior[i] as number);
    return dim - (start[i] as number) - spread;
  });
  return prim.pad(cotangent, { low: start, high, interior });
});

const pad = unary<"pad">((cotangent, { params, inputTypes }) => {
  const { shape } = inputTypes[0] as TensorType;
  const step = params.interior.map((gap) => gap + 1);
  const stop = shape.map((dim, i) =>
    dim === 0 ? (params.low[i] as number) : (params.low[i] as number) + (dim - 1) * (step[i] as number) + 1,
  );
  return prim.slice(cotangent, { start: params.low, stop, step });
});

const concat: TransposeRule<"concat"> = ({ params, inputs, inputTypes, cotangents }) => {
  const cotangent = cotangents[0] as T;
  let start = 0;
  return inputTypes.map((type, i) => {
    const stop = start + (type.shape[params.axis] as number);
    const part = inputs[i] === null ? prim.sliceAxis(cotangent, params.axis, start, stop) : null;
    start = stop;
    return part;
  });
};

const gather: TransposeRule<"gather"> = ({ params, inputs, inputTypes, cotangents }) => [
  prim.scatterAdd(
    prim.zeros(inputTypes[0] as TensorType),
    inputs[1] as T,
    cotangents[0] as T,
    params.axis,
    params.batchDims,
  ),
  null,
];

const scatterAdd: TransposeRule<"scatterAdd"> = ({ params, inputs, cotangents }) => {
  const cotangent = cotangents[0] as T;
  const updates =
    inputs[2] === null ? prim.gather(cotangent, inputs[1] as T, params.axis, params.batchDims) : null;
  return [inputs[0] === null ? cotangent : null, null, updates];
};

/** Cotangent of one factor of a dot, given the other: contract the cotangent with it over its free axes, then put axes back. */
function dotFactor(cotangent: T, other: T, type: TensorType, params: DotParams, side: "lhs" | "rhs"): T {
  const own =
    side === "lhs"
      ? { batch: params.lhsBatch, contract: params.lhsContract }
      : { batch: params.rhsBatch, contract: params.rhsContract };
  const its =
    side === "lhs"
      ? { batch: params.rhsBatch, contract: params.rhsContract }
      : { batch: params.lhsBatch, contract: params.lhsContract };
  const ownFree = freeAxes(type.shape.length, own.batch, own.contract);
  const itsFree = freeAxes(other.shape.length, its.batch, its.contract);
  // The dot's result is [batch, lhs free, rhs free].
  const batchAxes = own.batch.map((_, i) => i);
  const itsFreeStart = own.batch.length + (side === "lhs" ? ownFree.length : 0);
  const itsFreeAxes = itsFree.map((_, i) => itsFreeStart + i);
  // [batch, own free, its contract in increasing order of its axes]
  const product = prim.dot(cotangent, other, {
    lhsBatch: batchAxes,
    rhsBatch: its.batch,
    lhsContract: itsFreeAxes,
    rhsContract: itsFree,
  });
  const contractOrder = [...its.contract]
    .sort((a, b) => a - b)
    .map((axis) => own.contract[its.contract.indexOf(axis)] as number);
  const axisOf = [...own.batch, ...ownFree, ...contractOrder];
  return prim.transpose(
    product,
    prim.range(axisOf.length).map((axis) => axisOf.indexOf(axis)),
  );
}

const dot: TransposeRule<"dot"> = ({ params, inputs, inputTypes, cotangents }) => {
  const cotangent = cotangents[0] as T;
  const [x, y] = inputs;
  return [
    y ? dotFactor(cotangent, y, inputTypes[0] as TensorType, params, "lhs") : null,
    x ? dotFactor(cotangent, x, inputTypes[1] as TensorType, params, "rhs") : null,
  ];
};

const densely = (cotangents: readonly Cotangent[], types: readonly TensorType[]): readonly T[] =>
  types.map((type, i) => cotangents[i] ?? prim.zeros(type));

const attentionTangent: TransposeRule<"attentionTangent"> = ({ params, inputs, outputTypes, cotangents }) => [
  null,
  null,
  null,
  null,
  null,
  ...prim.attentionTranspose(
    [...(inputs.slice(0, 5) as readonly T[]), ...densely(cotangents, outputTypes)],
    params,
  ),
];

const attentionTranspose: TransposeRule<"attentionTranspose"> = ({
  params,
  inputs,
  outputTypes,
  cotangents,
}) => [
  null,
  null,
  null,
  null,
  null,
  ...prim.attentionTangent(
    [...(inputs.slice(0, 5) as readonly T[]), ...densely(cotangents, outputTypes)],
    params,
  ),
];

export const TRANSPOSE_RULES = {
  ...family<UnaryOp, null>(UNARY_OPS, null),
  ...family<ArithmeticOp, null>(ARITHMETIC_OPS, null),
  ...family<CompareOp, null>(COMPARE_OPS, null),
  neg: unary<UnaryOp>((cotangent) => prim.neg(cotangent)),
  add: (({ cotangents }) => [cotangents[0] as T, cotangents[0] as T]) satisfies TransposeRule<ArithmeticOp>,
  sub: (({ cotangents, inputs }) => [
    cotangents[0] as T,
    inputs[1] === null ? prim.neg(cotangents[0] as T) : null,
  ]) satisfies TransposeRule<ArithmeticOp>,
  mul,
  div: (({ cotangents, inputs }) => [
    prim.div(cotangents[0] as T, inputs[1] as T),
    null,
  ]) satisfies TransposeRule<ArithmeticOp>,
  constant: null,
  iota: null,
  select,
  cast: unary<"cast">((cotangent, { inputTypes }) =>
    prim.cast(cotangent, (inputTypes[0] as TensorType).dtype),
  ),
  broadcast,
  reshape: unary<"reshape">((cotangent, { inputTypes }) =>
    prim.reshape(cotangent, (inputTypes[0] as TensorType).shape),
  ),
  transpose: unary<"transpose">((cotangent, { params }) =>
    prim.transpose(
      cotangent,
      params.perm.map((_, axis) => params.perm.indexOf(axis)),
    ),
  ),
  slice,
  pad,
  concat,
  gather,
  scatterAdd,
  reduceSum: unary<"reduceSum">((cotangent, { params, inputTypes }) =>
    prim.unreduce(cotangent, (inputTypes[0] as TensorType).shape, params.axes),
  ),
  reduceMax: null,
  cumsum: unary<"cumsum">((cotangent, { params }) => prim.cumsum(cotangent, params.axis, !params.reverse)),
  argmax: null,
  sort: null,
  dot,
  threefry: null,
  stopGradient: null,
  attention: null,
  attentionTangent,
  attentionTranspose,
  ...transposeControlRules,
} satisfies { readonly [K in OpKind]: TransposeRule<K> | null };

/** Transposes a program: from output cotangents to the cotangents of its linear inputs. */
export const runTranspose = transposer(TRANSPOSE_RULES);
