/**
 * Training what was declared: the steps of a flow() and of a flowMap() as programs, and what each step is fed. The same state, update
 * and files as those of FLM and FMLM (programs.ts), which are two such declarations.
 *
 * Consumed by the training loop (src/runtime/training), by users who train variants themselves, and by tests of the objectives.
 */
import { add, f32, fn, i32, mul, random, u32, valueAndGrad } from "../../dsl/index.ts";
import type { Dim, SpecOf, Tensor } from "../../dsl/index.ts";
import type { Clock } from "../flow/clock.ts";
import { needsFlow, usualParameterization } from "../flow/flow-map.ts";
import type { FlowMap } from "../flow/flow-map.ts";
import type { Flow } from "../flow/flow.ts";
import { fold, permutation, uniforms } from "../flow/host-random.ts";
import type { Key } from "../flow/host-random.ts";
import { projectedMean } from "../flow/samplers/world.ts";
import { spaceFor } from "../flow/state-space.ts";
import type { StateSpace } from "../flow/state-space.ts";
import { fmlmTimes, stratifiedTimes } from "../flow/times.ts";
import type { RowTimes } from "../flow/times.ts";
import type { Time } from "../flow/two-time.ts";
import { declaredFlowLoss, declaredMapLoss, declaredMapParts } from "../language/declared-loss.ts";
import { dit } from "../networks/dit.ts";
import type { DitParams } from "../networks/dit.ts";
import { keyData, randomWindows } from "./batches.ts";
import { student } from "./programs.ts";
import type { ModelOptions } from "./programs.ts";
import { freshState, updatePacked, updateState, weightsLayout } from "./state.ts";
import type { TrainedWeighting, TrainedWeights, TrainingState } from "./state.ts";
import { apartFromWeighting, gradientsOfParts, projected } from "./surgery.ts";

/** A time of every row as the host gives it. */
export interface TimeData {
  readonly t: Float32Array;
  readonly tau: Float32Array;
  readonly rate: Float32Array;
}

const timeSpec = (batch: number) => ({ t: f32(batch), tau: f32(batch), rate: f32(batch) });

/**
 * Noise of a flow's source where its states live.
 * @throws RangeError for projected states of a source that is not Gaussian, whose projection has no simple law
 */
export function noiseOf(
  flow: Flow,
  space: StateSpace,
  key: Tensor<[2], "u32">,
  rows: readonly Dim[],
  embedding: Tensor,
): Tensor {
  const { source } = flow;
  const [vocab = 0, width = 0] = embedding.shape;
  if (space.kind !== "projected")
    return source.sample(key, [...rows, space.kind === "embedded" ? width : vocab]);
  if (source.scale === undefined)
    throw new RangeError(
      `The flow "${flow.name}" has a ${source.name} source, and noise is drawn on projected states for Gaussian ones only: use space "vocabulary".`,
    );
  const noise: Tensor = mul(space.noise(key, rows, embedding), source.scale);
  return source.mean === 0 ? noise : add(noise, projectedMean(source, embedding));
}

/** Where a flow's states live in training. @throws RangeError when the network does not fit there */
export function spaceOfFlow(
  flow: Flow,
  { network, space: kind, weightDecay }: ModelOptions,
  /** Whether the states are those of a teacher, whose table a student keeps. */
  taught = false,
): StateSpace {
  const { name, predicts, states } = flow;
  const space = spaceFor(states, kind);
  if (predicts !== "clean token" && space.kind === "projected")
    throw new RangeError(
      `The flow "${name}" predicts a ${predicts} of the vocabulary's size, and projected states have the network's width: use space "vocabulary".`,
    );
  const { vocab, width, outputs = vocab } = network;
  const wanted = predicts === "clean token" || space.kind === "vocabulary" ? vocab : width;
  if (outputs !== wanted)
    throw new RangeError(
      `The flow "${name}" predicts a ${predicts}, ${wanted} numbers for a token, and the network puts out ${outputs}: ` +
        `give the network outputs: ${wanted}.`,
    );
  const keeps =
    states.kind === "embedded" && (states.table === "frozen" || (taught && states.table === "learned"));
  if (keeps && states.norm === undefined && weightDecay > 0)
    throw new RangeError(
      `The flow "${name}" keeps the embedding as it is, and weight decay would shrink it: set weightDecay to 0, give the ` +
        `states a norm, or give the table.`,
    );
  return space;
}

