/**
 * Trains what is declared on a toy: a corpus of two phrases, as in examples/objectives.ts. Whoever writes its words one by one writes half
 * of the texts wrong, so the share of known phrases says how much of a flow, or of its map, was learned.
 *
 * Consumed by worker.ts.
 */
import { outputSpec } from "../../../src/dsl/index.ts";
import type { Fn } from "../../../src/dsl/index.ts";
import { needsFlow } from "../../../src/models/flow/flow-map.ts";
import type { FlowMap } from "../../../src/models/flow/flow-map.ts";
import type { Flow } from "../../../src/models/flow/flow.ts";
import { key } from "../../../src/models/flow/host-random.ts";
import { isVariant } from "../../../src/models/flow/variant.ts";
import { keyData, stepKey } from "../../../src/models/training/batches.ts";
import {
  flowDraw,
  flowMapDraw,
  flowMapStep,
  flowStep,
  initFlow,
  initFlowMap,
} from "../../../src/models/training/declared.ts";
import { unpackWeights } from "../../../src/models/training/programs.ts";
import type { ModelOptions } from "../../../src/models/training/programs.ts";
import { weightsSpec } from "../../../src/models/training/state.ts";
import { compile, disposeTree } from "../../../src/runtime/compile.ts";
import type { Device, DeviceValue } from "../../../src/runtime/device.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";
import { openInterpreter } from "../../../src/runtime/interpreter-device.ts";
import { openModelSampler } from "../../../src/runtime/training/model-sampler.ts";
import { outputsOf, subjectOf, usualSpace } from "../../../src/runtime/training/subject.ts";
import type { PhaseName, Subject } from "../../../src/runtime/training/subject.ts";
import { declaredIn, trainableIn } from "../../../src/runtime/user-exports.ts";
import type { ChosenExport, Exports } from "../../../src/runtime/user-exports.ts";
import { openWebGpu } from "../../../src/runtime/webgpu/device.ts";
import { FILE } from "./messages.ts";
import type { Progress, ToyCurve, ToyResult, ToySamples, ToySettings } from "./messages.ts";

export const WORDS = ["New", "York", "San", "Diego"];
const KNOWN: readonly string[] = ["New York", "San Diego"];

const [BATCH, LENGTH, WIDTH] = [64, 2, 16];
const [SAMPLES, SHOWN] = [256, 6];
/** Numbers of steps that texts are written in. */
const STEPS: Readonly<Record<PhaseName, readonly number[]>> = { flm: [1, 4, 16], fmlm: [1, 2, 4] };
/** Losses are looked at as rarely as this: each look waits for the device. */
const LOOK = 5;

/** Every batch: both phrases, half of the rows each. */
const tokens = Int32Array.from({ length: LENGTH * BATCH }, (_, i) => i % WORDS.length);

type OnProgress = (progress: Progress) => void;

/** Names of the exports that can be trained. */
const trainables = (exports: Exports): readonly string[] =>
  Object.keys(exports).filter((name) => {
    const value = exports[name];
    return isVariant(value) && value.kind !== "spherical flow";
  });

/** The export that was asked for; of several the default one, or the first flow map. */
function chosenIn(exports: Exports, name: string | undefined): ChosenExport {
  if (name !== undefined && Object.hasOwn(exports, name)) return { name, value: exports[name] };
  const names = trainables(exports);
  const map = names.find((one) => (exports[one] as { readonly kind: string }).kind === "flow map"); // a variant
  if (exports["default"] === undefined && names.length > 1)
    return trainableIn(exports, FILE, map ?? names[0]);
  return trainableIn(exports, FILE, undefined, "the list beside the button");
}

/** A GPU where there is one. On so small a model the interpreter is quicker than a GPU that is computed on the CPU. */
async function openDevice(wanted: ToySettings["device"]): Promise<Device> {
  if (wanted === "interpreter" || !("gpu" in navigator)) return openInterpreter();
  const device = await openWebGpu().catch(() => undefined); // no adapter
  if (device?.context.gpu.software === false) return device;
  await device?.dispose();
  return openInterpreter();
}

