/**
 * Sampling from the networks of a run by any schedule, as one program: all steps of a batch of samples.
 *
 * Consumed by runtime/training/scheduled-sampler.ts, for declared flows and maps, and by watching.ts, for every model. FLM and FMLM's own samplers have a program
 * of one step (programs.ts), which streams the vocabulary where it is large; this one writes all logits down.
 */
import { fn, i32, u32 } from "../../dsl/index.ts";
import type { SpecOf } from "../../dsl/index.ts";
import type { PosteriorOptions } from "../flow/samplers/posterior.ts";
import { sampleAdaptively } from "../flow/samplers/adaptive.ts";
import type { AdaptiveOptions } from "../flow/samplers/adaptive.ts";
import type { Flow } from "../flow/flow.ts";
import { sampleEndpoints } from "../flow/samplers/endpoints.ts";
import { shaped } from "../flow/samplers/posterior.ts";
import type { SampledDenoiser } from "../flow/samplers/sampled-denoiser.ts";
import { sample } from "../flow/samplers/sample.ts";
import type { Schedule } from "../flow/samplers/schedule.ts";
import { worldOf } from "../flow/samplers/world.ts";
import { sampledDenoiser } from "../language/declared-network.ts";
import { flm } from "../language/variants/flm.ts";
import { dit } from "../networks/dit.ts";
import type { DitParams } from "../networks/dit.ts";
import { spaceOfFlow } from "./declared.ts";
import type { ModelOptions } from "./programs.ts";

/** How samples are drawn, besides by a schedule. */
export interface SamplingOptions {
  /** The flow that the network was trained by, or of its flow map; that of `flm(vocab)` by default. */
  readonly flow?: Flow;
  /**
   * A schedule of the flow; or a number of steps, even on its clock, in each of which a text is drawn, as `sampleEndpoints` does; or jumps of
   * chosen lengths, as `sampleAdaptively` makes them. The last two follow tokens that have times of their own.
   */
  readonly schedule: Schedule | { readonly draws: number } | AdaptiveOptions;
  readonly posterior?: PosteriorOptions;
  /** What the first noise is multiplied by, where it is noise around 0. */
  readonly priorScale?: number;
}

/** A run's network as what is sampled from: a flow map where it has a target time. */
export function modelDenoiser(flow: Flow, options: ModelOptions): (params: DitParams) => SampledDenoiser {
  const network = dit(options.network);
  const space = spaceOfFlow(flow, options);
  const kind = options.network.targetTime === true ? "flow map" : "flow";
  return (params) => sampledDenoiser(flow, { network, params, space }, kind);
}

/**
 * (params, keys [batch, 2], given [batch, length]) -> tokens [batch, length]: samples of a flow, or of its flow map where the network has a
 * target time, with the given tokens kept; negative where any may come.
 * @throws RangeError for a prior scale of noise that is not around 0
 */
export function samplingProgram(
  options: ModelOptions,
  params: SpecOf<DitParams>,
  { flow: declared, schedule, posterior, priorScale }: SamplingOptions,
) {
  const { network } = options;
  const flow = declared ?? flm(network.vocab);
  const denoiserOf = modelDenoiser(flow, options);
  if (priorScale !== undefined && priorScale !== 1 && flow.source.mean !== 0)
    throw new RangeError(
      `The flow "${flow.name}" begins with a ${flow.source.name} source, whose noise is not around 0, and a prior scale would move it to ` +
        `where no text begins: leave the prior scale out.`,
    );
  const { batch } = options;
  const { length } = network;
  return fn({ params, keys: u32(batch, 2), given: i32(batch, length) }, (input) => {
    const weights = input.params as unknown as DitParams; // the tree that the specification is of
    const plain = denoiserOf(weights);
    const denoiser = posterior === undefined ? plain : shaped(plain, posterior);
    const inputs = {
      keys: input.keys,
      world: worldOf(flow, weights.embedding, { length, space: options.space }),
      given: input.given,
      ...(priorScale === undefined ? {} : { priorScale }),
    };
    const { tokens } =
      "calls" in schedule
        ? sample(denoiser, schedule, inputs)
        : "draws" in schedule
          ? sampleEndpoints(denoiser, flow, { steps: schedule.draws }, inputs)
          : sampleAdaptively(denoiser, flow, schedule, inputs);
    return { tokens };
  });
}
