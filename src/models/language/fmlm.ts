/**
 * FMLM, a flow-map language model: a two-time denoiser δ_{s,t} distilled from FLM by the semigroup identity
 * δ_{s,t}(x) = γ δ_{s,u}(x) + (1 − γ) δ_{u,t}(X_{s,u}(x)) (progressive self-distillation, PSD; arXiv:2602.16813, §FMLM).
 * One page: the flow map, the target, the loss.
 *
 * Consumed by training and by the samplers.
 */
import {
  add,
  concat,
  div,
  expandDims,
  mean,
  mul,
  slice,
  square,
  stopGradient,
  sub,
  sum,
} from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { flowMap, interpolate } from "../flow/fields.ts";
import type { StateSpace } from "../flow/state-space.ts";
import { vocabularySpace } from "../flow/state-space.ts";
import type { Conditioning, Network } from "../networks/network.ts";
import { predict } from "./denoiser.ts";
import { semigroupTarget, tokenTarget, writtenTarget } from "./prediction.ts";
import type { Prediction, Target } from "./prediction.ts";

/** Rows of a batch: tokens [batch, length], noise [batch, length, vocab]; the first `diagonal` rows have s = t. */
export interface FmlmBatch {
  readonly tokens: Tensor;
  readonly noise: Tensor;
  /** Clock times and times of source, middle and target, [batch]. */
  readonly tauS: Tensor;
  readonly tauU: Tensor;
  readonly tauT: Tensor;
  readonly s: Tensor;
  readonly u: Tensor;
  readonly t: Tensor;
  /** The semigroup weight γ = (1−t)(u−s)/((1−u)(t−s)), [batch]. */
  readonly gamma: Tensor;
  /** Keys of the dropout masks of the three calls of the student. */
  readonly dropoutKeys?: readonly [Tensor<[2], "u32">, Tensor<[2], "u32">, Tensor<[2], "u32">];
}

export interface FmlmOptions<P> {
  /** Number of diagonal rows, which come first. */
  readonly diagonal: number;
  /** The frozen FLM; without it diagonal rows learn from the clean tokens (self-distillation). */
  readonly teacher?: { readonly network: Network<P>; readonly params: P };
  /** Squared error summed over the vocabulary instead of cross-entropy; written down even where the vocabulary is streamed. */
  readonly squaredError?: boolean;
  /** Scales off-diagonal rows by ((t − s)/(1 − s))². */
  readonly rescale?: boolean;
  /** Added to 1 − s in the flow map; 0 is exact, 1e-8 reproduces the published code. */
  readonly floor?: number;
}

const rows = (x: Tensor, start: number, stop?: number): Tensor => slice(x, 0, start, stop ?? x.shape[0] ?? 0);

/** Everything that a PSD step computes, for tests and inspection. */
export interface FmlmTerms {
  /** The noised states x_s, [batch, length, dim]. */
  readonly state: Tensor;
  /** Logits of δ_{s,t}(x_s), capped, [batch, length, vocab]. */
  readonly logits: Tensor;
  /** The target distributions, diagonal rows first, without gradient. */
  readonly target: Tensor;
  /** What the targets of the off-diagonal rows are made of; absent when there are none. */
  readonly jump?: Jump;
  /** Loss per token [batch, length]. */
  readonly tokenLoss: Tensor;
}

/** A jump from s to t by way of u. */
export interface Jump {
  /** δ_{s,u}(x_s). */
  readonly first: Tensor;
  /** X_{s,u}(x_s). */
  readonly middle: Tensor;
  /** δ_{u,t}(X_{s,u}(x_s)). */
  readonly second: Tensor;
}

/** The parts before anything of the size of the vocabulary is written down. */
interface Parts {
  readonly state: Tensor;
  readonly student: Prediction;
  /** Of the diagonal rows, then of the others, where there are any. */
  readonly targets: readonly Target[];
  readonly jump?: HalfJumps;
  readonly tokenLoss: Tensor;
}

interface HalfJumps {
  readonly first: Prediction;
  readonly middle: Tensor;
  readonly second: Prediction;
}

