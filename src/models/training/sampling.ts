/**
 * Sampling from the networks of a run by any schedule, as one program: all steps of a batch of samples.
 *
 * Consumed by runtime/training/scheduled-sampler.ts. FLM and FMLM's own samplers have a program of one step (programs.ts), which
 * streams the vocabulary where it is large; this one writes all logits down.
 */
import { fn, i32, u32 } from "../../dsl/index.ts";
import type { SpecOf, Tensor } from "../../dsl/index.ts";
import type { PosteriorOptions } from "../flow/samplers/posterior.ts";
import { shaped } from "../flow/samplers/posterior.ts";
import { sample } from "../flow/samplers/sample.ts";
import { held } from "../flow/samplers/sampled-denoiser.ts";
import type { Schedule } from "../flow/samplers/schedule.ts";
import { projectedWorld, vocabularyWorld } from "../flow/samplers/world.ts";
import { spaceOf } from "../flow/state-space.ts";
import { flowDenoiser, mapDenoiser } from "../language/declared-network.ts";
import { flm } from "../language/variants/flm.ts";
import { dit } from "../networks/dit.ts";
import type { DitParams } from "../networks/dit.ts";
import type { ModelOptions } from "./programs.ts";

/** How samples are drawn, besides by a schedule. */
export interface SamplingOptions {
  /** For the flow of `flm(vocab)`. */
  readonly schedule: Schedule;
  readonly posterior?: PosteriorOptions;
  /** What the first noise is multiplied by. */
  readonly priorScale?: number;
}

/**
 * (params, keys [batch, 2], given [batch, length]) -> tokens [batch, length]: samples of FLM, or of FMLM where the network has a target
 * time, with the given tokens kept; negative where any may come.
 */
export function samplingProgram(
  options: ModelOptions,
  params: SpecOf<DitParams>,
  { schedule, posterior, priorScale }: SamplingOptions,
) {
  const network = dit(options.network);
  const flow = flm(network.vocab);
  const { batch } = options;
  const { length, vocab } = network;
  return fn({ params, keys: u32(batch, 2), given: i32(batch, length) }, (input) => {
    const weights = input.params as unknown as DitParams; // the tree that the specification is of
    const model = { network, params: weights, space: spaceOf(options.space) };
    const plain =
      options.network.targetTime === true
        ? mapDenoiser(flow, model)
        : held(flowDenoiser(flow, model), flow.interpolant);
    const world =
      model.space.kind === "projected"
        ? projectedWorld(weights.embedding as Tensor, { length })
        : vocabularyWorld({ vocab, length });
    const { tokens } = sample(posterior === undefined ? plain : shaped(plain, posterior), schedule, {
      keys: input.keys,
      world,
      given: input.given,
      ...(priorScale === undefined ? {} : { priorScale }),
    });
    return { tokens };
  });
}