/** Where a flow map's states live. @throws RangeError when the network puts out how they move, and of another size */
function spaceOfMap(map: FlowMap, options: ModelOptions): StateSpace {
  const { name, flow, parameterization, teacher } = map;
  const space = spaceOfFlow(flow, options, teacher !== false);
  const moves = parameterization === "mean velocity" || parameterization === "direct map";
  if (moves && flow.predicts === "clean token" && space.kind !== "vocabulary")
    throw new RangeError(
      `The flow map "${name}" is a ${parameterization} of the vocabulary's size, and its states have the network's width: use space "vocabulary".`,
    );
  return space;
}

/** The weighting of a declaration that is trained with the network, if it has one. */
export function learnedOf(declared: Flow | FlowMap): TrainedWeighting | undefined {
  const { kind, weighting } = declared;
  if (typeof weighting !== "object" || weighting.kind !== "learned") return undefined;
  return { weighting, times: kind === "flow" ? 1 : 2 };
}

/** The parameters of a learned weighting with those of the network; the network alone without one. */
const withWeighting = (
  network: DitParams,
  learned: TrainedWeighting | undefined,
  key: Tensor<[2], "u32">,
): TrainedWeights =>
  learned === undefined
    ? network
    : // Another key than any that the network's parameters are drawn with.
      { ...network, weighting: learned.weighting.init(random.foldIn(key, 1), learned.times) };

/** key -> the initial state of a declared flow: that of FLM and, where its weighting learns, the parameters of that. */
export function initFlow(flow: Flow, options: ModelOptions) {
  const learned = learnedOf(flow);
  return fn({ key: u32(2) }, ({ key }) => {
    const network = dit(options.network).init(key);
    return freshState(withWeighting(network, learned, key), weightsLayout(options.network, learned), options);
  });
}

/** (state, tokens, t, key, learningRate) -> (state, loss, gradientNorm): one step of a declared flow. */
export function flowStep(flow: Flow, options: ModelOptions, state: SpecOf<TrainingState>) {
  const network = dit(options.network);
  const layout = weightsLayout(options.network, learnedOf(flow));
  const space = spaceOfFlow(flow, options);
  const { batch } = options;
  const spec = {
    state,
    tokens: i32(batch, network.length),
    t: timeSpec(batch),
    key: u32(2),
    learningRate: f32(),
  };
  return fn(spec, (input) => {
    const current = input.state as unknown as TrainingState;
    const [noiseKey, dropoutKey] = random.split(input.key, 2);
    const { value, grad } = valueAndGrad((params: TrainedWeights) => {
      const noise = noiseOf(flow, space, noiseKey, [batch, network.length], params.embedding);
      const rows = { tokens: input.tokens, noise, t: input.t as unknown as Time };
      return declaredFlowLoss(flow, { network, params, space, dropoutKey }, rows, params.weighting);
    })(layout.unpack(current.params));
    const next = updateState(current, grad, input.learningRate, layout, options);
    return { state: next.state, loss: value, gradientNorm: next.gradientNorm };
  });
}

/**
 * (params, tokens, t, key) -> loss: the loss of a declared flow without dropout or update. A weighting that learns is no part of it: its
 * parameters stay in the training, and would make losses of two times incomparable.
 */
export function flowValidation(declared: Flow, options: ModelOptions, params: SpecOf<DitParams>) {
  const { weighting: _weighting, ...unweighted } = declared;
  const flow: Flow = learnedOf(declared) === undefined ? declared : unweighted;
  const network = dit(options.network);
  const space = spaceOfFlow(flow, options);
  const { batch } = options;
  return fn(
    { params, tokens: i32(batch, network.length), t: timeSpec(batch), key: u32(2) },
    ({ tokens, key, ...input }) => {
      const weights = input.params as unknown as DitParams; // the tree that the specification is of
      const noise = noiseOf(flow, space, key, [batch, network.length], weights.embedding);
      const rows = { tokens, noise, t: input.t as unknown as Time };
      return { loss: declaredFlowLoss(flow, { network, params: weights, space }, rows) };
    },
  );
}