/** The target's calls of the student use its present weights, without gradient. */
function partsOf<P extends object>(
  student: Network<P>,
  params: P,
  batch: FmlmBatch,
  options: FmlmOptions<P>,
  space: StateSpace,
): Parts {
  const { diagonal } = options;
  const count = batch.tokens.shape[0] ?? 0;
  const embedding = student.embedding(params);
  const state = interpolate(batch.noise, space.clean(batch.tokens, embedding), batch.s);
  const prediction = predict(student, params, space, state, condition(batch, batch.tauS, batch.tauT, 0));

  const fixed = stopGradient(state);
  const still =
    diagonal > 0 ? [diagonalTarget(student, rows(fixed, 0, diagonal), batch, options, space)] : [];
  const jump =
    diagonal < count ? halfJumps(student, params, rows(fixed, diagonal), batch, options, space) : undefined;
  const jumped =
    jump === undefined
      ? []
      : [semigroupTarget(jump.first.asTarget(), jump.second.asTarget(), rows(batch.gamma, diagonal))];
  const targets = [...still, ...jumped];

  const perToken: Tensor =
    options.squaredError === true
      ? squaredError(written(targets, student.vocab), prediction)
      : prediction.crossEntropy(targets);
  const tokenLoss =
    options.rescale === true && diagonal < count ? rescaled(perToken, batch, options) : perToken;
  return { state, student: prediction, targets, ...(jump === undefined ? {} : { jump }), tokenLoss };
}

/** The targets of a batch [batch, length, vocab], without gradient. */
const written = (targets: readonly Target[], vocab: number): Tensor =>
  stopGradient(
    concat(
      targets.map((target) => writtenTarget(target, vocab)),
      0,
    ),
  );

const squaredError = (target: Tensor, student: Prediction): Tensor =>
  sum(square(sub(student.probabilities(), target)), 2);

/**
 * The PSD loss with all its parts, written down.
 * @param space where states live; a projected state is one state for student and teacher only if they share the table E
 */
export function fmlmTerms<P extends object>(
  student: Network<P>,
  params: P,
  batch: FmlmBatch,
  options: FmlmOptions<P>,
  space: StateSpace = vocabularySpace,
): FmlmTerms {
  const parts = partsOf(student, params, batch, options, space);
  const { state, targets, jump, tokenLoss } = parts;
  return {
    state,
    logits: parts.student.logits(),
    target: written(targets, student.vocab),
    ...(jump === undefined
      ? {}
      : {
          jump: {
            first: jump.first.probabilities(),
            middle: jump.middle,
            second: jump.second.probabilities(),
          },
        }),
    tokenLoss,
  };
}

/** What the student is told in one of its three calls. */
function condition(batch: FmlmBatch, tau: Tensor, target: Tensor, call: 0 | 1 | 2): Conditioning {
  const dropoutKey = batch.dropoutKeys?.[call];
  return dropoutKey === undefined ? { tau, target } : { tau, target, dropoutKey };
}

/** Target of diagonal rows: the teacher's denoiser, or the clean tokens. */
function diagonalTarget<P>(
  student: Network<P>,
  state: Tensor,
  batch: FmlmBatch,
  { diagonal, teacher }: FmlmOptions<P>,
  space: StateSpace,
): Target {
  if (teacher === undefined) return tokenTarget(student, rows(batch.tokens, 0, diagonal));
  const times = { tau: rows(batch.tauS, 0, diagonal) };
  return predict(teacher.network, teacher.params, space, state, times).asTarget();
}

/** The student's own two half jumps of the off-diagonal rows, whose states are given. */
function halfJumps<P>(
  student: Network<P>,
  params: P,
  state: Tensor,
  batch: FmlmBatch,
  { diagonal, floor }: FmlmOptions<P>,
  space: StateSpace,
): HalfJumps {
  const { s, u, tauS, tauU, tauT } = batch;
  const [source, middleTime, target] = [rows(tauS, diagonal), rows(tauU, diagonal), rows(tauT, diagonal)];
  const first = predict(student, params, space, state, condition(batch, source, middleTime, 1));
  const middle = flowMap(state, first.expected(), rows(s, diagonal), rows(u, diagonal), floor);
  const second = predict(student, params, space, middle, condition(batch, middleTime, target, 2));
  return { first, middle, second };
}

/** Off-diagonal rows times ((t − s)/(1 − s))². */
function rescaled<P>(tokenLoss: Tensor, batch: FmlmBatch, { diagonal, floor = 0 }: FmlmOptions<P>): Tensor {
  const [s, t] = [rows(batch.s, diagonal), rows(batch.t, diagonal)];
  const factor = square(div(sub(t, s), add(sub(1, s), floor)));
  const scaled: Tensor = mul(rows(tokenLoss, diagonal), expandDims(factor, 1));
  return concat([...(diagonal > 0 ? [rows(tokenLoss, 0, diagonal)] : []), scaled], 0);
}

/** The PSD loss: the mean over all tokens of all rows. Of a streamed network it holds nothing of [batch, length, vocab]. */
export function fmlmLoss<P extends object>(
  student: Network<P>,
  params: P,
  batch: FmlmBatch,
  options: FmlmOptions<P>,
  space: StateSpace = vocabularySpace,
): Tensor<[]> {
  return mean(partsOf(student, params, batch, options, space).tokenLoss);
}
