/**
 * The batching rule of every op. Most add the leading axis to their parameters; dot makes it a batch axis or a free axis,
 * gather and scatterAdd an aligned axis.
 */
import { ARITHMETIC_OPS, COMPARE_OPS, UNARY_OPS } from "../program/program.ts";
import type {
  ArithmeticOp,
  CompareOp,
  DotParams,
  OpKind,
  OpParams,
  Program,
  TensorType,
  UnaryOp,
} from "../program/program.ts";
import { emit, traceFlat } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import { family } from "./jvp-rules.ts";
import { asBatched, batcher, withBatch } from "./vmap.ts";
import type { Batched, RunVmap, VmapInputs, VmapRule, VmapRules } from "./vmap.ts";

type T = TracedTensor;

const shift = (axes: readonly number[]): readonly number[] => axes.map((axis) => axis + 1);
const dense = (inputs: readonly Batched[], size: number): readonly T[] =>
  inputs.map((input) => withBatch(input, size));

/** All inputs get the batch axis, the parameters stay: elementwise ops and attention. */
function together<K extends OpKind>(): VmapRule<K> {
  return ({ op, inputs, params, size }) => asBatched(emit(op, dense(inputs, size), params));
}

/** Ops with one input whose parameters get the batch axis. */
function shifted<K extends OpKind>(rule: (params: OpParams[K], size: number) => OpParams[K]): VmapRule<K> {
  return ({ op, inputs, params, size }) =>
    asBatched(emit(op, [(inputs[0] as Batched).tensor], rule(params, size)));
}

/** Ops without inputs are never batched. */
function constant<K extends OpKind>(): VmapRule<K> {
  return ({ op, params }) => emit(op, [], params).map((tensor) => ({ tensor, batched: false }));
}

const dot: VmapRule<"dot"> = ({ inputs, params }) => {
  const [x, y] = inputs as readonly [Batched, Batched];
  const up = (axes: readonly number[], batched: boolean): readonly number[] => (batched ? shift(axes) : axes);
  const moved: DotParams = {
    lhsBatch: up(params.lhsBatch, x.batched),
    rhsBatch: up(params.rhsBatch, y.batched),
    lhsContract: up(params.lhsContract, x.batched),
    rhsContract: up(params.rhsContract, y.batched),
  };
  if (x.batched && y.batched) {
    return asBatched([
      prim.dot(x.tensor, y.tensor, {
        ...moved,
        lhsBatch: [0, ...moved.lhsBatch],
        rhsBatch: [0, ...moved.rhsBatch],
      }),
    ]);
  }
  // The batch is a free axis of one side: the first of its free axes in the result.
  const product = prim.dot(x.tensor, y.tensor, moved);
  const batchCount = params.lhsBatch.length;
  const lhsFree = x.tensor.shape.length - moved.lhsBatch.length - moved.lhsContract.length;
  return asBatched([prim.moveAxis(product, x.batched ? batchCount : batchCount + lhsFree, 0)]);
};

const gather: VmapRule<"gather"> = ({ inputs, params, size }) => {
  const [operand, indices] = inputs as readonly [Batched, Batched];
  if (operand.batched && !indices.batched && params.batchDims === 0) {
    return asBatched([prim.gather(operand.tensor, indices.tensor, params.axis + 1)]);
  }
  if (!operand.batched && params.batchDims === 0) {
    // Indices only: the batch appears where the index axes stand.
    return asBatched([
      prim.moveAxis(prim.gather(operand.tensor, indices.tensor, params.axis), params.axis, 0),
    ]);
  }
  return asBatched([
    prim.gather(withBatch(operand, size), withBatch(indices, size), params.axis + 1, params.batchDims + 1),
  ]);
};

const scatterAdd: VmapRule<"scatterAdd"> = ({ inputs, params, size }) => {
  const [operand, indices, updates] = dense(inputs, size) as readonly [T, T, T];
  return asBatched([prim.scatterAdd(operand, indices, updates, params.axis + 1, params.batchDims + 1)]);
};

/** Which carried values become batched: a fixed point over the body's outputs. */
function batchedCarry(
  run: RunVmap,
  body: Program,
  flags: readonly boolean[],
  consts: number,
  carry: number,
  size: number,
): { readonly flags: readonly boolean[]; readonly outputs: readonly boolean[] } {
  let current = flags;
  for (;;) {
    const outputs = batchedOutputs(run, body, current, size);
    const next = current.map(
      (flag, i) => flag || (i >= consts && i < consts + carry && outputs[i - consts] === true),
    );
    if (next.every((flag, i) => flag === current[i])) return { flags: next, outputs };
    current = next;
  }
}

const withAxis = ({ shape, dtype }: TensorType, batched: boolean, size: number): TensorType => ({
  shape: batched ? [size, ...shape] : shape,
  dtype,
});
const typesOf = (program: Program): readonly TensorType[] =>
  program.inputs.map((id) => program.types[id] as TensorType);

