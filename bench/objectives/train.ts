/**
 * The trainings of the script of this folder: a flow, and flow maps by any objective, with what each step said of itself.
 *
 * Consumed by run.ts and by tests.
 */
import { outputSpec } from "../../src/dsl/index.ts";
import { fold, key, uniforms } from "../../src/models/flow/host-random.ts";
import type { FlowMap } from "../../src/models/flow/flow-map.ts";
import type { Flow } from "../../src/models/flow/flow.ts";
import { stepKey } from "../../src/models/training/batches.ts";
import { flowDraw, flowMapDraw, flowMapStep, flowStep } from "../../src/models/training/declared.ts";
import { initFlm, initFmlm, student, unpackWeights } from "../../src/models/training/programs.ts";
import type { ModelOptions } from "../../src/models/training/programs.ts";
import { weightsSpec } from "../../src/models/training/state.ts";
import type { TrainingState } from "../../src/models/training/state.ts";
import type { DitConfig, DitParams } from "../../src/models/networks/dit.ts";
import { compile, disposeTree } from "../../src/runtime/compile.ts";
import type { OnDevice } from "../../src/runtime/compile.ts";
import type { Device, DeviceValue } from "../../src/runtime/device.ts";
import type { SentenceCorpus } from "./corpus.ts";
import { optionsOf, rateAt } from "./settings.ts";
import type { Pace, Settings } from "./settings.ts";

/** Weights of a network on a device. */
export type Weights = OnDevice<DitParams>;

/** Some consecutive steps. */
export interface Stretch {
  /** The last of them, from 1. */
  readonly step: number;
  /** Means and maxima over them; null where a value was not finite. */
  readonly loss: number | null;
  readonly gradientNorm: number | null;
  readonly largestGradientNorm: number | null;
}

export interface Training {
  readonly weights: Weights;
  readonly curve: readonly Stretch[];
  /** Wall-clock seconds, compilation included, and what of them is compilation. */
  readonly seconds: number;
  readonly compileSeconds: number;
}

export interface TrainingContext {
  readonly device: Device;
  readonly corpus: SentenceCorpus;
  readonly settings: Settings;
  readonly seed: number;
  /** Hears of progress now and then. */
  readonly tell: (line: string) => void;
}

interface StepOutput {
  readonly state: OnDevice<TrainingState>;
  readonly loss: DeviceValue;
  readonly gradientNorm: DeviceValue;
}

/** How many stretches a curve has. */
const STRETCHES = 40;

/** Sentences of a step: every row one of the corpus, with equal probability. */
export function sentencesOf(
  { sequences }: SentenceCorpus,
  batch: number,
  seed: number,
  step: number,
): Int32Array {
  const draws = uniforms(fold(fold(key(seed), 1000), step), batch);
  return Int32Array.from(Array.from(draws, (u) => sequences[Math.floor(u * sequences.length)] ?? []).flat());
}

const finite = (x: number): number | null => (Number.isFinite(x) ? x : null);

async function follow(
  name: string,
  pace: Pace,
  { settings, tell }: TrainingContext,
  first: OnDevice<TrainingState>,
  one: (state: OnDevice<TrainingState>, step: number, learningRate: number) => Promise<StepOutput>,
): Promise<{ readonly state: OnDevice<TrainingState>; readonly curve: readonly Stretch[] }> {
  const { steps } = pace;
  const curve: Stretch[] = [];
  let state = first;
  let [losses, norms]: [number[], number[]] = [[], []];
  const every = Math.max(1, Math.round(steps / STRETCHES));
  const start = performance.now();
  for (let step = 0; step < steps; step++) {
    const { state: next, loss, gradientNorm } = await one(state, step, rateAt(settings, pace, step));
    state = next;
    losses.push((await loss.read()).data[0] ?? Number.NaN);
    norms.push((await gradientNorm.read()).data[0] ?? Number.NaN);
    disposeTree([loss, gradientNorm]);
    if ((step + 1) % every !== 0 && step + 1 !== steps) continue;
    const mean = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length;
    const stretch = {
      step: step + 1,
      loss: finite(mean(losses)),
      gradientNorm: finite(mean(norms)),
      largestGradientNorm: finite(Math.max(...norms)),
    };
    curve.push(stretch);
    [losses, norms] = [[], []];
    if (curve.length % 4 === 0 || step + 1 === steps)
      tell(
        `${name}: step ${step + 1} of ${steps}, loss ${stretch.loss?.toFixed(4) ?? "not finite"}, gradient ` +
          `${stretch.gradientNorm?.toFixed(3) ?? "not finite"} (at most ${stretch.largestGradientNorm?.toFixed(3) ?? "not finite"}), ` +
          `${((performance.now() - start) / (step + 1)).toFixed(0)} ms a step`,
      );
    if (stretch.loss === null) break; // nothing comes back from that
  }
  return { state, curve };
}

