/**
 * A network as the denoiser of a flow on the sphere, and its loss: the clean token is judged at x_t, and the network is told τ. States
 * enter it as they are, √d times as long, so that their coordinates are of unit size whatever d is.
 *
 * Consumed by training/spherical.ts and by samplers.
 */
import { gather, mean, mul, oneHot, softcap, softmax } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { judged } from "../flow/judged.ts";
import type { TokenLogits } from "../flow/sphere/sample.ts";
import { weightedBy } from "../flow/sphere/spherical-flow.ts";
import type { SphericalFlow } from "../flow/sphere/spherical-flow.ts";
import type { FlowRows } from "./declared-loss.ts";
import type { NetworkModel } from "./declared-network.ts";
import { OUTPUT_SOFTCAP } from "./denoiser.ts";

/** A network and its weights; its states live on the sphere, in its width. */
export type SphericalModel<P> = Omit<NetworkModel<P>, "space">;

/** Capped logits of the clean tokens of states [batch, length, width]. */
export const sphericalLogits =
  <P>({ network, params, dropoutKey }: SphericalModel<P>): TokenLogits =>
  (x, { tau }) => {
    const hidden: Tensor = mul(x, Math.sqrt(x.shape.at(-1) ?? 1));
    const told = { tau, ...(dropoutKey === undefined ? {} : { dropoutKey }) };
    return softcap(network.logits(params, hidden, told), OUTPUT_SOFTCAP);
  };

/** The loss per token, [batch, length]; noise [batch, length, width] on the sphere. */
export function sphericalTokenLoss<P>(
  flow: SphericalFlow,
  model: SphericalModel<P>,
  { tokens, noise, t }: FlowRows,
): Tensor {
  const { network, params } = model;
  const clean = gather(flow.table(network.embedding(params)), tokens as Tensor<[], "i32">) as Tensor;
  const logits = sphericalLogits(model)(flow.state(noise, clean, t.t), t);
  const wanted: Tensor = oneHot(tokens as Tensor<[], "i32">, network.vocab);
  return weightedBy(flow, judged(flow.loss, wanted, softmax(logits), logits), t.t);
}

/** The mean of {@link sphericalTokenLoss}. */
export const sphericalLoss = <P>(flow: SphericalFlow, model: SphericalModel<P>, rows: FlowRows): Tensor<[]> =>
  mean(sphericalTokenLoss(flow, model, rows));
