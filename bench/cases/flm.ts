/**
 * The demo's FLM training step (forward, backward, clipping, AdamW, moving average; loss and gradient norm read back).
 *
 * Three steps of ours are timed, because they are not the same mathematics:
 *   noise given        states in R^vocab, the noise is an input: the same arithmetic as the tfjs step, checked, the headline
 *   noise drawn        states in R^vocab, every step draws its own noise, ours with threefry, tfjs with tf.randomNormal
 *   projected          what `npm start` runs: states in R^width, the same process seen through the embedding, less to compute
 *
 * Consumed by benchmarks.ts.
 */
import * as tf from "@tensorflow/tfjs";
import {
  f32,
  flatten,
  fn,
  i32,
  leafPaths,
  outputSpec,
  TensorSpec,
  unflatten,
  valueAndGrad,
} from "../../src/dsl/index.ts";
import type { Fn, SpecOf } from "../../src/dsl/index.ts";
import { hostTensor } from "../../src/compiler/host-tensor.ts";
import { fold, key, uniforms } from "../../src/models/flow/host-random.ts";
import { OUTPUT_SOFTCAP } from "../../src/models/language/denoiser.ts";
import { flmLoss } from "../../src/models/language/flm.ts";
import { dit } from "../../src/models/networks/dit.ts";
import type { DitConfig, DitParams } from "../../src/models/networks/dit.ts";
import { flmStep, initFlm } from "../../src/models/training/programs.ts";
import type { ModelOptions } from "../../src/models/training/programs.ts";
import { freshState, updateState, weightsLayout, weightsSpec } from "../../src/models/training/state.ts";
import type { TrainingState } from "../../src/models/training/state.ts";
import { keyData } from "../../src/models/training/batches.ts";
import { compile, disposeTree, uploadTree } from "../../src/runtime/compile.ts";
import type { DeviceValue } from "../../src/runtime/device.ts";
import type { CpuDevice } from "../../src/runtime/onnx/cpu-device.ts";
import { PRESETS } from "../../src/runtime/training/config.ts";
import { agree } from "../case.ts";
import type { Comparison, ComparisonBenchmark } from "../case.ts";
import { normal, sizeOf } from "../numbers.ts";
import { FLUXION, FLUXION_SINGLE, TFJS } from "../peers.ts";
import type { Peers } from "../peers.ts";
import { tfTraining } from "./flm-tfjs.ts";
import type { TfBatch, TfWeight } from "./flm-tfjs.ts";

const LEARNING_RATE = 1e-3;
/** Steps whose losses and norms are compared. */
const CHECKED_STEPS = 4;

/** What a step reports. */
interface Report {
  readonly loss: number;
  readonly gradientNorm: number;
}

interface Stepper {
  step(): Promise<Report>;
  dispose(): Promise<void>;
}

type AnyFn = Fn<Record<string, never>, Record<string, never>>;
const untyped = (f: unknown): AnyFn => f as AnyFn; // sizes and structure are checked when it is traced

/** The step with its noise as an input; otherwise that of src/models/training/programs.ts. */
function stepFromNoise(options: ModelOptions, state: SpecOf<TrainingState>): AnyFn {
  const { batch, network: config } = options;
  const network = dit(config);
  const layout = weightsLayout(config);
  const rows = {
    tokens: i32(batch, config.length),
    noise: f32(batch, config.length, config.vocab),
    tau: f32(batch),
    t: f32(batch),
  };
  return untyped(
    fn({ state, ...rows, learningRate: f32() }, (input) => {
      const before = input.state as unknown as TrainingState; // made from that program's specification
      const { value, grad } = valueAndGrad((params: DitParams) => flmLoss(network, params, input))(
        layout.unpack(before.params),
      );
      const after = updateState(before, grad, input.learningRate, layout, options);
      return { ...after, loss: value };
    }),
  );
}

interface Batch {
  readonly tokens: Int32Array;
  readonly noise: Float32Array;
  readonly tau: Float32Array;
  readonly t: Float32Array;
}