const secondsSince = (start: number): number => (performance.now() - start) / 1000;

async function finished(
  device: Device,
  network: DitConfig,
  { state, curve }: Awaited<ReturnType<typeof follow>>,
  start: number,
  compileSeconds: number,
): Promise<Training> {
  const unpack = await compile(unpackWeights(network), { device });
  const weights = await unpack.run({ weights: state.ema });
  await unpack.dispose();
  disposeTree(state);
  return { weights, curve, seconds: secondsSince(start), compileSeconds };
}

/** Trains a flow from fresh weights. */
export async function trainFlow(flow: Flow, context: TrainingContext): Promise<Training> {
  const { device, corpus, settings, seed } = context;
  const start = performance.now();
  const options = optionsOf(corpus, settings, settings.flow);
  const fresh = await compile(initFlm(options), { device });
  const step = await compile(flowStep(flow, options, outputSpec(initFlm(options))), {
    device,
    donate: ["state"],
  });
  const compileSeconds = secondsSince(start);
  const { length } = corpus;
  const { batch } = settings.flow;
  const followed = await follow(
    flow.name,
    settings.flow,
    context,
    await fresh.run({ key: [seed, 1] }),
    (state, index, learningRate) => {
      const tokens = sentencesOf(corpus, batch, seed, index);
      const draw = flowDraw(flow, tokens, length, batch, stepKey(seed, "flm", index));
      return step.run({ state, learningRate, ...draw, tokens });
    },
  );
  await Promise.all([fresh.dispose(), step.dispose()]);
  return finished(device, options.network, followed, start, compileSeconds);
}

/**
 * Trains a flow map. It starts from the weights of a flow, which are its teacher where it is declared with one; without any it starts
 * from fresh weights.
 */
export async function trainMap(map: FlowMap, context: TrainingContext, flow?: Weights): Promise<Training> {
  const { device, corpus, settings, seed } = context;
  const start = performance.now();
  const options: ModelOptions = optionsOf(corpus, settings, settings.map);
  const fresh = await compile(initFlm(options), { device });
  const init = await compile(initFmlm(options), { device });
  const spec = outputSpec(initFmlm(options));
  const program = flowMapStep(map, options, spec, map.teacher ? weightsSpec(options.network) : undefined);
  const step = await compile(program, { device, donate: ["state"] });
  const compileSeconds = secondsSince(start);
  let from = flow;
  if (from === undefined) {
    const unpack = await compile(unpackWeights(options.network), { device });
    const state = await fresh.run({ key: [seed, 2] });
    from = await unpack.run({ weights: state.params });
    disposeTree(state);
    await unpack.dispose();
  }
  const teacher = from;
  const { length } = corpus;
  const { batch } = settings.map;
  const followed = await follow(
    map.name,
    settings.map,
    context,
    await init.run({ key: [seed, 3], teacher }),
    (state, index, learningRate) => {
      const tokens = sentencesOf(corpus, batch, seed, index);
      const draw = flowMapDraw(map, tokens, length, batch, index, stepKey(seed, "fmlm", index));
      return step.run({ state, learningRate, ...draw, tokens, ...(map.teacher ? { teacher } : {}) });
    },
  );
  await Promise.all([fresh.dispose(), init.dispose(), step.dispose()]);
  if (flow === undefined) disposeTree(teacher);
  return finished(device, student(options.network), followed, start, compileSeconds);
}
