/**
 * Guidance by a reward that is known for clean text only: the sampler looks ahead to where the state will end, and moves the denoiser
 * towards ends of a larger reward.
 *
 * The posterior of the text tilted by e^{λ r} has the denoiser D + (α²/β) Σ ∇_x log E[e^{λ r(x₁)} | x], with Σ the covariance of the
 * source noise. To first order in λ, with r at the expected end for the expectation of r, it is
 *
 *   D + λ (α²/β) Σ ∇_x r(D_s(x))            looking at the expected endpoint
 *   ψ + λ (α²/β) Σ ∇_x r(ψ_{s,1}(x))        looking where the flow map ends
 *
 * of which the second differentiates through the map, where it is one. Exact to first order for a reward that is linear. At t = 0, where
 * a state says nothing of the text, nothing is added.
 *
 * Consumed by sampling. On projected states the state that is differentiated by is h = x·E, and Σ is EᵀE: the same guidance as on the
 * vocabulary, seen through E.
 */
import { add, argmax, div, grad, greater, matmul, maximum, mul, onesLike, square, sum, transpose, where } from "../../../dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../dsl/index.ts";
import { perState } from "../interpolant.ts";
import type { Time, TwoTimeDenoiser } from "../two-time.ts";
import type { SampledDenoiser } from "./sampled-denoiser.ts";

export interface RewardOptions {
  /** λ, in nats per unit of reward: a number or a scalar of the program. */
  readonly strength: number | Tensor;
  /** "expected endpoint" by default. */
  readonly look?: "expected endpoint" | "flow map";
  /** Σ of the source noise, applied to a gradient [batch, length, dim]; by default that of N(0, I). See `projectedCovariance`. */
  readonly covariance?: (gradient: Tensor) => Tensor;
}

/** Σ of projected states: EᵀE for the table E [vocab, width]. */
export const projectedCovariance =
  (table: Tensor) =>
  (gradient: Tensor): Tensor =>
    matmul(matmul(gradient, transpose(table)), table);

/** The least β that is divided by. */
const LEAST = 1e-6;

/**
 * @param reward of a denoiser's values, [batch, length, vocab] or points, one number a row: [batch]
 * @returns a denoiser whose values are points of the state space; its tokens are those of the denoiser that is guided
 */
export function rewarded(
  denoiser: TwoTimeDenoiser,
  reward: (value: Tensor) => Tensor,
  { strength, look = "expected endpoint", covariance = (gradient) => gradient }: RewardOptions,
): SampledDenoiser {
  const { interpolant } = denoiser;
  /** Where the state at s will end: [batch, length, vocab], or a point. */
  const end = (x: Tensor, s: Time): Tensor => {
    if (look === "expected endpoint") return denoiser.denoiser(x, s, s);
    const one: Tensor = onesLike(s.t);
    return denoiser.denoiser(x, s, { t: one, tau: one, rate: s.rate });
  };
  return {
    interpolant,
    point: (value) => value,
    tokens: (x, s, t) => argmax(denoiser.denoiser(x, s, t), 2),
    denoiser(x, s, t) {
      // A row's reward depends on that row alone, so the gradient of the sum has every row's own.
      const gradient = grad((at: Tensor): Tensor<[]> => sum(reward(end(at, s))))(x);
      const [alpha, beta] = [interpolant.alpha(s.t), interpolant.beta(s.t)];
      const weight = where(greater(beta, 0), div(square(alpha), maximum(beta, LEAST)) as Tensor, 0);
      const push: Tensor = mul(perState(weight as Tensor), covariance(gradient));
      return add(denoiser.point(denoiser.denoiser(x, s, t)), mul(push, strength));
    },
  };
}
