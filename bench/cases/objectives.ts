/**
 * What a training step of a flow map costs by its objective: Lagrangian and Eulerian targets differentiate the network along a direction,
 * attention included, which the semigroup's do not. Same network, batch and rows; every step has a teacher. No target passes a gradient on,
 * so what is added is one forward-mode derivative of the network, and nothing is differentiated twice.
 *
 * Memory: on webgpu what the device says that the step's executable holds, temporaries above all. ONNX Runtime does not say what it takes, so
 * on the cpu it is what the compiler says: the most that is alive at a time when every op of the program writes its result, in order.
 *
 * Consumed by benchmarks.ts. Its tests also look at where attention scores would be stored.
 */
import { planMemory } from "../../src/compiler/kernel/memory.ts";
import { schedule } from "../../src/compiler/schedule/schedule.ts";
import type { Program } from "../../src/dsl/program/program.ts";
import { outputSpec } from "../../src/dsl/index.ts";
import { flowMap } from "../../src/models/flow/flow-map.ts";
import type { FlowMap } from "../../src/models/flow/flow-map.ts";
import {
  eulerian,
  eulerianLogits,
  lagrangian,
  lagrangianLogits,
  meanFlow,
  semigroup,
} from "../../src/models/flow/objectives/index.ts";
import type { Objective } from "../../src/models/flow/objectives/index.ts";
import { flm } from "../../src/models/language/variants/index.ts";
import { stepKey } from "../../src/models/training/batches.ts";
import { flowMapDraw, flowMapStep } from "../../src/models/training/declared.ts";
import { initFmlm } from "../../src/models/training/programs.ts";
import type { DitParams } from "../../src/models/networks/dit.ts";
import type { ModelOptions } from "../../src/models/training/programs.ts";
import { weightsSpec } from "../../src/models/training/state.ts";
import { compile, disposeTree, uploadTree } from "../../src/runtime/compile.ts";
import type { OnDevice } from "../../src/runtime/compile.ts";
import type { Device } from "../../src/runtime/device.ts";
import { openCpu } from "../../src/runtime/onnx/cpu-device.ts";
import { WebGpuDevice } from "../../src/runtime/webgpu/device.ts";
import type { ComparisonBenchmark, Scale } from "../benchmark.ts";
import { agree } from "../case.ts";
import type { Agreement, Comparison, Contender } from "../case.ts";
import { sizeOf } from "../numbers.ts";
import { first } from "../peers.ts";
import { usedWeightsTree } from "../weights.ts";
import type { Peers } from "../peers.ts";

/**
 * The semigroup comes first: the others are compared with it. Software adapters, which take minutes to make kernels, get the
 * first three, and tests two.
 */
const OBJECTIVES: readonly Objective[] = [
  semigroup(),
  lagrangian(),
  eulerian(),
  lagrangianLogits(),
  eulerianLogits(),
  meanFlow(),
];
const FEW = 3;

/** Half of the rows on the diagonal as published, none from noise to data: all have the same rows. */
export const costMap = (objective: Objective, vocab: number): FlowMap =>
  flowMap({ name: objective.name, flow: flm(vocab), objective, diagonal: 1 / 2, boundary: 0 });

export function costOptions(scale: Scale, software: boolean): ModelOptions {
  const shared = {
    beta1: 0.9,
    beta2: 0.99,
    weightDecay: 0,
    clip: 1,
    emaDecay: 0.99,
    space: "vocabulary",
  } as const;
  const tiny = { vocab: 11, length: 5, width: 16, depth: 1, heads: 2, conditioning: 8 };
  // Of 16 words: attention then has kernels that store no scores.
  const small = { vocab: 64, length: 16, width: 64, depth: 1, heads: 4, conditioning: 32 };
  const usual = { vocab: 256, length: 32, width: 128, depth: 4, heads: 4, conditioning: 64 };
  if (scale === "tiny") return { ...shared, batch: 4, network: tiny };
  return software ? { ...shared, batch: 16, network: small } : { ...shared, batch: 32, network: usual };
}

