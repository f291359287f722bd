/**
 * FLM, a flow language model: a network that denoises I_t = (1 − t) x₀ + t x₁ token by token, trained by cross-entropy at
 * clock times (arXiv:2602.16813, §FLM). One page: the interpolant, the denoiser, the loss.
 *
 * Consumed by training, by fmlm.ts as the teacher, and by the samplers.
 */
import { div, mean, mul, sum } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { interpolate } from "../flow/fields.ts";
import type { StateSpace } from "../flow/state-space.ts";
import { vocabularySpace } from "../flow/state-space.ts";
import type { Network } from "../networks/network.ts";
import { predict } from "./denoiser.ts";

/** A batch of FLM: tokens [batch, length] i32, source noise [batch, length, dim], clock times and times [batch]. */
export interface FlmBatch {
  readonly tokens: Tensor;
  readonly noise: Tensor;
  readonly tau: Tensor;
  readonly t: Tensor;
  readonly dropoutKey?: Tensor<[2], "u32">;
  /** 1 where a token counts, [batch, length]; all count without it. */
  readonly mask?: Tensor;
}

/** Cross-entropy of the clean tokens under the denoiser, [batch, length], in nats. */
export function flmTokenLoss<P>(
  network: Network<P>,
  params: P,
  batch: FlmBatch,
  space: StateSpace = vocabularySpace,
): Tensor {
  const clean = space.clean(batch.tokens, network.embedding(params));
  const state = interpolate(batch.noise, clean, batch.t);
  const { tau, dropoutKey } = batch;
  const conditioning = dropoutKey === undefined ? { tau } : { tau, dropoutKey };
  return predict(network, params, space, state, conditioning).tokenLoss(batch.tokens);
}

/** The FLM loss: mean token cross-entropy over the batch, without time weighting. */
export function flmLoss<P>(
  network: Network<P>,
  params: P,
  batch: FlmBatch,
  space: StateSpace = vocabularySpace,
): Tensor<[]> {
  const loss = flmTokenLoss(network, params, batch, space);
  if (batch.mask === undefined) return mean(loss);
  return div(sum(mul(loss, batch.mask)), sum(batch.mask));
}
