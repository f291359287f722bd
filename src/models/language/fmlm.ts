/**
 * FMLM, a flow-map language model: a two-time denoiser δ_{s,t} distilled from FLM by the semigroup identity
 * δ_{s,t}(x) = γ δ_{s,u}(x) + (1 − γ) δ_{u,t}(X_{s,u}(x)) (progressive self-distillation, PSD; arXiv:2602.16813, §FMLM).
 * One page: the flow map, the target, the loss.
 *
 * Consumed by training and by the samplers.
 */
import { add, concat, div, exp, expandDims, mean, mul, neg, oneHot, slice, square, stopGradient, sub, sum } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import type { StateSpace } from "../flow/state-space.ts";
import { vocabularySpace } from "../flow/state-space.ts";
import type { Network } from "../networks/network.ts";
import { logDenoiser } from "./denoiser.ts";
import { interpolate, perRow } from "./flm.ts";

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
  /** Squared error summed over the vocabulary instead of cross-entropy. */
  readonly squaredError?: boolean;
  /** Scales off-diagonal rows by ((t − s)/(1 − s))². */
  readonly rescale?: boolean;
  /** Added to 1 − s in the flow map; 0 is exact, 1e-8 reproduces the published code. */
  readonly floor?: number;
}

/** X_{s,t}(x) = (1−t)/(1−s) x + (t−s)/(1−s) δ: where the flow map takes a state, given δ_{s,t}(x). Times are [batch], s < 1; `floor` is added to 1 − s. */
export function flowMap(state: Tensor, denoised: Tensor, s: Tensor, t: Tensor, floor = 0): Tensor {
  const left = perRow(add(sub(1, s), floor));
  const kept = div(perRow(sub(1, t)), left);
  const jumped = div(perRow(sub(t, s)), left);
  return add(mul(kept, state), mul(jumped, denoised));
}

const rows = (x: Tensor, start: number, stop?: number): Tensor => slice(x, 0, start, stop ?? x.shape[0] ?? 0);

/** Everything that a PSD step computes, for tests and inspection. */
export interface FmlmTerms {
  /** log δ_{s,t}(x_s), [batch, length, vocab]. */
  readonly logDenoised: Tensor;
  /** The target distributions, diagonal rows first, without gradient. */
  readonly target: Tensor;
  /** Loss per token [batch, length]. */
  readonly tokenLoss: Tensor;
}

/**
 * The PSD loss with all its parts. The target's calls of the student use its present weights, without gradient.
 * @param space where states live; a projected state is one state for student and teacher only if they share the table E
 */
export function fmlmTerms<P extends object>(student: Network<P>, params: P, batch: FmlmBatch, options: FmlmOptions<P>, space: StateSpace = vocabularySpace): FmlmTerms {
  const { diagonal, teacher } = options;
  const embedding = student.embedding(params);
  const state = interpolate(batch.noise, space.clean(batch.tokens, embedding), batch.s);
  const condition = (tau: Tensor, target: Tensor, call: 0 | 1 | 2) => {
    const dropoutKey = batch.dropoutKeys?.[call];
    return dropoutKey === undefined ? { tau, target } : { tau, target, dropoutKey };
  };
  const logDenoised = logDenoiser(student, params, space, state, condition(batch.tauS, batch.tauT, 0));

  // Off-diagonal rows: the student's own two half jumps.
  const [s, u, tauS, tauU, tauT] = [batch.s, batch.u, batch.tauS, batch.tauU, batch.tauT].map((x) => rows(x, diagonal)) as [Tensor, Tensor, Tensor, Tensor, Tensor];
  const start = rows(state, diagonal);
  const first = exp(logDenoiser(student, params, space, start, condition(tauS, tauU, 1)));
  const middle = flowMap(start, space.expected(first, embedding), s, u, options.floor);
  const second = exp(logDenoiser(student, params, space, middle, condition(tauU, tauT, 2)));
  const gamma = perRow(rows(batch.gamma, diagonal));
  const jump = add(mul(gamma, first), mul(sub(1, gamma), second));

  // Diagonal rows: the teacher's denoiser, or the clean tokens.
  const clean = rows(batch.tokens, 0, diagonal);
  const still =
    teacher === undefined
      ? (oneHot(clean, student.vocab))
      : exp(logDenoiser(teacher.network, teacher.params, space, rows(state, 0, diagonal), { tau: rows(batch.tauS, 0, diagonal) }));

  const target = stopGradient(concat([still, jump], 0));
  const tokenLoss = options.squaredError === true
    ? (sum(square(sub(exp(logDenoised), target)), 2))
    : neg(sum(mul(target, logDenoised), 2));
  return { logDenoised, target, tokenLoss: options.rescale === true ? rescaled(tokenLoss, batch, diagonal) : tokenLoss };
}

function rescaled(tokenLoss: Tensor, batch: FmlmBatch, diagonal: number): Tensor {
  const [s, t] = [rows(batch.s, diagonal), rows(batch.t, diagonal)];
  const factor = square(div(sub(t, s), sub(1, s)));
  const scaled = mul(rows(tokenLoss, diagonal), expandDims(factor, 1));
  return concat([rows(tokenLoss, 0, diagonal), scaled], 0);
}

/** The PSD loss: the mean over all tokens of all rows. */
export function fmlmLoss<P extends object>(student: Network<P>, params: P, batch: FmlmBatch, options: FmlmOptions<P>, space: StateSpace = vocabularySpace): Tensor<[]> {
  return mean(fmlmTerms(student, params, batch, options, space).tokenLoss);
}
