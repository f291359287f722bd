/**
 * The uniform-state process: a lost token becomes any token, each with probability 1/V, and may be lost again. UDLM (Schiff et al. 2024)
 * and Duo (Sahoo et al. 2025). One page: the process and the bound. What ties it to a Gaussian flow is in duality.ts.
 *
 * Consumed by training and sampling of uniform-state baselines and by tests.
 */
import { add, constant, div, equal, expandDims, mul, neg, oneHot, random, sub, sum, where } from "../../../dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../dsl/index.ts";
import { perState } from "../../flow/interpolant.ts";
import { entryAt, finiteLog, mixedWith, perToken } from "./process.ts";
import type { TokenProcess } from "./process.ts";
import type { NoiseLevel } from "./schedule.ts";

/**
 * The process on a vocabulary.
 * @throws RangeError for fewer than two tokens
 */
export function uniform({ vocab }: { readonly vocab: number }): TokenProcess {
  if (!(Number.isInteger(vocab) && vocab >= 2))
    throw new RangeError(`A uniform-state process needs at least two tokens, got ${vocab}.`);
  return {
    name: "uniform",
    vocab,
    stationary: Array.from({ length: vocab }, () => 1 / vocab),
    marginal: (clean, alpha) => mixedWith(clean, constant([1 / vocab], [1]), alpha),
    /**
     * [V α_t x⊙x_t + (α_{t|s} − α_t) x_t + (α_s − α_t) x + (1 − α_{t|s})(1 − α_s)/V] / [V α_t ⟨x, x_t⟩ + 1 − α_t] with
     * α_{t|s} = α_t/α_s (Duo, eq. 3): it sums to 1 whatever distribution x is.
     */
    posterior({ clean, noised, alphaS, alphaT }) {
      const [s, t] = [perState(alphaS), perState(alphaT)];
      const between: Tensor = div(t, s);
      const now: Tensor = oneHot(noised as Tensor<readonly number[], "i32">, vocab);
      const both: Tensor = mul(mul(t, vocab), mul(clean, now));
      const kept: Tensor = mul(sub(between, t), now);
      const restored: Tensor = mul(sub(s, t), clean);
      const neither: Tensor = mul(mul(sub(1, between), sub(1, s)), 1 / vocab);
      const total: Tensor = add(mul(mul(t, vocab), expandDims(entryAt(clean, noised), 2)), sub(1, t));
      return div(add(add(both, kept), add(restored, neither)), total);
    },
    prior: (key, shape) => random.integers(key, shape, { high: vocab }),
  };
}

/** V α x + 1 − α: V times the marginal of a distribution of the clean token. */
const scaled = (vocab: number, clean: Tensor, alpha: Tensor): Tensor => {
  const kept = perState(alpha);
  return add(mul(mul(kept, vocab), clean), sub(1, kept));
};

/**
 * The integrand of the bound of UDLM and Duo on −log p(x), [batch, length], in nats, with everything but x_t averaged out
 * (Rao-Blackwellized): for i = x_t, x̄ = V α x + 1 − α and x̄_θ likewise,
 *
 *   −α̇/(V α) · [ V/x̄_θ,i − V/x̄_i + Σ_j (x̄_j/x̄_i) log( x̄_j x̄_θ,i/(x̄_i x̄_θ,j) ) ].
 *
 * It is the score entropy of the ratios x̄_θ,j/x̄_θ,i at the rates of the process, so it is never negative. It is 0 for x_θ = x, and its
 * expectation is least where V α x_θ + 1 − α is proportional to the law of x_t at this place given the other places: x_θ is then the
 * distribution of the clean token given the others alone.
 * @param predicted the network's distribution x_θ of the clean token
 */
export function uniformBound(
  { vocab }: TokenProcess,
  predicted: Tensor,
  {
    tokens,
    noised,
    level: { alpha, rate },
  }: { readonly tokens: Tensor; readonly noised: Tensor; readonly level: NoiseLevel },
): Tensor {
  const truth = scaled(vocab, oneHot(tokens as Tensor<readonly number[], "i32">, vocab), alpha);
  const model = scaled(vocab, predicted, alpha);
  const [here, modelHere] = [entryAt(truth, noised), entryAt(model, noised)];
  const ratios: Tensor = div(truth, expandDims(here, 2));
  // At α = 1 the truth is 0 for all tokens but one, and so is its share of the sum: 0 log 0.
  const logs: Tensor = sub(
    sub(finiteLog(truth), finiteLog(model)),
    expandDims(sub(finiteLog(here), finiteLog(modelHere)) as Tensor, 2),
  );
  const flux: Tensor = sub(div(vocab, modelHere), div(vocab, here));
  // At α = 0 every token is lost, whatever it was, and the bound falls to 0 faster than α.
  const lost = equal(alpha, 0);
  const speed: Tensor = neg(div(where(lost, 0, rate), mul(where(lost, 1, alpha), vocab)));
  return mul(perToken(speed), add(flux, sum(mul(ratios, logs) as Tensor, 2)));
}
