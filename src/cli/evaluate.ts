/**
 * Measuring a run: both models sampled at every number of steps, scored by a judge that never saw their training text, beside
 * held-out, shuffled and unigram text. Consumed by the demo command.
 *
 * The judge is an interpolated Kneser–Ney n-gram model over the run's own tokens; its perplexities compare models of one run
 * with each other, not with published numbers.
 */
import { cutBlocks, decode, shuffledText, unigramSamples } from "../models/data/index.ts";
import type { PreparedText, TokenBlocks } from "../models/data/index.ts";
import { bootstrapInterval, likelihood, sampleEntropy, scoreBlocks, trainKneserNey } from "../models/eval/index.ts";
import type { KneserNeyModel } from "../models/eval/kneser-ney.ts";
import { decodingError } from "../models/flow/clock.ts";
import { fold, key } from "../models/flow/host-random.ts";
import { eulerSchedule, gammaSchedule } from "../models/language/sampler.ts";
import { stepKey } from "../models/training/batches.ts";
import { disposeTree } from "../runtime/compile.ts";
import type { Device } from "../runtime/device.ts";
import { loadCheckpoint } from "../runtime/files/run-folder.ts";
import type { RunFolder } from "../runtime/files/run-folder.ts";
import type { TrainingConfig } from "../runtime/training/config.ts";
import { openSampler } from "../runtime/training/sampler.ts";
import type { Sampler } from "../runtime/training/sampler.ts";
import { expectedTensors, officialNaming, uploadTensors } from "../runtime/training/state-files.ts";
import { flmNetwork, fmlmNetwork, paramsSpec, phaseOptions } from "../runtime/training/trainer.ts";
import type { PhaseName } from "../runtime/training/trainer.ts";
import type { QualityCell, ReferenceText, Trajectory } from "./report/data.ts";

/** Texts shown per cell. */
const SHOWN = 8;

/** One of a run's models, ready to sample. */
export interface OpenModel {
  readonly name: PhaseName;
  readonly params: unknown;
  readonly sampler: Sampler;
  /** The schedule of the model's own sampler. */
  readonly schedule: (steps: number, gamma?: number) => ReturnType<typeof eulerSchedule>;
  dispose(): Promise<void>;
}

/** Loads the weights of one model of a run. @throws UserError when they are missing or do not fit */
export async function openModel(run: RunFolder<TrainingConfig>, name: PhaseName, vocab: number, device: Device, batch: number): Promise<OpenModel> {
  const { config } = run;
  const network = name === "flm" ? flmNetwork(config, vocab) : fmlmNetwork(config, vocab);
  const options = { ...phaseOptions(config, name, vocab), network, batch };
  const spec = paramsSpec(phaseOptions(config, name, vocab), name);
  const naming = officialNaming(network);
  const { tensors } = await loadCheckpoint(run, name, expectedTensors(spec, naming));
  const params = uploadTensors(device, spec, tensors, naming);
  const sampler = await openSampler(device, options, spec);
  const clock = decodingError({ vocab });
  return {
    name,
    params,
    sampler,
    schedule: (steps, gamma = config.sampling.gamma) => (name === "flm" ? eulerSchedule(clock, steps) : gammaSchedule(clock, steps, gamma)),
    async dispose() {
      disposeTree(params);
      await sampler.dispose();
    },
  };
}

/** Perplexity with its interval, and entropy, of texts of the judge's tokens. */
function measure(judge: KneserNeyModel, { tokens, count, length }: TokenBlocks, seed: number): { readonly perplexity: number; readonly low: number; readonly high: number; readonly entropy: number } {
  const scores = scoreBlocks(judge, tokens, length);
  const rows = Array.from({ length: count }, (_, i) => ({ nll: -sum(scores.subarray(i * length, (i + 1) * length)), tokens: length }));
  const { estimate, low, high } = bootstrapInterval({ items: rows, statistic: (items) => likelihood(items).perplexity, key: key(seed) });
  const samples = Array.from({ length: count }, (_, i) => tokens.subarray(i * length, (i + 1) * length));
  return { perplexity: estimate, low, high, entropy: sampleEntropy(samples).mean };
}

