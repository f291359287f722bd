/**
 * The diffusion duality of Duo (Sahoo et al. 2025): the largest entries of a Gaussian diffusion of one-hot rows are tokens of a
 * uniform-state process. With the latent w = √sigmoid(−γ) x + √sigmoid(γ) ε, argmax w is the clean token or, evenly, any other, so that it
 * has the law Cat(α x + (1 − α)/V) with α = T(γ), and T is FLM's clock: T(γ) = τ(t) where t/(1 − t) = e^{−γ/2}.
 *
 * Consumed by Duo's curriculum, which feeds networks a softened latent, by distillation, which follows one latent through time, and by tests.
 */
import { add, argmax, div, mul, neg, oneHot, sigmoid, softmax, sqrt } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { decodingError } from "../../flow/clock-decoding-error.ts";
import { perState } from "../../flow/interpolant.ts";

export interface GaussianDuality {
  readonly vocab: number;
  /** α = T(γ), of plain numbers. */
  alpha(gamma: number): number;
  /** dT/dγ, negative. */
  alphaRate(gamma: number): number;
  /** w = √sigmoid(−γ) x + √sigmoid(γ) ε, [batch, length, vocab], of tokens [batch, length], noise, and γ [batch]. */
  latent(tokens: Tensor, noise: Tensor, gamma: Tensor): Tensor;
  /** argmax w, the tokens of the discrete process, [batch, length] i32. */
  discrete(latent: Tensor): Tensor;
  /** softmax(w/temperature): what the curriculum shows the network in place of one-hot rows; 10⁻³ in the end. */
  softened(latent: Tensor, temperature: number | Tensor): Tensor;
}

/**
 * The duality for a vocabulary.
 * @throws RangeError for a vocabulary that FLM's clock refuses
 */
export function gaussianDuality({ vocab }: { readonly vocab: number }): GaussianDuality {
  const clock = decodingError({ vocab });
  /** The signal to noise ratio √(sigmoid(−γ)/sigmoid(γ)). */
  const ratio = (gamma: number): number => Math.exp(-gamma / 2);
  return {
    vocab,
    alpha: (gamma) => clock.tau(ratio(gamma) / (1 + ratio(gamma))),
    // t = m/(1 + m), dt/dm = 1/(1 + m)², dm/dγ = −m/2.
    alphaRate(gamma) {
      const m = ratio(gamma);
      return (clock.dTau(m / (1 + m)) * (-m / 2)) / (1 + m) ** 2;
    },
    latent: (tokens, noise, gamma) =>
      add(
        mul(
          perState(sqrt(sigmoid(neg(gamma))) as Tensor),
          oneHot(tokens as Tensor<readonly number[], "i32">, vocab),
        ),
        mul(perState(sqrt(sigmoid(gamma)) as Tensor), noise),
      ),
    discrete: (latent) => argmax(latent, 2),
    softened: (latent, temperature) => softmax(div(latent, temperature) as Tensor),
  };
}
