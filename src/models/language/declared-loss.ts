/**
 * The training losses of declared flows and flow maps, for any network: what `flow()` and `flowMap()` mean as programs.
 *
 * Consumed by training (src/models/training). FLM and FMLM with a streamed vocabulary have their own pages, flm.ts and fmlm.ts; on a
 * written one they are these losses, and a test says so.
 */
import { concat, expandDims, mapTree, mean, mul, oneHot, slice, stopGradient, sum } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { judgedAs } from "../flow/flow-map.ts";
import type { FlowMap } from "../flow/flow-map.ts";
import type { Flow } from "../flow/flow.ts";
import { pointAt } from "../flow/interpolant.ts";
import type { Interpolant } from "../flow/interpolant.ts";
import { judged } from "../flow/judged.ts";
import { conditional } from "../flow/quantities.ts";
import { diagonalOf } from "../flow/two-time.ts";
import type { Targets } from "../flow/objectives/objective.ts";
import type { OneTimeDenoiser, Time } from "../flow/two-time.ts";
import type { LearnedWeights } from "../flow/weighting-learned.ts";
import { exponentOf, varianceOf, weighed } from "../flow/weighting.ts";
import type { Moment } from "../flow/weighting.ts";
import { flowDenoiser, mapDenoiser, predicted, velocityWeight } from "./declared-network.ts";
import type { NetworkModel } from "./declared-network.ts";

/** Tokens [batch, length] i32, source noise [batch, length, dim], and the time of every row. */
export interface FlowRows {
  readonly tokens: Tensor;
  readonly noise: Tensor;
  readonly t: Time;
}

/** Rows of a flow map; those with s = t come first. */
export interface FlowMapRows {
  readonly tokens: Tensor;
  readonly noise: Tensor;
  readonly s: Time;
  readonly u: Time;
  readonly t: Time;
}

/** What teaches: nothing, a frozen network of the flow, or that of a flow map and the flow's where it is needed for that. */
export interface Teaching<P> {
  /** Number of rows with s = t. */
  readonly diagonal: number;
  readonly teacher?: NetworkModel<P>;
  /** The frozen network of the flow map that is declared as teacher. */
  readonly given?: NetworkModel<P>;
  /** Dropout masks for the calls of the target; the same as in the student's own call without it. */
  readonly targetKey?: Tensor<[2], "u32">;
  /** Parameters of the weighting, where it learns. */
  readonly weighting?: LearnedWeights;
}

const momentOf = (interpolant: Interpolant, { t }: Time): Moment => ({ t, point: pointAt(interpolant, t) });

/**
 * The loss of a flow per token, [batch, length].
 * @param weighting parameters of the flow's weighting, where it learns
 */
export function declaredFlowTokenLoss<P>(
  flow: Flow,
  model: NetworkModel<P>,
  rows: FlowRows,
  weighting?: LearnedWeights,
): Tensor {
  const { network, params, space } = model;
  const { predicts, source } = flow;
  const weightedBy = (perToken: Tensor, value: Tensor, wanted: Tensor): Tensor =>
    weighed(flow.weighting, {
      perToken,
      value,
      wanted,
      predicts,
      variance: varianceOf(source),
      at: momentOf(flow.interpolant, rows.t),
      draws: true,
      exponent: exponentOf(flow.weighting, weighting, [rows.t.tau]),
    });
  const clean = space.clean(rows.tokens, network.embedding(params));
  const x = flow.state(rows.noise, clean, rows.t.t);
  if (flow.predicts === "clean token") {
    const denoiser = flowDenoiser(flow, model);
    const logits = denoiser.logits?.(x, rows.t);
    const tokens: Tensor = oneHot(rows.tokens, network.vocab);
    const value = denoiser.denoiser(x, rows.t);
    return weightedBy(judged(flow.loss, tokens, value, logits), value, tokens);
  }
  const point = pointAt(flow.interpolant, rows.t.t);
  const { scale, mean: centre } = flow.source;
  const wanted = conditional(flow.predicts, { noise: rows.noise, clean }, point, scale, centre);
  // The prediction itself: by way of the clean point it would be 0/0 at an end, and lose digits near it.
  const found = predicted(model, x, rows.t);
  return weightedBy(judged(flow.loss, wanted, found, undefined), found, wanted);
}

/** The mean of {@link declaredFlowTokenLoss}. */
export const declaredFlowLoss = <P>(
  flow: Flow,
  model: NetworkModel<P>,
  rows: FlowRows,
  weighting?: LearnedWeights,
): Tensor<[]> => mean(declaredFlowTokenLoss(flow, model, rows, weighting));

const part = (x: Tensor, from: number, to: number): Tensor => slice(x, 0, from, to);
const partOf = ({ t, tau, rate }: Time, from: number, to: number): Time => ({
  t: part(t, from, to),
  tau: part(tau, from, to),
  rate: part(rate, from, to),
});

