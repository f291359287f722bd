/**
 * What a training carries from step to step, and its update: clip, AdamW, moving average. Parameters, averages and moving average are
 * flat vectors, so that these are a handful of operations each; whatever runs the network takes trees of named weights.
 *
 * Consumed by programs.ts, and by the training loop, which keeps states in files under the weights' names.
 */
import { fn, optim, outputSpec, u32 } from "../../dsl/index.ts";
import type { SpecOf, Tensor } from "../../dsl/index.ts";
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

/** Everything a training carries from step to step; the optimizer counts the updates. */
export type TrainingState = StateOf<optim.Flat<DitParams>, Tensor<[], "i32">>;

/** Where the weights of a network lie in the vectors of its training state. */
export type WeightsLayout = optim.FlatLayout<DitParams>;

/** The specification of a network's weights. */
export const weightsSpec = (config: DitConfig): SpecOf<DitParams> =>
  outputSpec(fn({ key: u32(2) }, ({ key }) => dit(config).init(key)));

/** The layout of a network's weights. */
export const weightsLayout = (config: DitConfig): WeightsLayout =>
  // The structure of DitParams, whose optional part is there or not.
  optim.flatLayout(weightsSpec(config)) as unknown as WeightsLayout;

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
export function freshState(weights: DitParams, layout: WeightsLayout, options: UpdateOptions): TrainingState {
  const params = layout.pack(weights);
  return { params, ema: params, optimizer: adamW(options, layout).init(params) };
}

/** One update from the gradient of the weights: clip, AdamW, EMA. */
export function updateState(
  state: TrainingState,
  gradient: DitParams,
  learningRate: Tensor<[], "f32">,
  layout: WeightsLayout,
  options: UpdateOptions,
): { readonly state: TrainingState; readonly gradientNorm: Tensor } {
  const { tree: clipped, norm } = optim.clipByGlobalNorm(layout.pack(gradient), options.clip);
  const { params, state: optimizer } = adamW(options, layout).update(clipped, state.optimizer, state.params, {
    learningRate,
  });
  const ema = optim.ema(state.ema, params, optimizer.step, { decay: options.emaDecay });
  return { state: { params, ema, optimizer }, gradientNorm: norm };
}
