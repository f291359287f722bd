/**
 * A process that loses tokens one by one: at a level α a token is the clean one with probability α, and else it is drawn from π, so
 * q(x_t | x) = α x + (1 − α) π. Between two levels α_s > α_t the same holds with α_t/α_s. The processes differ in π: all of it on a mask
 * (absorbing.ts), or the same on every token (uniform.ts).
 *
 * Tokens are [batch, length] i32, distributions [batch, length, vocab], levels [batch] or [batch, length]. Consumed by losses, the oracle
 * and the sampler of this folder. To add a process, return one of these in a file of its own.
 */
import { add, div, equal, expandDims, less, log, maximum, mul, squeeze, sub, sum, takeAlong, where } from "../../../dsl/index.ts"; // prettier-ignore
import type { random, Tensor } from "../../../dsl/index.ts";
import { perState } from "../../flow/interpolant.ts";

/** What the reverse step from a level α_t to a level α_s is asked about. */
export interface ReverseStep {
  /** The clean token, as a one-hot row, or a network's distribution in its place. */
  readonly clean: Tensor;
  /** The tokens x_t, [batch, length] i32. */
  readonly noised: Tensor;
  readonly alphaT: Tensor;
  /** At least α_t; 1 for the last step. */
  readonly alphaS: Tensor;
}

export interface TokenProcess {
  readonly name: string;
  readonly vocab: number;
  /** π, a probability for every token. */
  readonly stationary: readonly number[];
  /** q(x_t | x) = α x + (1 − α) π. */
  marginal(clean: Tensor, alpha: Tensor): Tensor;
  /**
   * q(x_s | x_t, x) = q(x_t | x_s) q(x_s | x)/q(x_t | x), with x in the place of the clean token throughout: for a distribution x it is the
   * step of a token whose clean value, before x_t was seen, had that distribution.
   */
  posterior(step: ReverseStep): Tensor;
  /** Tokens i32 drawn from π by a key. */
  prior(key: random.Key, shape: readonly number[]): Tensor;
}

/** A level [batch] or [batch, length], to meet tokens [batch, length]. */
export const perToken = (level: Tensor): Tensor =>
  level.shape.length === 1 ? (expandDims(level, 1) as Tensor) : level;

/** α x + (1 − α) π. */
export const mixedWith = (clean: Tensor, stationary: Tensor, alpha: Tensor): Tensor => {
  const kept = perState(alpha);
  return add(mul(kept, clean), mul(sub(1, kept), stationary));
};

/**
 * x_t given what replaces lost tokens: a token is lost where its uniform number is below 1 − α.
 * @param replacements tokens [batch, length], or one token, drawn from π
 */
export const corrupted = (tokens: Tensor, replacements: Tensor, alpha: Tensor, uniforms: Tensor): Tensor =>
  where(less(uniforms, sub(1, perToken(alpha))), replacements, tokens);

/** The entry of rows [batch, length, vocab] at tokens [batch, length]. */
export const entryAt = (rows: Tensor, tokens: Tensor): Tensor =>
  squeeze(takeAlong(rows, expandDims(tokens, 2)), 2);

/** Stands for 0 under a logarithm: a normal number of f32, and less than any draw makes up for. */
const LEAST = 1e-37;

/** log p that is finite: a token of probability 0 has −85, which Gumbel noise, within [−2.9, 22.9], never lifts to the top. */
export const finiteLog = (p: Tensor): Tensor => log(maximum(p, LEAST));

/**
 * KL(q(x_s | x_t, x) ‖ q(x_s | x_t, x_θ)) of one step, [batch, length], in nats: the term of a discrete-time bound, whose T steps are
 * summed (D3PM, Austin et al. 2021). The published loss draws one step and multiplies by T.
 * @param predicted the network's distribution x_θ of the clean token; it may have mass on a mask
 */
export function stepDivergence(process: TokenProcess, step: ReverseStep, predicted: Tensor): Tensor {
  const truth = process.posterior(step);
  const model = process.posterior({ ...step, clean: predicted });
  const ratio: Tensor = log(div(maximum(truth, LEAST), maximum(model, LEAST)));
  return sum(where(equal(truth, 0), 0, mul(truth, ratio)) as Tensor, 2);
}