/** The loss of a flow map per token, [batch, length]: diagonal rows first. */
export function declaredMapTokenLoss<P>(
  map: FlowMap,
  student: NetworkModel<P>,
  rows: FlowMapRows,
  { diagonal, teacher, given: frozenMap, targetKey, weighting }: Teaching<P>,
): Tensor {
  const { flow } = map;
  // Its weights have no gradient; its values keep their derivatives by state and time, which a corrected velocity passes to the objective.
  const frozen =
    teacher === undefined
      ? undefined
      : flowDenoiser(flow, { ...teacher, params: mapTree(stopGradient, teacher.params) });
  const given =
    frozenMap === undefined || typeof map.teacher === "boolean"
      ? undefined
      : mapDenoiser(map.teacher, frozenMap, frozen);
  const { network, params, space } = student;
  const count = rows.tokens.shape[0] ?? 0;
  const clean = space.clean(rows.tokens, network.embedding(params));
  const x = flow.state(rows.noise, clean, rows.s.t);
  const learning = mapDenoiser(map, student, frozen);
  const value = learning.denoiser(x, rows.s, rows.t);

  // Targets are made of the present weights, and pass no gradient on.
  const still = mapDenoiser(
    map,
    { ...student, ...(targetKey === undefined ? {} : { dropoutKey: targetKey }) },
    frozen,
  );
  const taught = given === undefined ? frozen : diagonalOf(given);
  const sources = {
    student: still,
    instant: taught ?? diagonalOf(still),
    ...(given === undefined ? {} : { given }),
  };
  const targets = [
    ...(diagonal > 0
      ? [diagonalTarget(map, rows, { clean, x, vocab: network.vocab, diagonal }, taught)]
      : []),
    ...(diagonal < count ? [jumpTarget(map, rows, x, diagonal, sources)] : []),
  ];
  const wanted = stopGradient(concat(targets, 0)) as Tensor;
  const perToken = judged(map.loss, wanted, value, learning.logits?.(x, rows.s, rows.t));
  // Velocities and moves are judged as velocities: at s near 1 little of them is left in ψ.
  const predicts = judgedAs(map);
  const timed =
    predicts === "velocity" ? mul(perToken, expandDims(velocityWeight(flow, rows.s, rows.t), 1)) : perToken;
  return weighed(map.weighting, {
    perToken: timed,
    value,
    wanted,
    predicts,
    variance: varianceOf(flow.source),
    at: momentOf(flow.interpolant, rows.s),
    target: momentOf(flow.interpolant, rows.t),
    draws: taught === undefined,
    exponent: exponentOf(map.weighting, weighting, [rows.s.tau, rows.t.tau]),
  });
}

interface DiagonalRows {
  readonly clean: Tensor;
  readonly x: Tensor;
  readonly vocab: number;
  /** Number of them. */
  readonly diagonal: number;
}

/** What rows with s = t learn: the teacher's denoiser, or the clean tokens or points. */
function diagonalTarget(
  map: FlowMap,
  rows: FlowMapRows,
  { clean, x, vocab, diagonal }: DiagonalRows,
  teacher: OneTimeDenoiser | undefined,
): Tensor {
  if (teacher !== undefined) return teacher.denoiser(part(x, 0, diagonal), partOf(rows.s, 0, diagonal));
  if (map.flow.predicts !== "clean token") return part(clean, 0, diagonal);
  return oneHot(part(rows.tokens, 0, diagonal), vocab);
}

/** What the other rows learn: the objective's target. */
function jumpTarget(
  { objective }: FlowMap,
  rows: FlowMapRows,
  x: Tensor,
  diagonal: number,
  sources: Targets,
): Tensor {
  const count = rows.tokens.shape[0] ?? 0;
  return objective.target(sources, {
    x: stopGradient(part(x, diagonal, count)) as Tensor,
    s: partOf(rows.s, diagonal, count),
    u: partOf(rows.u, diagonal, count),
    t: partOf(rows.t, diagonal, count),
  });
}

/**
 * {@link declaredMapLoss} as the sum of what the diagonal rows contribute to it and what the others do: of one computation, so that each
 * can be differentiated.
 */
export function declaredMapParts<P>(
  map: FlowMap,
  student: NetworkModel<P>,
  rows: FlowMapRows,
  teaching: Teaching<P>,
): { readonly diagonal: Tensor<[]>; readonly jumps: Tensor<[]> } {
  const perToken = declaredMapTokenLoss(map, student, rows, teaching);
  const [count = 0, length = 0] = perToken.shape;
  const share = (from: number, to: number): Tensor<[]> =>
    mul(sum(part(perToken, from, to)), 1 / (count * length));
  return { diagonal: share(0, teaching.diagonal), jumps: share(teaching.diagonal, count) };
}

/** The mean of {@link declaredMapTokenLoss}. */
export const declaredMapLoss = <P>(
  map: FlowMap,
  student: NetworkModel<P>,
  rows: FlowMapRows,
  teaching: Teaching<P>,
): Tensor<[]> => mean(declaredMapTokenLoss(map, student, rows, teaching));