/** Rows of a batch with s = t. @throws RangeError when the declared share of them is no whole number */
export function diagonalRowsOf({ name, diagonal }: FlowMap, batch: number): number {
  const rows = batch * diagonal;
  if (!Number.isInteger(rows))
    throw new RangeError(
      `The flow map "${name}" gives ${diagonal} of the rows to the diagonal, of a batch of ${batch} no whole number: choose another batch.`,
    );
  return rows;
}

/**
 * (key, teacher) -> the initial state of a flow map: where the specification of a flow's weights is given, those and a second time embedding,
 * and else fresh ones; and, where its weighting learns, the parameters of that. The embedding adds nothing yet, but for a direct map: that
 * is the difference of two times, and if neither they nor the last layer did anything, neither would ever learn. A network that puts out
 * something else than its teacher begins with a last layer of zeros: a corrected velocity then is its teacher's step, and a direct map
 * stays where it is.
 */
export function initFlowMap(map: FlowMap, options: ModelOptions, teacher?: SpecOf<DitParams>) {
  const learned = learnedOf(map);
  const config = student(options.network);
  const layout = weightsLayout(config, learned);
  const { parameterization, flow } = map;
  return fn({ key: u32(2), ...(teacher === undefined ? {} : { teacher }) }, (input) => {
    const fresh = dit(config).init(input.key);
    const { teacher: known } = input as { readonly teacher?: DitParams };
    const targetTime =
      parameterization === "direct map"
        ? dit(config).init(random.foldIn(input.key, 2)).time
        : fresh.targetTime;
    const params: DitParams = {
      ...(known ?? fresh),
      ...(known === undefined || parameterization === usualParameterization(flow)
        ? {}
        : { head: { ...known.head, linear: fresh.head.linear } }),
      ...(targetTime === undefined ? {} : { targetTime }),
    };
    return freshState(withWeighting(params, learned, input.key), layout, options);
  });
}

/**
 * (state, teacher, given, tokens, s, u, t, key, learningRate) -> (state, loss, gradientNorm): one step of a declared flow map.
 * Without a teacher both specifications are left out, and the flow map learns from tokens and from itself.
 * @param teacher weights of the flow's frozen network, where one is needed
 * @param given weights of the flow map that is declared as teacher
 * @throws RangeError where a declared teacher is missing here, or one is given that is not declared
 */
