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
import { add, div, grad, greater, logSoftmax, matmul, maximum, mul, oneHot, onesLike, square, sum, transpose, where } from "../../../dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../dsl/index.ts";
import { perState } from "../interpolant.ts";
import type { Time, TwoTimeDenoiser } from "../two-time.ts";
import { logitsNeeded, tokensOf } from "./sampled-denoiser.ts";
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

/** The denoiser moved by (α²/β) Σ ∇ of a score of states, one number a row. */
function movedBy(
  denoiser: SampledDenoiser,
  score: (x: Tensor, s: Time) => Tensor,
  { strength, covariance = (gradient) => gradient }: Omit<RewardOptions, "look">,
): SampledDenoiser {
  const { interpolant } = denoiser;
  return {
    interpolant,
    point: (value) => value,
    tokens: (x, s, t) => tokensOf(denoiser, denoiser.denoiser(x, s, t), x, s, t),
    denoiser(x, s, t) {
      // A row's score depends on that row alone, so the gradient of the sum has every row's own.
      const gradient = grad((at: Tensor): Tensor<[]> => sum(score(at, s)))(x);
      const [alpha, beta] = [interpolant.alpha(s.t), interpolant.beta(s.t)];
      const weight = where(greater(beta, 0), div(square(alpha), maximum(beta, LEAST)) as Tensor, 0);
      const push: Tensor = mul(perState(weight as Tensor), covariance(gradient));
      return add(denoiser.point(denoiser.denoiser(x, s, t)), mul(push, strength));
    },
  };
}

/**
 * @param reward of a denoiser's values, [batch, length, vocab] or points, one number a row: [batch]
 * @returns a denoiser whose values are points of the state space; its tokens are those of the denoiser that is guided
 */
export const rewarded = (
  denoiser: SampledDenoiser,
  reward: (value: Tensor) => Tensor,
  { look = "expected endpoint", ...options }: RewardOptions,
): SampledDenoiser =>
  movedBy(
    denoiser,
    (x, s) => {
      const one: Tensor = onesLike(s.t);
      const end = look === "flow map" ? { t: one, tau: one, rate: s.rate } : s;
      return reward(denoiser.denoiser(x, s, end));
    },
    options,
  );

/**
 * The denoiser of texts in which some tokens are known: D + (α²/β) Σ ∇_x log p(known | x), with the denoiser's own probabilities of the
 * known tokens. For one known token this is E[x₁ | I_t = x, known] exactly, for t > 0; for several it takes them as independent given
 * the state, and so counts what they say together more than once.
 *
 * With the known places held (`given` of a sampling, the same tokens) the flow of this denoiser is that of the conditional law, in
 * which a known place moves along its interpolant.
 * @param tokens [batch, length] i32, negative where nothing is known
 * @throws TypeError when the denoiser has no distribution over tokens
 */
export function conditionedOn(
  denoiser: TwoTimeDenoiser,
  tokens: Tensor,
  { strength = 1, ...options }: Partial<Omit<RewardOptions, "look">> = {},
): SampledDenoiser {
  const logits = logitsNeeded("Conditioning on known tokens", denoiser);
  const score = (x: Tensor, s: Time): Tensor => {
    const found = logSoftmax(logits(x, s, s));
    // Of unknown places, a row of zeros.
    return sum(mul(found, oneHot(tokens as Tensor<readonly number[], "i32">, found.shape[2] ?? 0)), [1, 2]);
  };
  return movedBy(denoiser, score, { strength, ...options });
}