interface Stepper {
  step(): Promise<readonly number[]>;
  /** What is known of the memory. */
  readonly memory: () => string;
  dispose(): Promise<void>;
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** The most bytes of temporaries that are alive at a time, without fusion. All dtypes have four bytes there. */
const aliveUnfused = (program: Program): number =>
  planMemory(schedule(program, { fusion: false }), ({ shape }) => 4 * sizeOf(shape)).lowerBoundBytes;

/** A training of its own on a device, from the same weights for all. */
async function stepper(device: Device, options: ModelOptions, map: FlowMap): Promise<Stepper> {
  const { batch, network } = options;
  const { length, vocab } = network;
  // The tree of the network's weights, on the device.
  const teacher = uploadTree(device, usedWeightsTree(network)) as OnDevice<DitParams>;
  const begin = await compile(initFmlm(options), { device });
  let state = await begin.run({ key: [1, 2], teacher });
  await begin.dispose();

  const before = plansOf(device);
  const step = await compile(flowMapStep(map, options, outputSpec(initFmlm(options)), weightsSpec(network)), {
    device,
    donate: ["state"],
    name: `the step of the ${map.name} objective`,
  });
  const held = plansOf(device) - before;
  const stream = Int32Array.from({ length: batch * length + length }, (_, i) => (i * i + 3 * i) % vocab);
  let count = 0;
  return {
    step: async () => {
      const draw = flowMapDraw(map, stream, length, batch, count, stepKey(1, "fmlm", count));
      const {
        state: next,
        loss,
        gradientNorm,
      } = await step.run({ state, teacher, learningRate: 1e-3, ...draw });
      state = next;
      const found = await Promise.all([loss.read(), gradientNorm.read()]);
      disposeTree([loss, gradientNorm]);
      count++;
      return found.map(({ data }) => data[0] ?? Number.NaN);
    },
    memory: () =>
      device instanceof WebGpuDevice
        ? `its executable holds ${mebibytes(held)}`
        : `${mebibytes(aliveUnfused(step.traced.program))} alive at a time, if every op writes its result`,
    dispose: async () => {
      disposeTree([state, teacher]);
      await step.dispose();
    },
  };
}

const plansOf = (device: Device): number => (device instanceof WebGpuDevice ? device.memoryStats().plans : 0);

/** Steps whose losses and norms are compared. */
const CHECKED_STEPS = 3;

/** Losses and gradient norms of the first steps. */
async function firstSteps({ step }: Stepper): Promise<readonly number[]> {
  const found: number[] = [];
  for (let i = 0; i < CHECKED_STEPS; i++) found.push(...(await step()));
  return found;
}

async function prepare(scale: Scale, peers: Peers): Promise<Comparison> {
  const options = costOptions(scale, peers.gpu?.gpu.software === true);
  const { device, name: ours } = first(peers);
  const { batch, network } = options;
  // Another engine, or at least another number of threads.
  const other = peers.target === "cpu" ? await openCpu({ threads: 1 }) : await openCpu();
  const contenders: Contender[] = [];
  const agreements: Agreement[] = [];
  const steppers: Stepper[] = [];
  const few = scale === "tiny" ? 2 : peers.gpu?.gpu.software === true ? FEW : OBJECTIVES.length;
  const objectives = OBJECTIVES.slice(0, few);
  for (const objective of objectives) {
    const map = costMap(objective, network.vocab);
    const ready = await stepper(device, options, map);
    const found = await firstSteps(ready);
    const reference = await stepper(other, options, map);
    agreements.push(agree(`losses and gradient norms by the ${objective.name} objective`, found, await firstSteps(reference), 1e-3)); // prettier-ignore
    await reference.dispose();
    contenders.push({
      name: objective.name,
      note: ready.memory(),
      run: async () => void (await ready.step()),
    });
    steppers.push(ready);
  }
  await other.dispose();
  return {
    name: "objectives",
    what:
      `a step of a flow map by its objective on ${ours}, batch ${batch}, length ${network.length}, vocabulary ${network.vocab}, ` +
      `width ${network.width}, ${network.depth} blocks; loss and gradient norm are read back`,
    tokens: batch * network.length,
    contenders,
    ratios: objectives.slice(1).map(({ name }) => ({ of: name, to: semigroup().name })),
    agreements,
    absent: [],
    dispose: async () => {
      for (const one of steppers) await one.dispose();
    },
  };
}

export const objectivesBenchmark: ComparisonBenchmark = {
  kind: "comparison",
  name: "objectives",
  comparisons: (scale, peers) => [() => prepare(scale, peers)],
};
