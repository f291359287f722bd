/**
 * The demo's FLM training step (forward, backward, clipping, AdamW, moving average; loss and gradient norm read back).
 *
 * Three steps of ours are timed, because they are not the same mathematics:
 *   noise given        states in R^vocab, the noise is an input: the same arithmetic as the tfjs step, checked, the headline
 *   noise drawn        states in R^vocab, every step draws its own noise, ours with threefry, tfjs with tf.randomNormal
 *   projected          what `npm start` runs: states in R^width, the same process seen through the embedding, less to compute
 *
 * jax-js does not take part: its step would have to be written first, and its compilation takes minutes on software adapters. On
 * those, which are slow, the sizes are of the quick demo.
 *
 * Consumed by benchmarks.ts; its step on one device by flm-devices.ts.
 */
import * as tf from "@tensorflow/tfjs";
import { f32, fn, i32, outputSpec, unflatten, valueAndGrad } from "../../src/dsl/index.ts";
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
import type { Device, DeviceValue } from "../../src/runtime/device.ts";
import { openCpu } from "../../src/runtime/onnx/cpu-device.ts";
import { PRESETS } from "../../src/runtime/training/config.ts";
import { phaseOptions } from "../../src/runtime/training/phases.ts";
import type { Comparison, ComparisonBenchmark, Scale } from "../case.ts";
import { compare } from "../contenders.ts";
import type { Candidate } from "../contenders.ts";
import { normal } from "../numbers.ts";
import { first, ratiosOf } from "../peers.ts";
import { usedWeights } from "../weights.ts";
import type { Peers } from "../peers.ts";
import { tfTraining } from "./flm-tfjs.ts";
import type { TfBatch, TfWeight } from "./flm-tfjs.ts";

const LEARNING_RATE = 1e-3;
/** The name of our device for the CPU, where another is the first of ours. */
const CPU = "fluxion on the cpu";
/** Steps whose losses and norms are compared. */
const CHECKED_STEPS = 4;
export const CHECK = {
  what: `losses and gradient norms of ${CHECKED_STEPS} steps`,
  tolerance: 1e-4,
} as const;

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

export function problemOf(options: ModelOptions): Problem {
  const spec = outputSpec(initFlm(options) as Fn<never, TrainingState>);
  return {
    options,
    batch: batchOf(options.network, options.batch),
    spec,
    weights: usedWeights(options.network),
  };
}

/** Which of our steps, see the head of this file. */
type Variant = "noise given" | "noise drawn" | "projected";

export async function fluxion(
  { options, batch, spec, weights }: Problem,
  device: Device,
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

/**
 * @param compared whether it does the same arithmetic as the others, so that it must report the same
 * @param note what is to be known of it
 */
export const stepCandidate = (
  name: string,
  make: () => Promise<Stepper>,
  { compared = true, note }: { readonly compared?: boolean; readonly note?: string } = {},
): Candidate => ({
  name,
  prepare: async () => {
    const stepper = await make();
    return {
      ...(note === undefined ? {} : { note }),
      run: async () => void (await stepper.step()),
      ...(compared ? { values: async () => [await reports(stepper)] } : {}),
      dispose: () => stepper.dispose(),
    };
  },
});

/** Fluxion on the CPU beside Fluxion on the GPU. */
const onCpu = (problem: Problem): Candidate =>
  stepCandidate(CPU, async () => {
    const device = await openCpu();
    const stepper = await fluxion(problem, device, "noise given");
    return {
      step: stepper.step,
      dispose: async () => {
        await stepper.dispose();
        await device.dispose();
      },
    };
  });

async function prepare(options: ModelOptions, peers: Peers): Promise<Comparison> {
  const problem = problemOf(options);
  const { name: ours, device } = first(peers);
  const theirs = peers.tfjs.name;
  const [drawn, projected, theirsDrawn, theirsTuned] = [
    `${ours}, noise drawn`,
    `${ours}, projected`,
    `${theirs}, noise drawn`,
    `${theirs}, tuned`,
  ];
  const cpu = peers.target === "cpu";
  const unlike = { compared: false };
  const { batch, network } = options;
  return compare(peers, {
    name: "flm",
    what:
      `the demo's FLM step, batch ${batch}, length ${network.length}, vocabulary ${network.vocab}, width ${network.width}, ` +
      `${network.depth} blocks, states in R^vocabulary with the noise given unless named otherwise; loss and gradient norm are read back`,
    tokens: batch * network.length,
    candidates: [
      ...[...peers.ours, ...peers.engines].map((engine) =>
        stepCandidate(engine.name, () => fluxion(problem, engine.device, "noise given")),
      ),
      ...(cpu ? [] : [onCpu(problem)]),
      stepCandidate(theirs, async () => tfjs(problem, "noise given")),
      // What it is tuned to is tfjs on WebAssembly; and it is not worth minutes of a software adapter to learn that drawing costs little.
      ...(cpu
        ? [
            stepCandidate(theirsTuned, async () => tfjs(problem, "noise given", true)),
            stepCandidate(drawn, () => fluxion(problem, device, "noise drawn"), unlike),
            stepCandidate(theirsDrawn, async () => tfjs(problem, "noise drawn"), unlike),
          ]
        : []),
      stepCandidate(projected, () => fluxion(problem, device, "projected"), unlike),
    ],
    checks: [CHECK],
    ratios: [
      ...ratiosOf(peers, (rival) => (cpu && rival === theirs ? 0.3 : undefined)),
      { of: ours, to: CPU },
      ...peers.ours.map(({ name }, i) => ({
        of: name,
        to: theirsTuned,
        ...(i === 0
          ? {
              aim: 0.3,
              note: "tfjs with gradients of its own that avoid its slow products with transposed operands",
            }
          : {}),
      })),
      {
        of: drawn,
        to: theirsDrawn,
        note: "threefry in the program against tf.randomNormal, which draws in JavaScript",
      },
      {
        of: projected,
        to: cpu ? theirsDrawn : theirs,
        note: "not the same arithmetic: states in R^width, as `npm start` trains, which draws and multiplies less",
      },
    ],
    bounds: { submits: 1 },
  });
}

function optionsAt(scale: Scale, { target, gpu }: Peers): ModelOptions {
  const preset = PRESETS[gpu?.gpu.software === true ? "quick" : "default"];
  const full = {
    ...phaseOptions(preset, "flm", preset.data.vocabularySize),
    space: "vocabulary",
  } as const satisfies ModelOptions;
  if (scale === "full") return full;
  // Kernels take long to make on software adapters.
  const depth = target === "cpu" ? 2 : 1;
  const sizes = { vocab: 20, length: 5, width: 16, depth, heads: 2, conditioning: 8 };
  return { ...full, batch: 3, network: { ...full.network, ...sizes } };
}

export const flmBenchmark: ComparisonBenchmark = {
  kind: "comparison",
  name: "flm",
  comparisons: (scale, peers) => [() => prepare(optionsAt(scale, peers), peers)],
};