/** @throws UserError for what cannot be trained; whatever the declaration throws */
export async function trainToy(
  exports: Exports,
  settings: ToySettings,
  onProgress: OnProgress,
): Promise<ToyResult> {
  const began = performance.now();
  const chosen = chosenIn(exports, settings.export);
  const declared = declaredIn(chosen, FILE, WORDS.length, LENGTH);
  const subject = subjectOf(declared);
  const device = await openDevice(settings.device);
  try {
    const bench: Bench = { device, subject, settings, options: optionsOf(subject.flow), onProgress };
    const curves: ToyCurve[] = [];
    const samples: ToySamples[] = [];
    let teacher: unknown;
    if (subject.map === undefined || needsFlow(subject.map)) {
      const { weights, curve } = await trainFlow(bench);
      teacher = weights;
      curves.push(curve);
      samples.push(...(await sampled(bench, "flm", weights)));
    }
    if (subject.map !== undefined) {
      const { weights, curve } = await trainMap(bench, subject.map, teacher);
      curves.push(curve);
      samples.push(...(await sampled(bench, "fmlm", weights)));
    }
    const { steps, seed } = settings;
    const about = { export: chosen.name, exports: trainables(exports), name: declared.name };
    const milliseconds = performance.now() - began;
    return { ...about, kind: declared.kind, device: device.name, steps, seed, curves, samples, milliseconds };
  } finally {
    await device.dispose();
  }
}

interface Bench {
  readonly device: Device;
  readonly subject: Subject;
  readonly settings: ToySettings;
  readonly options: ModelOptions;
  readonly onProgress: OnProgress;
}

const optionsOf = (flow: Flow): ModelOptions => ({
  network: {
    vocab: WORDS.length,
    length: LENGTH,
    width: WIDTH,
    depth: 2,
    heads: 2,
    conditioning: WIDTH,
    ...outputsOf(flow, WIDTH),
  },
  batch: BATCH,
  space: usualSpace(flow, "vocabulary"),
  beta1: 0.9,
  beta2: 0.99,
  weightDecay: 0,
  clip: 1,
  emaDecay: 0.99,
});

interface Trained {
  readonly weights: unknown;
  readonly curve: ToyCurve;
}

/** What a step takes and gives, whatever the model. */
type Step = (input: Readonly<Record<string, unknown>>) => Promise<{
  readonly state: { readonly ema: unknown };
  readonly loss: DeviceValue;
  readonly gradientNorm: DeviceValue;
}>;

async function trainFlow(bench: Bench): Promise<Trained> {
  const { flow } = bench.subject;
  const { options, settings } = bench;
  const init = initFlow(flow, options);
  const step = flowStep(flow, options, outputSpec(init));
  return trained(bench, flow.name, options, init as never, step as never, {}, (i) => ({
    ...flowDraw(flow, tokens, LENGTH, BATCH, stepKey(settings.seed, "flm", i)),
  }));
}

async function trainMap(bench: Bench, map: FlowMap, teacher: unknown): Promise<Trained> {
  const { options, settings } = bench;
  const frozen = teacher === undefined ? undefined : weightsSpec(options.network);
  const init = initFlowMap(map, options, frozen);
  const step = flowMapStep(map, options, outputSpec(init), frozen);
  const given = teacher === undefined ? {} : { teacher };
  return trained(bench, map.name, mapOptions(options), init as never, step as never, given, (i) => ({
    ...flowMapDraw(map, tokens, LENGTH, BATCH, i, stepKey(settings.seed, "fmlm", i)),
  }));
}

/** The network of a map is told two times. */
const mapOptions = (options: ModelOptions): ModelOptions => ({
  ...options,
  network: { ...options.network, targetTime: true },
});

