/**
 * The programs of training and sampling, declared for any device: initial state, one FLM step, one FMLM step, the validation
 * loss, the sampler's noise and step. A training step (forward, backward, clipping, optimizer, EMA) is one program; rates, times
 * and keys are inputs.
 *
 * Consumed by the training loop and by sampling. To train another model, declare its step in the same form.
 */
import { broadcastTo, f32, fn, i32, mul, nn, random, u32, valueAndGrad } from "../../dsl/index.ts";
import type { SpecOf, Tensor } from "../../dsl/index.ts";
import { drawNoise, spaceOf } from "../flow/state-space.ts";
import type { NoiseFactor, OneHotSpace } from "../flow/state-space.ts";
import { flmLoss } from "../language/flm.ts";
import { fmlmLoss } from "../language/fmlm.ts";
import { decodeStep, samplerStep } from "../language/sampler.ts";
import type { DitConfig, DitParams } from "../networks/dit.ts";
import { dit } from "../networks/dit.ts";
import type { Network } from "../networks/network.ts";
import { streamed } from "../networks/network.ts";
import { freshState, updateState, weightsLayout, weightsSpec } from "./state.ts";
import type { TrainedWeighting, TrainingState, UpdateOptions } from "./state.ts";

/** Hyper-parameters of a step. */
export interface StepOptions extends UpdateOptions {
  readonly batch: number;
  /** Where states live; "projected" draws width numbers of noise per token instead of vocabulary many. */
  readonly space: OneHotSpace;
}

/** What a step reports, both []: the loss and the gradient's global norm before clipping. */
export interface StepReport {
  readonly loss: Tensor;
  readonly gradientNorm: Tensor;
}

/**
 * The largest vocabulary that is written down by default. At 8192 the logits of 4096 tokens are 128 MiB, the largest buffer that
 * every WebGPU device binds; a step holds several of them. Smaller vocabularies keep the plain program, which has fewer kernels.
 */
const LARGEST_WRITTEN = 8192;

/** What a program of a given model needs to know. */
export interface ModelOptions extends StepOptions {
  readonly network: DitConfig;
  /**
   * Entries of the vocabulary whose logits exist at a time, so that no program holds [batch, length, vocab]; 0 for all of them. By
   * default streamed, in chunks of the usual size, where the vocabulary is larger than 8192 and states are projected: on the
   * vocabulary states have its size themselves.
   */
  readonly streamedVocabulary?: number;
}

/** The network of a model, its vocabulary streamed or not. */
function networkOf(config: DitConfig, { space, streamedVocabulary }: ModelOptions): Network<DitParams> {
  const usual =
    space === "projected" && config.vocab > LARGEST_WRITTEN ? nn.vocabularyChunk(config.vocab) : 0;
  const chunk = streamedVocabulary ?? usual;
  return chunk === 0 ? dit(config) : streamed(dit(config), chunk);
}

/** The network of a flow map: that of its flow, told a second time. */
export const student = (config: DitConfig): DitConfig => ({ ...config, targetTime: true });

/** key -> the FLM's initial state. */
export const initFlm = (options: ModelOptions) =>
  fn({ key: u32(2) }, ({ key }) =>
    freshState(dit(options.network).init(key), weightsLayout(options.network), options),
  );

/**
 * (key, teacher) -> the FMLM's initial state: the teacher's parameters and a second time embedding whose last layer is zero, so that
 * δ_{s,t} = D_s at first.
 */
export function initFmlm(options: ModelOptions) {
  const layout = weightsLayout(student(options.network));
  return fn({ key: u32(2), teacher: weightsSpec(options.network) }, (input) => {
    const { targetTime } = dit(student(options.network)).init(input.key);
    const params: DitParams = {
      ...(input.teacher as unknown as DitParams),
      ...(targetTime === undefined ? {} : { targetTime }),
    };
    return freshState(params, layout, options);
  });
}

/** packed weights -> the tree of weights that networks and samplers take, without the parameters of a weighting that was trained with them. */
export function unpackWeights(config: DitConfig, learned?: TrainedWeighting) {
  const layout = weightsLayout(config, learned);
  return fn({ weights: layout.spec }, (input): DitParams => {
    const { weighting: _, ...network } = layout.unpack(input.weights);
    return network;
  });
}

/** (state, tokens, tau, t, key, learningRate) -> (state, loss, gradientNorm): one FLM step. */
export function flmStep(options: ModelOptions, state: SpecOf<TrainingState>) {
  const network = networkOf(options.network, options);
  const layout = weightsLayout(options.network);
  const { batch } = options;
  const space = spaceOf(options.space);
  const spec = {
    state,
    tokens: i32(batch, network.length),
    tau: f32(batch),
    t: f32(batch),
    key: u32(2),
    learningRate: f32(),
  };
  return fn(spec, (input) => {
    const current = input.state as unknown as TrainingState;
    const [noiseKey, dropoutKey] = random.split(input.key, 2);
    const { value, grad } = valueAndGrad((params: DitParams) => {
      const noise = space.noise(noiseKey, [batch, network.length], params.embedding);
      return flmLoss(
        network,
        params,
        { tokens: input.tokens, noise, tau: input.tau, t: input.t, dropoutKey },
        space,
      );
    })(layout.unpack(current.params));
    const { state: next, gradientNorm } = updateState(current, grad, input.learningRate, layout, options);
    return { state: next, loss: value, gradientNorm };
  });
}

