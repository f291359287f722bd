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
 * Consumed by benchmarks.ts. The step on one device is in flm-step.ts.
 */
import * as tf from "@tensorflow/tfjs";
import { OUTPUT_SOFTCAP } from "../../src/models/language/denoiser.ts";
import type { ModelOptions } from "../../src/models/training/programs.ts";
import { openCpu } from "../../src/runtime/onnx/cpu-device.ts";
import { PRESETS } from "../../src/runtime/training/config.ts";
import { phaseOptions } from "../../src/runtime/training/phases.ts";
import type { ComparisonBenchmark, Scale } from "../benchmark.ts";
import type { Comparison } from "../case.ts";
import { compare } from "../contenders.ts";
import type { Candidate } from "../contenders.ts";
import { first, ratiosOf } from "../peers.ts";
import type { Peers } from "../peers.ts";
import { CHECK, fluxion, LEARNING_RATE, problemOf, stepCandidate } from "./flm-step.ts";
import type { Problem, Stepper, Variant } from "./flm-step.ts";
import { tfTraining } from "./flm-tfjs.ts";
import type { TfBatch } from "./flm-tfjs.ts";

/** The name of our device for the CPU, where another is the first of ours. */
const CPU = "fluxion on the cpu";
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
