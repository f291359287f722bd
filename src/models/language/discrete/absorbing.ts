/**
 * The absorbing-state process: a lost token becomes a mask and stays one. MDLM (Sahoo et al. 2024) and, in discrete time, D3PM's absorbing
 * kind (Austin et al. 2021). One page: the process, SUBS, the bound.
 *
 * Consumed by training and sampling of masked baselines, by score.ts and by tests.
 */
import { add, constant, div, equal, expandDims, full, logSoftmax, mul, oneHot, sub, where } from "../../../dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../dsl/index.ts";
import { perState } from "../../flow/interpolant.ts";
import { entryAt, mixedWith, perToken } from "./process.ts";
import type { TokenProcess } from "./process.ts";
import type { NoiseLevel } from "./schedule.ts";

export interface AbsorbingProcess extends TokenProcess {
  /** The id of the mask, one of the vocabulary. */
  readonly mask: number;
}

/** The logarithm of 0, as a number that f32 holds. */
const NEVER = -1e30;

/**
 * The process on a vocabulary that includes its mask.
 * @param options.mask id of the mask; the last token by default
 * @throws RangeError when the mask is no token
 */
export function absorbing({
  vocab,
  mask = vocab - 1,
}: {
  readonly vocab: number;
  readonly mask?: number;
}): AbsorbingProcess {
  if (!(Number.isInteger(mask) && mask >= 0 && mask < vocab))
    throw new RangeError(`The mask is one of the ${vocab} tokens, and ${mask} is none.`);
  const stationary = Array.from({ length: vocab }, (_, v) => Number(v === mask));
  const maskRow = (): Tensor => constant(stationary, [vocab]);
  return {
    name: "absorbing",
    vocab,
    mask,
    stationary,
    marginal: (clean, alpha) => mixedWith(clean, maskRow(), alpha),
    /**
     * A token that is no mask stays. A mask becomes v with (α_s − α_t) x_v/(1 − α_t + α_t x_m) and stays with
     * (1 − α_s + α_s x_m)/(1 − α_t + α_t x_m); x_m, what a network gives the mask, is 0 under SUBS.
     */
    posterior({ clean, noised, alphaS, alphaT }) {
      const [s, t] = [perState(alphaS), perState(alphaT)];
      const onMask = expandDims(entryAt(clean, full(noised.shape, mask, "i32")), 2) as Tensor;
      const staying: Tensor = add(sub(1, s), mul(s, onMask));
      const leaving: Tensor = mul(sub(s, t), clean);
      const weights: Tensor = where(equal(maskRow(), 1), staying, leaving);
      const total: Tensor = add(sub(1, t), mul(t, onMask));
      return where(
        expandDims(equal(noised, mask), 2) as Tensor<readonly number[], "bool">,
        div(weights, total) as Tensor,
        oneHot(noised as Tensor<readonly number[], "i32">, vocab),
      );
    },
    prior: (_, shape) => full(shape, mask, "i32"),
  };
}

/**
 * The parameterization SUBS of MDLM: log-probabilities [batch, length, vocab] of the clean token from a network's logits, where the mask is
 * never the clean token, and a token that is not masked is known.
 */
export function subs({ mask, vocab }: AbsorbingProcess, logits: Tensor, noised: Tensor): Tensor {
  const column = constant(
    Array.from({ length: vocab }, (_, v) => Number(v === mask)),
    [vocab],
    "bool",
  );
  const predicted: Tensor = where(column, NEVER, logSoftmax(where(column, NEVER, logits) as Tensor));
  const known: Tensor = mul(sub(1, oneHot(noised as Tensor<readonly number[], "i32">, vocab)), NEVER);
  return where(expandDims(equal(noised, mask), 2) as Tensor<readonly number[], "bool">, predicted, known);
}

/**
 * The integrand of MDLM's bound on −log p(x), [batch, length], in nats: α̇/(1 − α) · log p(x | x_t) where x_t is masked, and else 0. Its
 * expectation over x_t, integrated over t, is the bound, which exact conditionals attain.
 * @param logProbabilities of the clean token, as `subs` gives them
 */
export function maskedBound(
  { mask }: AbsorbingProcess,
  logProbabilities: Tensor,
  { tokens, noised, level }: { readonly tokens: Tensor; readonly noised: Tensor; readonly level: NoiseLevel },
): Tensor {
  const weight = perToken(div(level.rate, sub(1, level.alpha)) as Tensor);
  return where(equal(noised, mask), mul(weight, entryAt(logProbabilities, tokens)), 0);
}
