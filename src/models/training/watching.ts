/**
 * A text on its way from noise, as a program: what the network says of every position in every call of the sampler, and where the states
 * are. The samplers are those that texts are written by (sampling.ts), with somebody who watches; so the text is the same.
 *
 * Consumed by the studio. To show something else of a call, compute it in `watch`.
 */
import { fn, log, maximum, mul, neg, slice, sort, sum, u32 } from "../../dsl/index.ts";
import type { SpecOf, Tensor } from "../../dsl/index.ts";
import type { Flow } from "../flow/flow.ts";
import { sampleEndpoints } from "../flow/samplers/endpoints.ts";
import { sample } from "../flow/samplers/sample.ts";
import type { Schedule } from "../flow/samplers/schedule.ts";
import type { Watch } from "../flow/samplers/watch.ts";
import { worldOf } from "../flow/samplers/world.ts";
import { tableOf } from "../flow/state-space.ts";
import type { DitParams } from "../networks/dit.ts";
import { spaceOfFlow } from "./declared.ts";
import type { ModelOptions } from "./programs.ts";
import { modelDenoiser } from "./sampling.ts";

export interface WatchingOptions {
  /** The flow that the network was trained by, or of its flow map. */
  readonly flow: Flow;
  /** A schedule of it, or a number of steps in each of which a text is drawn. */
  readonly schedule: Schedule | { readonly draws: number };
  /** Tokens of a position that are told, the most probable ones. */
  readonly shown: number;
}

/** Whether the network of a flow says how probable every token is, or a point. */
export const saysTokens = ({ predicts }: Flow): boolean => predicts === "clean token";

/** Where p log p is 0 for the logarithm. */
const LEAST = 1e-30;

/** The most probable tokens [batch, length, shown] of distributions [batch, length, vocab], with their probabilities, and the entropy [batch, length] in nats. */
function distributionParts(p: Tensor, shown: number) {
  const { values, indices } = sort(neg(p) as Tensor, 2);
  return {
    top: slice(indices as Tensor, 2, 0, shown) as Tensor,
    probability: neg(slice(values as Tensor, 2, 0, shown)) as Tensor,
    entropy: neg(sum(mul(p, log(maximum(p, LEAST))), 2)) as Tensor,
  };
}

/**
 * (params, keys [batch, 2]) -> the tokens [batch, length] of samples, and of every call
 *
 * - `place` and `expected`: the state, and the clean state that the network expects, in the network's width: [calls, batch, length, width]
 * - `said` [calls, batch, length]: the most probable token, or the nearest one of a point
 * - of networks that say distributions also `top` and `probability`, [calls, batch, length, shown], and `entropy`, [calls, batch, length]
 *
 * with the `end` state of the samples and the clean states of all tokens, the `table` [vocab, width].
 */
export function watchingProgram(
  options: ModelOptions,
  params: SpecOf<DitParams>,
  { flow, schedule, shown }: WatchingOptions,
) {
  const { batch } = options;
  const { length, vocab } = options.network;
  const space = spaceOfFlow(flow, options);
  const denoiserOf = modelDenoiser(flow, options);
  return fn({ params, keys: u32(batch, 2) }, (input) => {
    const weights = input.params as unknown as DitParams; // the tree that the specification is of
    const { embedding } = weights;
    const denoiser = denoiserOf(weights);
    const watch: Watch = ({ state, value, tokens }) => ({
      place: space.embed(state, embedding),
      expected: space.embed(denoiser.point(value), embedding),
      said: tokens,
      ...(saysTokens(flow) ? distributionParts(value, Math.min(shown, vocab)) : {}),
    });
    const world = worldOf(flow, embedding, { length, space: options.space });
    const inputs = { keys: input.keys, world, watch };
    const { tokens, state, watched } =
      "calls" in schedule
        ? sample(denoiser, schedule, inputs)
        : sampleEndpoints(denoiser, flow, { steps: schedule.draws }, inputs);
    return {
      tokens,
      ...watched,
      end: space.embed(state, embedding),
      // One-hot rows are where the network's table has them.
      table: space.kind === "embedded" ? tableOf(space, embedding) : embedding,
    };
  });
}
