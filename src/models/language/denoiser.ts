/**
 * Denoisers: a network's logits, capped and normalized to the distribution of the clean token at every position.
 * Consumed by flm.ts, fmlm.ts and the samplers, which ask a prediction for what they need of it.
 */
import { logSoftmax, softcap, softmax } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import type { StateSpace } from "../flow/state-space.ts";
import type { Conditioning, Network } from "../networks/network.ts";
import type { Prediction } from "./prediction.ts";
import { streamedPrediction } from "./streamed-prediction.ts";
import { writtenPrediction } from "./written-prediction.ts";

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

/** The distribution of the clean token as something to ask, streamed over the vocabulary if the network is. */
export function predict<P>(
  network: Network<P>,
  params: P,
  space: StateSpace,
  state: Tensor,
  conditioning: Conditioning,
): Prediction {
  const { head, vocabularyChunk: chunk } = network;
  if (head === undefined || chunk === undefined)
    return writtenPrediction(cappedLogits(network, params, space, state, conditioning), (probabilities) =>
      space.expected(probabilities, network.embedding(params)),
    );
  const embedding = network.embedding(params);
  return streamedPrediction({
    features: head.features(params, space.embed(state, embedding), conditioning),
    layer: head.layer(params),
    softcap: OUTPUT_SOFTCAP,
    chunk,
    // A token's state is its row of E; on the vocabulary the distribution is the state.
    ...(space.kind === "projected" ? { states: embedding } : {}),
  });
}