function batchOf({ vocab, length }: DitConfig, rows: number): Batch {
  const seed = key(7);
  return {
    tokens: Int32Array.from(uniforms(fold(seed, 0), rows * length), (u) => Math.floor(u * vocab)),
    noise: normal(8, rows * length * vocab),
    tau: Float32Array.from(uniforms(fold(seed, 1), rows)),
    t: Float32Array.from(uniforms(fold(seed, 2), rows)),
  };
}

/** What all contenders start from. */
interface Problem {
  readonly options: ModelOptions;
  readonly batch: Batch;
  readonly spec: SpecOf<TrainingState>;
  readonly weights: readonly TfWeight[];
}

/** Weights as a training has them after a while: none is zero, so that every gradient flows. */
function problemOf(options: ModelOptions): Problem {
  const spec = outputSpec(initFlm(options) as Fn<never, TrainingState>);
  const { leaves, tree } = flatten(weightsSpec(options.network), (value) => value instanceof TensorSpec);
  const weights = leafPaths(tree).map((path, i): TfWeight => {
    const shape = (leaves[i] as TensorSpec).shape as readonly number[]; // a traced program's sizes are numbers
    const data = normal(i + 1, sizeOf(shape), shape.length === 1 ? 0.1 : 1 / Math.sqrt(shape.at(-1) ?? 1));
    return { path, shape, data: path.includes("norm") ? data.map((x) => 1 + x) : data };
  });
  return { options, batch: batchOf(options.network, options.batch), spec, weights };
}

/** Which of our steps, see the head of this file. */
type Variant = "noise given" | "noise drawn" | "projected";

async function fluxion(
  { options, batch, spec, weights }: Problem,
  device: CpuDevice,
  variant: Variant,
): Promise<Stepper> {
  const layout = weightsLayout(options.network);
  const { tree } = layout;
  const start = fn({ params: weightsSpec(options.network) }, (input) =>
    freshState(input.params as unknown as DitParams, layout, options),
  );
  const first = await compile(untyped(start), { device });
  const given: unknown = unflatten(
    tree,
    weights.map(({ shape, data }) => hostTensor("f32", shape, data)),
  );
  let state: unknown = await first.run({ params: uploadTree(device, given) as unknown } as never);
  await first.dispose();
  const space = variant === "projected" ? "projected" : "vocabulary";
  const step =
    variant === "noise given" ? stepFromNoise(options, spec) : untyped(flmStep({ ...options, space }, spec));
  const program = await compile(step, { device, donate: ["state"], name: "the FLM step" });
  const { noise, ...rows } = batch;
  const size = [options.batch, options.network.length, options.network.vocab];
  const held = variant === "noise given" ? { noise: device.upload(hostTensor("f32", size, noise)) } : {};
  let count = 0;
  return {
    step: async () => {
      const random = variant === "noise given" ? held : { key: keyData(fold(key(9), count++)) };
      const output = (await program.run({
        state,
        ...rows,
        ...random,
        learningRate: LEARNING_RATE,
      } as never)) as unknown as Outputs;
      state = output.state;
      const [loss, gradientNorm] = await Promise.all([output.loss.read(), output.gradientNorm.read()]);
      disposeTree([output.loss, output.gradientNorm]);
      return { loss: loss.data[0] ?? Number.NaN, gradientNorm: gradientNorm.data[0] ?? Number.NaN };
    },
    dispose: async () => {
      disposeTree([state, held]);
      await program.dispose();
    },
  };
}

interface Outputs {
  readonly state: unknown;
  readonly loss: DeviceValue;
  readonly gradientNorm: DeviceValue;
}

function tfjs(
  { options, batch, weights }: Problem,
  variant: Exclude<Variant, "projected">,
  tuned = false,
): Stepper {
  const { network, beta1, beta2, clip, emaDecay } = options;
  const rows = options.batch;
  const training = tfTraining(
    {
      network,
      beta1,
      beta2,
      clip,
      emaDecay,
      learningRate: LEARNING_RATE,
      outputSoftcap: OUTPUT_SOFTCAP,
      tuned,
    },
    weights,
  );
  const held: TfBatch = {
    tokens: tf.tensor2d(batch.tokens, [rows, network.length], "int32"),
    tau: tf.tensor1d(batch.tau),
    t: tf.tensor1d(batch.t),
    noise: variant === "noise given" ? tf.tensor3d(batch.noise, [rows, network.length, network.vocab]) : null,
  };
  return {
    step: () => training.step(held),
    dispose: async () => {
      training.dispose();
      tf.dispose([held.tokens, held.tau, held.t, ...(held.noise === null ? [] : [held.noise])]);
    },
  };
}