/** (params, tokens, tau, t, key) -> loss: the FLM loss without dropout or update. */
export function flmValidation(options: ModelOptions, params: SpecOf<DitParams>) {
  const network = networkOf(options.network, options);
  const space = spaceOf(options.space);
  const { batch } = options;
  return fn(
    { params, tokens: i32(batch, network.length), tau: f32(batch), t: f32(batch), key: u32(2) },
    (input) => {
      const weights = input.params as unknown as DitParams;
      const noise = space.noise(input.key, [batch, network.length], weights.embedding);
      return {
        loss: flmLoss(network, weights, { tokens: input.tokens, noise, tau: input.tau, t: input.t }, space),
      };
    },
  );
}

/** Options of distillation besides those of a step. */
export interface DistillOptions extends ModelOptions {
  /** Diagonal rows of a batch, which come first. */
  readonly diagonal: number;
}

/**
 * (state, teacher, rows of times, key, learningRate) -> (state, loss, gradientNorm): one FMLM step.
 * In the projected space student and teacher must see one state, so the student keeps the teacher's input table.
 */
export function fmlmStep(options: DistillOptions, state: SpecOf<TrainingState>, teacher: SpecOf<DitParams>) {
  const network = networkOf(student(options.network), options);
  const layout = weightsLayout(student(options.network));
  const teacherNetwork = networkOf(options.network, options);
  const { batch, diagonal } = options;
  const space = spaceOf(options.space);
  const column = f32(batch);
  const times = { tauS: column, tauU: column, tauT: column, s: column, u: column, t: column, gamma: column };
  const spec = {
    state,
    teacher,
    tokens: i32(batch, network.length),
    ...times,
    key: u32(2),
    learningRate: f32(),
  };
  return fn(spec, (input) => {
    const current = input.state as unknown as TrainingState;
    const frozen = input.teacher as unknown as DitParams;
    const [noiseKey, first, second, third] = random.split(input.key, 4);
    const noise = space.noise(noiseKey, [batch, network.length], frozen.embedding);
    const { value, grad } = valueAndGrad((params: DitParams) => {
      const weights = space.kind === "projected" ? { ...params, embedding: frozen.embedding } : params;
      const rows = { ...input, noise, dropoutKeys: [first, second, third] } as const;
      return fmlmLoss(
        network,
        weights,
        rows,
        { diagonal, teacher: { network: teacherNetwork, params: frozen } },
        space,
      );
    })(layout.unpack(current.params));
    const { state: next, gradientNorm } = updateState(current, grad, input.learningRate, layout, options);
    return { state: next, loss: value, gradientNorm };
  });
}

/** params -> what the noise of their samples needs of them; without a leaf in the vocabulary space, which needs nothing. */
export const samplerFactor = (options: ModelOptions, params: SpecOf<DitParams>) =>
  fn({ params }, (input) =>
    spaceOf(options.space).noiseFactor((input.params as unknown as DitParams).embedding),
  );

/** (factor, keys [batch, 2]) -> source noise of a batch of samples, each from its own key, in the state space. */
export function samplerNoise(options: ModelOptions, factor: SpecOf<NoiseFactor>) {
  const { length, vocab } = options.network;
  // A key per sample, not per batch: a sample is then the same in whatever batch it is drawn.
  return fn({ factor, keys: u32(options.batch, 2) }, (input) => ({
    state: drawNoise(input.factor as unknown as NoiseFactor, input.keys, [options.batch, length], vocab),
  }));
}

/** (params, state, times, weights, noise) -> (state, tokens, confidence): one sampler step of either model. */
export function samplerProgram(options: ModelOptions, params: SpecOf<DitParams>, state: SpecOf<Tensor>) {
  const network = networkOf(options.network, options);
  const space = spaceOf(options.space);
  const { batch } = options;
  const spec = {
    params,
    state,
    noise: state,
    tau: f32(),
    target: f32(),
    stateWeight: f32(),
    denoiserWeight: f32(),
    noiseWeight: f32(),
  };
  return fn(spec, (input) => {
    const everyRow = (x: Tensor): Tensor => broadcastTo(x, [batch]);
    return samplerStep(
      network,
      input.params as unknown as DitParams,
      {
        state: input.state,
        tau: everyRow(input.tau),
        ...(options.network.targetTime === true ? { target: everyRow(input.target) } : {}),
        stateWeight: input.stateWeight,
        denoiserWeight: input.denoiserWeight,
        noise: mul(input.noise, input.noiseWeight),
      },
      space,
    );
  });
}

/** (params, state, times, temperature, uniforms) -> tokens: a last step of either model that draws its tokens. */
export function decodeProgram(options: ModelOptions, params: SpecOf<DitParams>, state: SpecOf<Tensor>) {
  const network = networkOf(options.network, options);
  const { batch } = options;
  const spec = {
    params,
    state,
    tau: f32(),
    target: f32(),
    temperature: f32(),
    uniforms: f32(batch, network.length),
  };
  return fn(spec, ({ state: current, tau, target, temperature, uniforms, ...input }) => {
    const everyRow = (x: Tensor): Tensor => broadcastTo(x, [batch]);
    const times = {
      tau: everyRow(tau),
      ...(options.network.targetTime === true ? { target: everyRow(target) } : {}),
    };
    const weights = input.params as unknown as DitParams;
    return {
      tokens: decodeStep(
        network,
        weights,
        { state: current, ...times, temperature, uniforms },
        spaceOf(options.space),
      ),
    };
  });
}
