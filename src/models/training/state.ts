/**
 * What a training carries from step to step, and its update: clip, AdamW, moving average. Parameters, averages and moving average are
 * flat vectors, so that these are a handful of operations each; whatever runs the network takes trees of named weights.
 *
 * Consumed by programs.ts, and by the training loop, which keeps states in files under the weights' names.
 */
import { fn, optim, outputSpec, u32 } from "../../dsl/index.ts";
import type { SpecOf, Tensor } from "../../dsl/index.ts";
import type { LearnedWeighting, LearnedWeights } from "../flow/weighting-learned.ts";
import { dit } from "../networks/dit.ts";
import type { DitConfig, DitParams } from "../networks/dit.ts";

/** Hyper-parameters of an update. */
export interface UpdateOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly weightDecay: number;
  /** Bound on the gradient's global norm. */
  readonly clip: number;
  readonly emaDecay: number;
}

/** The shape of a training state, whatever its weights are: packed or a tree, of tensors or of what stands for them elsewhere. */
export interface StateOf<Weights, Count> {
  readonly params: Weights;
  /** Exponential moving average of the parameters: what is sampled from and distilled. */
  readonly ema: Weights;
  readonly optimizer: { readonly step: Count; readonly slots: { readonly [name: string]: Weights } };
}

/** What is trained: the weights of a network and, where the loss is weighted by what it learns, the parameters of that. */
export type TrainedWeights = DitParams & { readonly weighting?: LearnedWeights };

/** Everything a training carries from step to step; the optimizer counts the updates. */
export type TrainingState = StateOf<optim.Flat<TrainedWeights>, Tensor<[], "i32">>;

/** Where what is trained lies in the vectors of its training state. */
export type WeightsLayout = optim.FlatLayout<TrainedWeights>;

/** A learned weighting, and how many times its rows have: 1 in a flow, 2 in a flow map. */
export interface TrainedWeighting {
  readonly weighting: LearnedWeighting;
  readonly times: 1 | 2;
}

/** The specification of a network's weights. */
export const weightsSpec = (config: DitConfig): SpecOf<DitParams> =>
  outputSpec(fn({ key: u32(2) }, ({ key }) => dit(config).init(key)));

/** The layout of what is trained: a network's weights, and the parameters of a weighting that learns, where there is one. */
export function weightsLayout(config: DitConfig, learned?: TrainedWeighting): WeightsLayout {
  const network = weightsSpec(config);
  const trained = learned === undefined ? network : { ...network, weighting: weightingSpec(learned) };
  // The structure of TrainedWeights, whose optional parts are there or not.
  return optim.flatLayout(trained) as unknown as WeightsLayout;
}

const weightingSpec = ({ weighting, times }: TrainedWeighting): SpecOf<LearnedWeights> =>
  outputSpec(fn({ key: u32(2) }, ({ key }) => weighting.init(key, times)));

/** A state with something else for each of its four sets of weights: a tree for a packed one, or the other way round. */
export const mapState = <A, B, Count>(
  { params, ema, optimizer }: StateOf<A, Count>,
  f: (weights: A) => B,
): StateOf<B, Count> => ({
  params: f(params),
  ema: f(ema),
  optimizer: {
    step: optimizer.step,
    slots: Object.fromEntries(Object.entries(optimizer.slots).map(([name, slot]) => [name, f(slot)])),
  },
});

const adamW = ({ beta1, beta2, weightDecay }: UpdateOptions, layout: WeightsLayout) =>
  optim.adamW({ beta1, beta2, eps: 1e-8, weightDecay }).flat(layout);

/** The state that training starts from. */
export function freshState(
  weights: TrainedWeights,
  layout: WeightsLayout,
  options: UpdateOptions,
): TrainingState {
  const params = layout.pack(weights);
  return { params, ema: params, optimizer: adamW(options, layout).init(params) };
}

/** One update from the gradient of the weights: clip, AdamW, EMA. */
export const updateState = (
  state: TrainingState,
  gradient: TrainedWeights,
  learningRate: Tensor<[], "f32">,
  layout: WeightsLayout,
  options: UpdateOptions,
): Updated => updatePacked(state, layout.pack(gradient), learningRate, layout, options);

interface Updated {
  readonly state: TrainingState;
  readonly gradientNorm: Tensor;
}

/** {@link updateState} from a gradient that is packed already. */
export function updatePacked(
  state: TrainingState,
  gradient: optim.Flat<TrainedWeights>,
  learningRate: Tensor<[], "f32">,
  layout: WeightsLayout,
  options: UpdateOptions,
): Updated {
  const { tree: clipped, norm } = optim.clipByGlobalNorm(gradient, options.clip);
  const { params, state: optimizer } = adamW(options, layout).update(clipped, state.optimizer, state.params, {
    learningRate,
  });
  const ema = optim.ema(state.ema, params, optimizer.step, { decay: options.emaDecay });
  return { state: { params, ema, optimizer }, gradientNorm: norm };
}