const sum = (values: Float64Array): number => values.reduce((total, x) => total + x, 0);

/** The first few rows as text. */
export const texts = (text: PreparedText, { tokens, count, length }: TokenBlocks, shown = SHOWN): readonly string[] =>
  Array.from({ length: Math.min(count, shown) }, (_, i) => decode(text.vocabulary, tokens.subarray(i * length, (i + 1) * length)));

export interface Evaluation {
  readonly quality: readonly QualityCell[];
  readonly references: readonly ReferenceText[];
  readonly trajectories: readonly Trajectory[];
}

/** The judge of a run. */
export function trainJudge(text: PreparedText): KneserNeyModel {
  const order = text.vocabulary.kind === "words" ? 5 : 7;
  return trainKneserNey([text.streams.judge], { order, vocabularySize: text.vocabulary.tokens.length });
}

/** Calls of a network that `evaluate` makes for one run. */
export function evaluationCalls({ sampling }: TrainingConfig): number {
  const { steps, samples, batch } = sampling;
  const batches = Math.ceil(samples / Math.min(batch, samples));
  return 2 * batches * steps.reduce((total, count) => total + count, 0);
}

/**
 * Measures a finished run. `progress` is called after every call of a network with their number so far and what is sampled.
 * @throws the signal's reason once it is aborted
 */
export async function evaluate(
  run: RunFolder<TrainingConfig>,
  text: PreparedText,
  device: Device,
  progress: (calls: number, what: string) => void,
  signal: AbortSignal,
): Promise<Evaluation> {
  const { config } = run;
  const { length } = config.network;
  const { samples, steps, batch } = config.sampling;
  const vocab = text.vocabulary.tokens.length;
  const judge = trainJudge(text);
  const quality: QualityCell[] = [];
  const trajectories: Trajectory[] = [];
  let calls = 0;
  for (const name of ["flm", "fmlm"] as const) {
    const model = await openModel(run, name, vocab, device, Math.min(batch, samples));
    for (const count of steps) {
      const began = performance.now();
      const step = (): void => progress(++calls, `${name.toUpperCase()} in ${count} step${count === 1 ? "" : "s"}`);
      const drawn = await model.sampler.sample(model.params, model.schedule(count), samples, fold(stepKey(config.seed, "sample", 0), count), { step, signal });
      const seconds = (performance.now() - began) / 1000;
      const blocks = { tokens: drawn.tokens, count: samples, length };
      quality.push({ model: name === "flm" ? "FLM" : "FMLM", steps: count, ...measure(judge, blocks, config.seed), secondsPerSample: seconds / samples, samples: texts(text, blocks) });
      if (count === steps.at(-1)) trajectories.push(trajectoryOf(name, text, drawn.trajectory));
    }
    await model.dispose();
  }
  return { quality, references: references(text, judge, length, samples, config.seed), trajectories };
}

function trajectoryOf(name: PhaseName, text: PreparedText, steps: Awaited<ReturnType<Sampler["sample"]>>["trajectory"]): Trajectory {
  return {
    model: name === "flm" ? "FLM" : "FMLM",
    steps: steps.map(({ tau, tokens, confidence }) => ({
      time: tau,
      tokens: Array.from(tokens, (id) => text.vocabulary.tokens[id] ?? "?"),
      confidence: Array.from(confidence),
    })),
  };
}

function references(text: PreparedText, judge: KneserNeyModel, length: number, count: number, seed: number): readonly ReferenceText[] {
  const heldOut = cutBlocks(text.streams.validation, length, { limit: count });
  const sets: readonly (readonly [string, TokenBlocks])[] = [
    ["held-out text", heldOut],
    ["shuffled text", shuffledText(heldOut, key(seed))],
    ["unigram samples", unigramSamples(text.streams.train, count, length, key(seed))],
  ];
  return sets.map(([name, blocks]) => {
    const { perplexity, entropy } = measure(judge, blocks, seed);
    return { name, perplexity, entropy, samples: texts(text, blocks, 4) };
  });
}
