/**
 * Denoisers: a network's logits, capped and normalized to the distribution of the clean token at every position.
 * Consumed by flm.ts, fmlm.ts and the samplers.
 */
import { logSoftmax, softcap, softmax } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import type { StateSpace } from "../flow/state-space.ts";
import type { Conditioning, Network } from "../networks/network.ts";

/** The cap on output logits, 30·tanh(logit/30), of FLM and FMLM (public code since April 2026). */
export const OUTPUT_SOFTCAP = 30;

/** Capped logits [batch, length, vocab] of the clean token given a state [batch, length, dim]. */
export function cappedLogits<P>(
  network: Network<P>,
  params: P,
  space: StateSpace,
  state: Tensor,
  conditioning: Conditioning,
): Tensor {
  const hidden = space.embed(state, network.embedding(params));
  return softcap(network.logits(params, hidden, conditioning), OUTPUT_SOFTCAP);
}

/**
 * The distribution [batch, length, vocab] of the clean token. Without `target` this is D_t(x), with it δ_{s,t}(x)
 * (arXiv:2602.16813).
 */
export const denoiser = <P>(
  network: Network<P>,
  params: P,
  space: StateSpace,
  state: Tensor,
  conditioning: Conditioning,
): Tensor => softmax(cappedLogits(network, params, space, state, conditioning));

/** The logarithm of {@link denoiser}, without its rounding to zero. */
export const logDenoiser = <P>(
  network: Network<P>,
  params: P,
  space: StateSpace,
  state: Tensor,
  conditioning: Conditioning,
): Tensor => logSoftmax(cappedLogits(network, params, space, state, conditioning));