function batchedOutputs(
  run: RunVmap,
  body: Program,
  flags: readonly boolean[],
  size: number,
): readonly boolean[] {
  let outputs: readonly boolean[] = [];
  traceFlat(
    typesOf(body).map((type, i) => withAxis(type, flags[i] === true, size)),
    (values) => {
      outputs = run(
        body,
        values.map((tensor, i) => ({ tensor, batched: flags[i] === true })),
        size,
      ).map(({ batched }) => batched);
      return [];
    },
  );
  return outputs;
}

/** The batched program; outputs whose flag in `force` is set get the batch axis, others as they come. */
function batchedProgram(
  run: RunVmap,
  body: Program,
  flags: readonly boolean[],
  force: readonly boolean[],
  size: number,
): Program {
  return traceFlat(
    typesOf(body).map((type, i) => withAxis(type, flags[i] === true, size)),
    (values) =>
      run(
        body,
        values.map((tensor, i) => ({ tensor, batched: flags[i] === true })),
        size,
      ).map((output, i) => (force[i] === true ? withBatch(output, size) : output.tensor)),
  ).program;
}

const scan: VmapRule<"scan"> = ({ inputs, params, size, run }) => {
  const { body, consts, carry } = params;
  const split = consts + carry;
  const { flags, outputs } = batchedCarry(
    run,
    body,
    inputs.map(({ batched }) => batched),
    consts,
    carry,
    size,
  );
  const force = outputs.map((flag, i) => (i < carry ? flags[consts + i] === true : flag));
  const operands = inputs.map((input, i) => {
    if (flags[i] !== true) return input.tensor;
    const tensor = withBatch(input, size);
    return i >= split ? prim.moveAxis(tensor, 0, 1) : tensor; // scanned axis first
  });
  const results = emit("scan", operands, { ...params, body: batchedProgram(run, body, flags, force, size) });
  return results.map((tensor, i) => ({
    tensor: force[i] === true && i >= carry ? prim.moveAxis(tensor, 1, 0) : tensor,
    batched: force[i] === true,
  }));
};

/** A batch of loops runs until all are done; those that are done keep their carry. */
const whileLoop: VmapRule<"while"> = ({ inputs, params, size, run }) => {
  const { condition, body, conditionConsts, bodyConsts } = params;
  const all = inputs.map(({ batched }) => batched);
  const carry = inputs.length - conditionConsts - bodyConsts;
  let flags = batchedCarry(run, body, all.slice(conditionConsts), bodyConsts, carry, size).flags;
  const testFlags = (): readonly boolean[] => [...all.slice(0, conditionConsts), ...flags.slice(bodyConsts)];
  const batchedTest = batchedOutputs(run, condition, testFlags(), size)[0] === true;
  if (batchedTest) flags = flags.map((flag, i) => flag || i >= bodyConsts);
  const operands = inputs.map((input, i) =>
    (i < conditionConsts ? all[i] : flags[i - conditionConsts]) === true
      ? withBatch(input, size)
      : input.tensor,
  );
  const carryForce = flags.slice(bodyConsts);
  const test = batchedProgram(run, condition, testFlags(), [], size);
  const step = batchedProgram(run, body, flags, carryForce, size);
  if (!batchedTest) {
    const results = emit("while", operands, { ...params, condition: test, body: step });
    return results.map((tensor, i) => ({ tensor, batched: carryForce[i] === true }));
  }
  const conditionInputs = operands.slice(0, conditionConsts);
  const carried = operands.slice(conditionConsts + bodyConsts);
  const any = traceFlat([...conditionInputs, ...carried], (values) => {
    const going = prim.replay(test, values)[0] as T;
    return [
      prim.less(prim.fill(0, { shape: [], dtype: "i32" }), prim.reduceSum(prim.cast(going, "i32"), [0])),
    ];
  }).program;
  const masked = traceFlat([...conditionInputs, ...operands.slice(conditionConsts)], (values) => {
    const old = values.slice(conditionConsts + bodyConsts);
    const going = prim.replay(test, [...values.slice(0, conditionConsts), ...old])[0] as T;
    return prim
      .replay(step, values.slice(conditionConsts))
      .map((next, i) => prim.select(prim.broadcast(going, next.shape, [0]), next, old[i] as T));
  }).program;
  const results = emit(
    "while",
    [...conditionInputs, ...conditionInputs, ...operands.slice(conditionConsts)],
    {
      condition: any,
      body: masked,
      conditionConsts,
      bodyConsts: conditionConsts + bodyConsts,
    },
  );
  return asBatched(results);
};

