/**
 * Denoisers: a network's logits, capped and normalized: log-probabilities of the clean token at every position.
 * Consumed by flm.ts, fmlm.ts and the samplers.
 */
import { logSoftmax, softcap } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import type { StateSpace } from "../flow/state-space.ts";
import type { Conditioning, Network } from "../networks/network.ts";

/** The cap on output logits, 30·tanh(logit/30), of FLM and FMLM (public code since April 2026). */
export const OUTPUT_SOFTCAP = 30;

/**
 * Log-probabilities [batch, length, vocab] of the clean token given a state [batch, length, dim].
 * Without `target` this is log D_t(x), with it log δ_{s,t}(x) (arXiv:2602.16813).
 */
export function logDenoiser<P>(network: Network<P>, params: P, space: StateSpace, state: Tensor, conditioning: Conditioning): Tensor {
  const hidden = space.embed(state, network.embedding(params));
  return logSoftmax(softcap(network.logits(params, hidden, conditioning), OUTPUT_SOFTCAP));
}