async function reports(stepper: Stepper): Promise<readonly number[]> {
  const found: number[] = [];
  for (let i = 0; i < CHECKED_STEPS; i++) {
    const { loss, gradientNorm } = await stepper.step();
    found.push(loss, gradientNorm);
  }
  return found;
}

const DRAWN = `${FLUXION}, noise drawn`;
const PROJECTED = `${FLUXION}, projected`;
const TFJS_TUNED = `${TFJS}, tuned`;
const TFJS_DRAWN = `${TFJS}, noise drawn`;

async function prepare(options: ModelOptions, { cpu, single }: Peers): Promise<Comparison> {
  const problem = problemOf(options);
  const steppers: Readonly<Record<string, Stepper>> = {
    [FLUXION]: await fluxion(problem, cpu, "noise given"),
    [FLUXION_SINGLE]: await fluxion(problem, single, "noise given"),
    [TFJS]: tfjs(problem, "noise given"),
    [TFJS_TUNED]: tfjs(problem, "noise given", true),
    [DRAWN]: await fluxion(problem, cpu, "noise drawn"),
    [TFJS_DRAWN]: tfjs(problem, "noise drawn"),
    [PROJECTED]: await fluxion(problem, cpu, "projected"),
  };
  const reported = async (name: string): Promise<readonly number[]> => {
    const stepper = steppers[name];
    return stepper === undefined ? [] : reports(stepper);
  };
  const ours = await reported(FLUXION);
  const what = `losses and gradient norms of ${CHECKED_STEPS} steps`;
  const agreements = [
    agree(`${what} with one thread's`, ours, await reported(FLUXION_SINGLE), 1e-4),
    agree(`${what} with tfjs's`, ours, await reported(TFJS), 1e-4),
    agree(`${what} with tfjs's, tuned`, ours, await reported(TFJS_TUNED), 1e-4),
  ];
  const { batch, network } = options;
  return {
    name: "flm",
    what:
      `the demo's FLM step, batch ${batch}, length ${network.length}, vocabulary ${network.vocab}, width ${network.width}, ` +
      `${network.depth} blocks, states in R^vocabulary with the noise given unless named otherwise; loss and gradient norm are read back`,
    contenders: Object.entries(steppers).map(([name, stepper]) => ({
      name,
      run: async () => void (await stepper.step()),
    })),
    ratios: [
      { of: FLUXION, to: TFJS, aim: 0.3 },
      { of: FLUXION_SINGLE, to: TFJS },
      {
        of: FLUXION,
        to: TFJS_TUNED,
        aim: 0.3,
        note: "tfjs with gradients of its own that avoid its slow products with transposed operands",
      },
      { of: FLUXION_SINGLE, to: TFJS_TUNED },
      {
        of: DRAWN,
        to: TFJS_DRAWN,
        note: "threefry in the program against tf.randomNormal, which draws in JavaScript",
      },
      {
        of: PROJECTED,
        to: TFJS_DRAWN,
        note: "not the same arithmetic: states in R^width, as `npm start` trains, which draws and multiplies less",
      },
    ],
    agreements,
    dispose: async () => {
      for (const stepper of Object.values(steppers)) await stepper.dispose();
    },
  };
}

function optionsAt(scale: "full" | "tiny"): ModelOptions {
  const { network, data, flm, clip, emaDecay } = PRESETS.default;
  const common = {
    space: "vocabulary",
    beta1: 0.9,
    beta2: flm.beta2,
    weightDecay: 0,
    clip,
    emaDecay,
  } as const;
  return scale === "full"
    ? { ...common, batch: flm.batch, network: { ...network, vocab: data.vocabularySize } }
    : {
        ...common,
        batch: 3,
        network: { ...network, vocab: 20, length: 5, width: 16, depth: 2, heads: 2, conditioning: 8 },
      };
}

export const flmBenchmark: ComparisonBenchmark = {
  kind: "comparison",
  name: "flm",
  comparisons: (scale) => [(peers) => prepare(optionsAt(scale), peers)],
};
