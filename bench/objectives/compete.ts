/**
 * One objective, from training to samples; and the flow that teaches it. Consumed by run.ts and by tests.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { lossName } from "../../src/models/flow/bregman.ts";
import type { Flow } from "../../src/models/flow/flow.ts";
import { exponential, jumps } from "../../src/models/flow/samplers/index.ts";
import { student } from "../../src/models/training/programs.ts";
import { weightsSpec } from "../../src/models/training/state.ts";
import { disposeTree } from "../../src/runtime/compile.ts";
import { writeFileAtomic } from "../../src/runtime/files/atomic.ts";
import { readSafetensors, writeSafetensors } from "../../src/runtime/files/safetensors.ts";
import { treeTensors, uploadTensors } from "../../src/runtime/training/state-files.ts";
import { toJson } from "../report.ts";
import type { Contestant } from "./contestants.ts";
import { drawn, followedExactly, judge, sampleKeys } from "./measure.ts";
import type { Quality } from "./measure.ts";
import { networkOf } from "./settings.ts";
import { targetsOf } from "./targets.ts";
import type { TargetReport } from "./targets.ts";
import { trainFlow, trainMap } from "./train.ts";
import type { Stretch, TrainingContext, Weights } from "./train.ts";

export interface Context extends TrainingContext {
  readonly samples: number;
}

/** Samples of a model in so many steps. */
type Steps = Readonly<Record<string, Quality>>;

export interface FlowResult {
  readonly name: string;
  readonly seconds: number;
  readonly curve: readonly Stretch[];
  readonly steps: Steps;
  /** The exact flow of the corpus, from the same noise: what sampling noise alone makes of the numbers. */
  readonly exact: Quality;
}

export interface MapResult {
  readonly name: string;
  readonly formula: string;
  readonly loss: string;
  readonly teacher: boolean;
  readonly seconds: number;
  readonly compileSeconds: number;
  readonly millisecondsPerStep: number;
  readonly curve: readonly Stretch[];
  readonly steps: Steps;
  /** What the targets are like in the end. */
  readonly targets?: TargetReport;
}

/** A short name of anything that JSON can say. */
export const identityOf = (value: unknown): string =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);

const FLOW_STEPS = [1, 16, 64];
const MAP_STEPS = [1, 2, 4];

const exact = new WeakMap<Context, Promise<ArrayLike<number>>>();

/**
 * What the exact flow of FLM's interpolant and source makes of the samples' noise; other flows of the same two have the same map. Once for
 * all that are compared in one context.
 */
function exactTokens(context: Context): Promise<ArrayLike<number>> {
  const { device, corpus, seed, samples } = context;
  const found = exact.get(context) ?? followedExactly(device, corpus, sampleKeys(seed, samples));
  exact.set(context, found);
  return found;
}

/** The flow and its samples, from `folder` if an earlier run left them there under the same settings. */
export async function preparedFlow(
  flow: Flow,
  context: Context,
  folder: string,
): Promise<{ readonly weights: Weights; readonly result: FlowResult }> {
  const { device, corpus, settings, seed, samples, tell } = context;
  const network = networkOf(corpus, settings);
  const spec = weightsSpec(network);
  const { flow: pace, warmup, clip, emaDecay } = settings;
  const path = `${folder}/flow-${identityOf([flow.name, corpus, pace, network, warmup, clip, emaDecay, seed, samples])}`;
  const before = await readFile(`${path}.json`, "utf8").catch(() => undefined);
  if (before !== undefined) {
    const { tensors } = await readSafetensors(`${path}.safetensors`);
    // Both were written below, the tensors first.
    return {
      weights: uploadTensors(device, spec, tensors) as Weights,
      result: JSON.parse(before) as FlowResult,
    };
  }
  const { weights, curve, seconds } = await trainFlow(flow, context);
  await mkdir(folder, { recursive: true });
  await writeSafetensors(
    `${path}.safetensors`,
    [...(await treeTensors(weights))].map(([name, tensor]) => ({ name, ...tensor })),
  );
  const followed = await exactTokens(context);
  const keys = sampleKeys(seed, samples);
  const steps: Record<string, Quality> = {};
  for (const n of FLOW_STEPS) {
    steps[n] = judge(
      corpus,
      await drawn(device, flow, network, weights, exponential(flow, n), keys),
      followed,
    );
    tell(`${flow.name} in ${n} steps: ${(100 * steps[n].known).toFixed(1)} % of the samples are known`);
  }
  const result: FlowResult = {
    name: flow.name,
    seconds,
    curve,
    steps,
    exact: judge(corpus, followed, followed),
  };
  await writeFileAtomic(`${path}.json`, toJson(result));
  return { weights, result };
}

/** Trains a map by one objective and draws its samples. */
export async function compete(
  { name, start, map: declare }: Contestant,
  flow: Flow,
  teacher: Weights,
  context: Context,
): Promise<MapResult> {
  const { device, corpus, settings, seed, samples, tell } = context;
  const map = declare(flow, settings);
  const trained = await trainMap(map, context, start === "flow" ? teacher : undefined);
  const followed = await exactTokens(context);
  const keys = sampleKeys(seed, samples);
  const network = student(networkOf(corpus, settings));
  const steps: Record<string, Quality> = {};
  for (const n of MAP_STEPS) {
    steps[n] = judge(
      corpus,
      await drawn(device, map.flow, network, trained.weights, jumps(map.flow, n), keys),
      followed,
    );
    tell(`${name} in ${n} steps: ${(100 * steps[n].known).toFixed(1)} % of the samples are known`);
  }
  const targets = await targetsOf(map, context, trained.weights, map.teacher ? teacher : undefined);
  disposeTree(trained.weights);
  const { seconds, compileSeconds, curve } = trained;
  return {
    name,
    formula: map.objective.formula,
    loss: lossName(map.loss),
    teacher: map.teacher !== false,
    seconds,
    compileSeconds,
    millisecondsPerStep: (1000 * (seconds - compileSeconds)) / (curve.at(-1)?.step ?? 1),
    curve,
    steps,
    ...(targets === undefined ? {} : { targets }),
  };
}
