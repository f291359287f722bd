/**
 * The quick demo's FLM training step on each device on TensorFlow.js, on the CPU by ONNX Runtime and on WebGPU: one program, and all must
 * report the same losses. Its noise is an input, so that drawing it, which is done by the host on TensorFlow.js, is not what is compared.
 *
 * Consumed by benchmarks.ts.
 */
import { PRESETS } from "../../src/runtime/training/config.ts";
import { phaseOptions } from "../../src/runtime/training/phases.ts";
import type { ModelOptions } from "../../src/models/training/programs.ts";
import type { ComparisonBenchmark, Scale } from "../benchmark.ts";
import type { Comparison } from "../case.ts";
import { compare } from "../contenders.ts";
import { first } from "../peers.ts";
import type { Peers } from "../peers.ts";
import { CHECK, fluxion, problemOf, stepCandidate } from "./flm-step.ts";

function optionsAt(scale: Scale): ModelOptions {
  const preset = PRESETS.quick;
  const full = {
    ...phaseOptions(preset, "flm", preset.data.vocabularySize),
    space: "vocabulary",
  } as const satisfies ModelOptions;
  if (scale === "full") return full;
  const sizes = { vocab: 20, length: 5, width: 16, depth: 1, heads: 2, conditioning: 8 };
  return { ...full, batch: 3, network: { ...full.network, ...sizes } };
}

async function prepare(options: ModelOptions, peers: Peers): Promise<Comparison> {
  const problem = problemOf(options);
  const { batch, network } = options;
  const reference = first(peers).name;
  const { inBrowser = [] } = peers;
  return compare(peers, {
    name: "flm-devices",
    what:
      `an FLM step of Fluxion on each device, batch ${batch}, length ${network.length}, vocabulary ${network.vocab}, width ` +
      `${network.width}, ${network.depth} blocks, states in R^vocabulary with the noise given; loss and gradient norm are read back`,
    tokens: batch * network.length,
    candidates: [
      ...peers.ours.map(({ name, device }) =>
        stepCandidate(name, () => fluxion(problem, device, "noise given"), { note: device.describe() }),
      ),
      ...inBrowser.map((page) => stepCandidate(page.name, () => page.prepare(options), { note: page.note })),
    ],
    checks: [CHECK],
    ratios: [...peers.ours.slice(1), ...inBrowser].map(({ name }) => ({ of: name, to: reference })),
  });
}

export const flmDevicesBenchmark: ComparisonBenchmark = {
  kind: "comparison",
  name: "flm-devices",
  comparisons: (scale, peers) => [() => prepare(optionsAt(scale), peers)],
};