const cond: VmapRule<"cond"> = ({ inputs, params, size, run }) => {
  const [predicate, ...operands] = inputs as readonly [Batched, ...Batched[]];
  const branches = [params.onTrue, params.onFalse] as const;
  if (predicate.batched) {
    // Both branches run and each row picks its own.
    const [yes, no] = branches.map((branch) => dense(run(branch, operands, size), size)) as [
      readonly T[],
      readonly T[],
    ];
    return asBatched(
      yes.map((value, i) =>
        prim.select(prim.broadcast(predicate.tensor, value.shape, [0]), value, no[i] as T),
      ),
    );
  }
  const flags = operands.map(({ batched }) => batched);
  const found = branches.map((branch) => batchedOutputs(run, branch, flags, size));
  const force = (found[0] as readonly boolean[]).map((flag, i) => flag || found[1]?.[i] === true);
  const [onTrue, onFalse] = branches.map((branch) => batchedProgram(run, branch, flags, force, size)) as [
    Program,
    Program,
  ];
  const results = emit(
    "cond",
    inputs.map(({ tensor }) => tensor),
    { onTrue, onFalse },
  );
  return results.map((tensor, i) => ({ tensor, batched: force[i] === true }));
};

const remat: VmapRule<"remat"> = ({ inputs, params, size, run }) => {
  const flags = inputs.map(({ batched }) => batched);
  const force = batchedOutputs(run, params.body, flags, size);
  const results = emit(
    "remat",
    inputs.map(({ tensor }) => tensor),
    { ...params, body: batchedProgram(run, params.body, flags, [], size) },
  );
  return results.map((tensor, i) => ({ tensor, batched: force[i] === true }));
};

/** Batches a program with every input and output batched. */
const whole = (run: RunVmap, program: Program, size: number): Program =>
  batchedProgram(
    run,
    program,
    program.inputs.map(() => true),
    program.outputs.map(() => true),
    size,
  );

/** Ops with several programs: everything is batched, so that their signatures keep fitting together. */
function wholly<K extends "customJvp" | "customVjp" | "customTangent">(
  rule: (params: OpParams[K], batch: (program: Program) => Program) => OpParams[K],
): VmapRule<K> {
  return ({ op, inputs, params, size, run }: VmapInputs<K>) =>
    asBatched(
      emit(
        op,
        dense(inputs, size),
        rule(params, (program) => whole(run, program, size)),
      ),
    );
}

export const VMAP_RULES: VmapRules = {
  ...family<UnaryOp, VmapRule<UnaryOp>>(UNARY_OPS, together()),
  ...family<ArithmeticOp, VmapRule<ArithmeticOp>>(ARITHMETIC_OPS, together()),
  ...family<CompareOp, VmapRule<CompareOp>>(COMPARE_OPS, together()),
  constant: constant(),
  iota: constant(),
  select: together(),
  cast: together(),
  broadcast: shifted(({ shape, dims }, size) => ({ shape: [size, ...shape], dims: [0, ...shift(dims)] })),
  reshape: shifted(({ shape }, size) => ({ shape: [size, ...shape] })),
  transpose: shifted(({ perm }) => ({ perm: [0, ...shift(perm)] })),
  slice: shifted(({ start, stop, step }, size) => ({
    start: [0, ...start],
    stop: [size, ...stop],
    step: [1, ...step],
  })),
  pad: shifted(({ low, high, interior }) => ({
    low: [0, ...low],
    high: [0, ...high],
    interior: [0, ...interior],
  })),
  concat: ({ inputs, params, size }) => asBatched([prim.concat(dense(inputs, size), params.axis + 1)]),
  gather,
  scatterAdd,
  reduceSum: shifted(({ axes }) => ({ axes: shift(axes) })),
  reduceMax: shifted(({ axes }) => ({ axes: shift(axes) })),
  cumsum: shifted(({ axis, reverse }) => ({ axis: axis + 1, reverse })),
  argmax: shifted(({ axis }) => ({ axis: axis + 1 })),
  sort: shifted(({ axis }) => ({ axis: axis + 1 })),
  dot,
  threefry: together(),
  stopGradient: together(),
  attention: together(),
  attentionTangent: together(),
  attentionTranspose: together(),
  scan,
  while: whileLoop,
  cond,
  remat,
  customJvp: wholly(({ body, rule, consts }, batch) => ({ body: batch(body), rule: batch(rule), consts })),
  customVjp: wholly(({ body, forward, backward, consts }, batch) => ({
    body: batch(body),
    forward: batch(forward),
    backward: batch(backward),
    consts,
  })),
  customTangent: wholly(({ tangent, backward, residuals, primals }, batch) => ({
    tangent: batch(tangent),
    backward: batch(backward),
    residuals,
    primals,
  })),
};

/** Evaluates a program on a batch: the vmap transform. */
export const runVmap = batcher(VMAP_RULES);