/**
 * Goes through the steps of a model, from a large to a small learning rate.
 * @param options of the network that is trained
 * @param given weights that initial state and step take
 */
async function trained(
  { device, settings, onProgress }: Bench,
  name: string,
  options: ModelOptions,
  init: Fn<never, unknown>,
  step: Fn<never, unknown>,
  given: Readonly<Record<string, unknown>>,
  draw: (step: number) => Readonly<Record<string, unknown>>,
): Promise<Trained> {
  const { steps, seed } = settings;
  onProgress({ what: name, part: "compiling", done: 0, total: steps });
  const first = await compile(init as Fn<never, never>, { device, name: "the initial state" });
  const start = { key: keyData(stepKey(seed, "sample", steps)), ...given };
  let state: unknown = await first.run(start as never); // named inputs of whatever model
  await first.dispose();
  // Of the step's inputs, the state is the one that it gives back.
  const compiled = await compile(step as Fn<{ readonly state: never }, never>, {
    device,
    name: "the step",
    donate: ["state"],
  });
  const run = compiled.run as unknown as Step; // as the programs of declared.ts are typed
  const losses: [number, number][] = [];
  let told = 0;
  for (let i = 0; i < steps; i++) {
    const warm = Math.min(1, (i + 1) / 50);
    const learningRate = 5e-3 * warm * Math.cos((Math.PI / 2) * (i / steps)) ** 2;
    const { state: next, ...report } = await run({ state, learningRate, ...given, ...draw(i), tokens });
    state = next;
    if (i % LOOK === 0 || i === steps - 1) {
      losses.push([i, Number((await report.loss.read()).data[0])]);
      onProgress({ what: name, done: i + 1, total: steps, losses: losses.slice(told) });
      told = losses.length;
    }
    disposeTree(report);
  }
  await compiled.dispose();
  const unpack = await compile(unpackWeights(options.network), { device, name: "weights" });
  const weights: unknown = await unpack.run({ weights: (state as { readonly ema: never }).ema }); // what counts is their average
  await unpack.dispose();
  return { weights, curve: { model: name, losses } };
}

/** Texts of a model, by numbers of steps. */
async function sampled(bench: Bench, phase: PhaseName, weights: unknown): Promise<readonly ToySamples[]> {
  const { device, subject, settings, onProgress } = bench;
  const { flow, map } = subject;
  const options = { ...(phase === "flm" ? bench.options : mapOptions(bench.options)), batch: SAMPLES };
  const spec = weightsSpec(options.network);
  const model = phase === "flm" ? flow.name : (map ?? flow).name;
  const about = { model, kind: phase === "flm" ? "flow" : "flow map" } as const;
  const sampler = await openModelSampler(device, { subject, phase, options, spec, gamma: 0 });
  const results: ToySamples[] = [];
  for (const [i, steps] of STEPS[phase].entries()) {
    onProgress({ what: model, part: "sampling", done: i, total: STEPS[phase].length });
    try {
      const prepared = await sampler.prepare(steps);
      const { tokens: drawn } = await prepared.sample(weights, SAMPLES, key(settings.seed));
      await prepared.dispose();
      results.push({ ...about, steps, ...countedIn(drawn) });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      results.push({ ...about, steps, texts: [], reason: error.message });
    }
  }
  await sampler.dispose();
  return results;
}

/** How often which text is among them. */
function countedIn(ids: Int32Array): Pick<ToySamples, "known" | "texts"> {
  const counts = new Map<string, number>();
  for (let i = 0; i < SAMPLES; i++) {
    const text = Array.from(
      ids.subarray(LENGTH * i, LENGTH * (i + 1)),
      (id) => WORDS[id] ?? `[${id}]`, // a token that is no word: a mask that is left
    ).join(" ");
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  const known = KNOWN.reduce((sum, text) => sum + (counts.get(text) ?? 0), 0) / SAMPLES;
  return { known, texts: [...counts].sort(([, a], [, b]) => b - a).slice(0, SHOWN) };
}