export function flowMapStep(
  map: FlowMap,
  options: ModelOptions,
  state: SpecOf<TrainingState>,
  teacher?: SpecOf<DitParams>,
  given?: SpecOf<DitParams>,
) {
  const { flow } = map;
  if (needsFlow(map) !== (teacher !== undefined))
    throw new RangeError(
      needsFlow(map)
        ? `The flow map "${map.name}" learns from a teacher: give the specification of its weights.`
        : `The flow map "${map.name}" is declared without a teacher, and one is given.`,
    );
  if ((typeof map.teacher === "object") !== (given !== undefined))
    throw new RangeError(
      typeof map.teacher === "object"
        ? `The flow map "${map.name}" learns from the flow map "${map.teacher.name}": give the specification of its weights too.`
        : `The flow map "${map.name}" is not taught by a flow map, and one is given.`,
    );
  const network = dit(student(options.network));
  const layout = weightsLayout(student(options.network), learnedOf(map));
  const space = spaceOfMap(map, options);
  const { batch } = options;
  const diagonal = diagonalRowsOf(map, batch);
  const time = timeSpec(batch);
  const spec = {
    state,
    ...(teacher === undefined ? {} : { teacher }),
    ...(given === undefined ? {} : { given }),
    tokens: i32(batch, network.length),
    s: time,
    u: time,
    t: time,
    key: u32(2),
    learningRate: f32(),
  };
  return fn(spec, (input) => {
    const current = input.state as unknown as TrainingState;
    const { teacher: frozen, given: known } = input as {
      readonly teacher?: DitParams;
      readonly given?: DitParams;
    };
    const [noiseKey, dropoutKey, targetKey] = random.split(input.key, 3);
    /** What the loss is of, at any weights. */
    const asked = (params: TrainedWeights) => {
      // Student and teacher must see one state.
      const taught = frozen ?? known;
      const weights =
        space.kind !== "vocabulary" && taught !== undefined
          ? { ...params, embedding: taught.embedding }
          : params;
      const noise = noiseOf(flow, space, noiseKey, [batch, network.length], weights.embedding);
      const [s, u, t] = [input.s, input.u, input.t] as unknown as readonly [Time, Time, Time];
      return [
        map,
        { network, params: weights, space, dropoutKey },
        { tokens: input.tokens, noise, s, u, t },
        {
          diagonal,
          targetKey,
          ...(params.weighting === undefined ? {} : { weighting: params.weighting }),
          ...(frozen === undefined
            ? {}
            : { teacher: { network: dit(options.network), params: frozen, space } }),
          ...(known === undefined ? {} : { given: { network, params: known, space } }),
        },
      ] as const;
    };
    const weights = layout.unpack(current.params);
    if (!map.surgery) {
      const { value, grad } = valueAndGrad((params: TrainedWeights) => declaredMapLoss(...asked(params)))(
        weights,
      );
      const next = updateState(current, grad, input.learningRate, layout, options);
      return { state: next.state, loss: value, gradientNorm: next.gradientNorm };
    }
    const parts = gradientsOfParts((params: TrainedWeights) => {
      const loss = declaredMapParts(...asked(params));
      return [loss.diagonal, loss.jumps];
    }, weights);
    const [along, other] = apartFromWeighting(...parts.gradients).map(layout.pack) as unknown as [
      Packed,
      Packed,
    ]; // of two parts
    const gradient = projected(along, other);
    const next = updatePacked(current, gradient, input.learningRate, layout, options);
    return { state: next.state, loss: add(...parts.values), gradientNorm: next.gradientNorm };
  });
}

type Packed = TrainingState["params"];

const timesOf = (clock: Clock, t: readonly number[], tau: readonly number[]): TimeData => ({
  t: Float32Array.from(t),
  tau: Float32Array.from(tau),
  rate: Float32Array.from(t, (time) => clock.dTau(time)),
});

/** What a step of a flow is fed: random windows of the stream, and times that are even on its clock. */
export function flowDraw(
  flow: Pick<Flow, "clock">,
  stream: Int32Array,
  length: number,
  batch: number,
  from: Key,
) {
  const { clock } = flow;
  const taus = Array.from(
    stratifiedTimes({
      uniforms: uniforms(fold(from, 1), batch),
      permutation: permutation(fold(from, 2), batch),
    }),
  );
  return {
    tokens: randomWindows(stream, fold(from, 0), batch, length),
    t: timesOf(
      clock,
      taus.map((tau) => clock.time(tau)),
      taus,
    ),
    key: keyData(fold(from, 3)),
  };
}

/** What a step of a flow map is fed: rows with s = t first, as many of each kind as it declares. */
export function flowMapDraw(
  map: FlowMap,
  stream: Int32Array,
  length: number,
  batch: number,
  step: number,
  from: Key,
) {
  const { clock } = map.flow;
  const draw = (n: number): Float64Array => uniforms(fold(from, n), batch);
  const rows = fmlmTimes({
    batch,
    step,
    diagonalFraction: map.diagonal,
    boundaryFraction: map.boundary,
    uniforms: { diagonal: draw(1), difference: draw(2), start: draw(3), midpoint: draw(6) },
    permutation: permutation(fold(from, 4), batch),
    clock,
    midpoint: map.midpoint,
    jumps: map.times,
  }).toSorted((a, b) => Number(a.kind !== "diagonal") - Number(b.kind !== "diagonal"));
  const column = (t: (row: RowTimes) => number, tau: (row: RowTimes) => number): TimeData =>
    timesOf(clock, rows.map(t), rows.map(tau));
  return {
    tokens: randomWindows(stream, fold(from, 0), batch, length),
    s: column(
      (row) => row.s,
      (row) => row.tauS,
    ),
    u: column(
      (row) => row.u,
      (row) => row.tauU,
    ),
    t: column(
      (row) => row.t,
      (row) => row.tauT,
    ),
    key: keyData(fold(from, 5)),
  };
}
