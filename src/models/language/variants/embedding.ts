/**
 * Flows in a learned embedding, of the kind of LangFlow (arXiv:2604.11748): states are the network's own rows, each of length √width, under
 * variance-preserving noise, α² + β² = 1, on a clock of log SNR; a softmax over tokens is judged by cross-entropy, so the table learns
 * with it. With rows of length √width tokens are told apart by the sum of many small coordinates, so the clock runs where the signal of one
 * coordinate is far below its noise. Not here: a proposal of times that learns (clocks.learnedClock is made of measured losses),
 * self-conditioning, and logits that share the table.
 */
import { logSnrClock } from "../../flow/clock-log-snr.ts";
import { flowMap } from "../../flow/flow-map.ts";
import type { FlowMap } from "../../flow/flow-map.ts";
import { flow } from "../../flow/flow.ts";
import type { Flow } from "../../flow/flow.ts";
import { trigonometric } from "../../flow/interpolant.ts";
import { semigroup } from "../../flow/objectives/semigroup.ts";
import { learnedEmbedding } from "../../flow/states.ts";

/** Log SNR of a coordinate at τ = 0.12 and τ = 0.88, as `logSnrClock` takes them. */
export interface SnrRange {
  readonly from?: number;
  readonly to?: number;
}

/** By default those of the published proposal for a width of 768, a Gumbel law of −log SNR at 4.723 with scale 0.852. */
export const embeddingFlow = ({ from = -6.48, to = -4.08 }: SnrRange = {}): Flow =>
  flow({
    name: "embedding flow",
    states: learnedEmbedding({ norm: "root of width" }),
    interpolant: trigonometric,
    clock: logSnrClock({ interpolant: trigonometric, from, to }),
  });

/** Its flow map by the semigroup identity, taught by a network of the flow, whose table it keeps. */
export const embeddingFlowMap = (range: SnrRange = {}): FlowMap =>
  flowMap({ name: "embedding flow map", flow: embeddingFlow(range), objective: semigroup() });
