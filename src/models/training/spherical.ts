/**
 * Training and sampling a flow on the sphere, as programs: the same state, update and files as of the flows on lines (declared.ts); a
 * step is fed by `flowDraw`.
 *
 * Consumed by users who train such variants.
 */
import { f32, fn, i32, random, u32, valueAndGrad } from "../../dsl/index.ts";
import type { SpecOf } from "../../dsl/index.ts";
import { sphericalSample, uniformNoise } from "../flow/sphere/sample.ts";
import type { SphericalSchedule } from "../flow/sphere/sample.ts";
import type { SphericalFlow } from "../flow/sphere/spherical-flow.ts";
import type { Time } from "../flow/two-time.ts";
import { sphericalLogits, sphericalLoss } from "../language/spherical.ts";
import { dit } from "../networks/dit.ts";
import type { DitParams } from "../networks/dit.ts";
import type { ModelOptions } from "./programs.ts";
import { freshState, updateState, weightsLayout } from "./state.ts";
import type { TrainingState } from "./state.ts";

/** States live on the sphere of the network's width, and all logits are written down. */
export type SphericalOptions = Omit<ModelOptions, "space" | "streamedVocabulary">;

/** key -> the initial state. */
export const initSpherical = (options: SphericalOptions) =>
  fn({ key: u32(2) }, ({ key }) =>
    freshState(dit(options.network).init(key), weightsLayout(options.network), options),
  );

/** (state, tokens, t, key, learningRate) -> (state, loss, gradientNorm): one step. */
export function sphericalStep(flow: SphericalFlow, options: SphericalOptions, state: SpecOf<TrainingState>) {
  const network = dit(options.network);
  const layout = weightsLayout(options.network);
  const { batch } = options;
  const { width } = options.network;
  const spec = {
    state,
    tokens: i32(batch, network.length),
    t: { t: f32(batch), tau: f32(batch), rate: f32(batch) },
    key: u32(2),
    learningRate: f32(),
  };
  return fn(spec, (input) => {
    const current = input.state as unknown as TrainingState; // what the specification is of
    const [noiseKey, dropoutKey] = random.split(input.key, 2);
    const noise = uniformNoise(flow.geometry, noiseKey, [batch, network.length, width]);
    const rows = { tokens: input.tokens, noise, t: input.t as unknown as Time };
    const { value, grad } = valueAndGrad((params: DitParams) =>
      sphericalLoss(flow, { network, params, dropoutKey }, rows),
    )(layout.unpack(current.params));
    const next = updateState(current, grad, input.learningRate, layout, options);
    return { state: next.state, loss: value, gradientNorm: next.gradientNorm };
  });
}

/** (params, keys [batch, 2]) -> (tokens [batch, length], state): samples by a schedule, each from its own key. */
export function sphericalSampler(
  flow: SphericalFlow,
  { network: config, batch }: Pick<SphericalOptions, "network" | "batch">,
  params: SpecOf<DitParams>,
  schedule: SphericalSchedule,
) {
  const network = dit(config);
  return fn({ params, keys: u32(batch, 2) }, (input) => {
    const weights = input.params as unknown as DitParams; // the tree that the specification is of
    return sphericalSample(flow, sphericalLogits({ network, params: weights }), schedule, {
      keys: input.keys,
      table: flow.table(weights.embedding),
      length: network.length,
    });
  });
}
