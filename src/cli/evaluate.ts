/**
 * Measuring a run: its models sampled at every number of steps, scored by a judge that never saw their training text, beside
 * held-out, shuffled and unigram text. Consumed by the commands that train.
 *
 * The judge is an interpolated Kneser–Ney n-gram model over the run's own tokens; its perplexities compare models of one run
 * with each other, not with published numbers.
 */
import { cutBlocks, decode, shuffledText, unigramSamples } from "../models/data/index.ts";
import type { PreparedText, TokenBlocks } from "../models/data/index.ts";
import {
  bootstrapInterval,
  likelihood,
  sampleEntropy,
  scoreBlocks,
  trainKneserNey,
} from "../models/eval/index.ts";
import type { KneserNeyModel } from "../models/eval/kneser-ney.ts";
import { fold, key } from "../models/flow/host-random.ts";
import type { Key } from "../models/flow/host-random.ts";
import { stepKey } from "../models/training/batches.ts";
import { disposeTree } from "../runtime/compile.ts";
import type { Device } from "../runtime/device.ts";
import type { RunFolder } from "../runtime/files/run-folder.ts";
import type { TrainingConfig } from "../runtime/training/config.ts";
import { onlyOwn, openModelSampler } from "../runtime/training/model-sampler.ts";
import type { ModelSampler } from "../runtime/training/model-sampler.ts";
import type { Samples } from "../runtime/training/sampler.ts";
import { loadModel } from "../runtime/training/load-model.ts";
import { hasFlow, hasMap, labelOf } from "../runtime/training/subject.ts";
import type { PhaseName, Subject } from "../runtime/training/subject.ts";
import { atEntropy, BISECTIONS, MATCHED } from "./matched.ts";
import type { Comparison, Measured, Side } from "./matched.ts";
import { modelNames } from "./report/data.ts";
import type { ModelName, QualityCell, ReferenceText, Trajectory } from "./report/data.ts";

/** Texts shown per cell. */
const SHOWN = 8;

/** One of a run's models, ready to sample. */
export interface OpenModel {
  readonly params: unknown;
  /** The model's own sampler. */
  readonly sampler: ModelSampler;
  dispose(): Promise<void>;
}

/** {@link loadModel}, with the model's own sampler. */
export async function openModel(
  run: RunFolder<TrainingConfig>,
  subject: Subject,
  name: PhaseName,
  vocab: number,
  device: Device,
  batch: number,
): Promise<OpenModel> {
  const { params, options, spec } = await loadModel(run, name, vocab, device, batch);
  const { gamma } = run.config.sampling;
  const sampler = await openModelSampler(device, { subject, phase: name, options, spec, gamma });
  return {
    params,
    sampler,
    async dispose() {
      disposeTree(params);
      await sampler.dispose();
    },
  };
}

/** Perplexity with its interval, and entropy, of texts of the judge's tokens. */
function measure(judge: KneserNeyModel, { tokens, count, length }: TokenBlocks, seed: number): Measured {
  const scores = scoreBlocks(judge, tokens, length);
  const rows = Array.from({ length: count }, (_, i) => ({
    nll: -sum(scores.subarray(i * length, (i + 1) * length)),
    tokens: length,
  }));
  const { estimate, low, high } = bootstrapInterval({
    items: rows,
    statistic: (items) => likelihood(items).perplexity,
    key: key(seed),
  });
  const samples = Array.from({ length: count }, (_, i) => tokens.subarray(i * length, (i + 1) * length));
  return { perplexity: estimate, low, high, entropy: sampleEntropy(samples).mean };
}

const sum = (values: Float64Array): number => values.reduce((total, x) => total + x, 0);

/** The first few rows as text. */
export const texts = (
  text: PreparedText,
  { tokens, count, length }: TokenBlocks,
  shown = SHOWN,
): readonly string[] =>
  Array.from({ length: Math.min(count, shown) }, (_, i) =>
    decode(text.vocabulary, tokens.subarray(i * length, (i + 1) * length)),
  );

export interface Evaluation {
  readonly quality: readonly QualityCell[];
  readonly references: readonly ReferenceText[];
  readonly trajectories: readonly Trajectory[];
  /** FMLM against FLM at one entropy. */
  readonly comparisons: readonly Comparison[];
}

/** Numbers of steps that are compared: FMLM's and FLM's. */
const COMPARED = [
  [1, 1],
  [2, 2],
  [4, 4],
  [1, 8],
] as const;

const comparedSteps = ({ sampling }: TrainingConfig): readonly (readonly [number, number])[] =>
  COMPARED.filter(([fmlm, flm]) => sampling.steps.includes(fmlm) && sampling.steps.includes(flm));

/** The judge of a run. */
export function trainJudge(text: PreparedText): KneserNeyModel {
  const order = text.vocabulary.kind === "words" ? 5 : 7;
  return trainKneserNey([text.streams.judge], { order, vocabularySize: text.vocabulary.tokens.length });
}

/** Calls of a network that `evaluate` makes for one run, at most: decoding at several temperatures may end early. */
export function evaluationCalls(config: TrainingConfig, subject: Subject): number {
  const { steps, samples, batch } = config.sampling;
  const batches = Math.ceil(samples / Math.min(batch, samples));
  const matching = comparedIn(config, subject).map(([fmlm, flm]) => Math.max(fmlm, flm) - 1 + BISECTIONS);
  // Where jumps have lengths of their own a text is watched as one call.
  const own = steps.map((count) => onlyOwn(subject.flow, count));
  const sampled = steps.map((count, i) => (own[i] === undefined || "draws" in own[i] ? count : 1));
  return batches * (modelsOf(config).length * total(sampled) + total(matching));
}

const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const PHASE = { FLM: "flm", FMLM: "fmlm" } as const satisfies Record<ModelName, PhaseName>;

/** The models that a run has weights of: those it trained, and a teacher. */
const modelsOf = (config: TrainingConfig): readonly ModelName[] =>
  modelNames.filter((model) => (model === "FLM" ? hasFlow(config) : hasMap(config)));

/** What is compared at one entropy: FMLM with FLM, whose last step can be drawn at a temperature. */
const comparedIn = (config: TrainingConfig, { published }: Subject) =>
  published && hasFlow(config) && hasMap(config) ? comparedSteps(config) : [];

/**
 * Measures a finished run. `progress` is called after every call of a network with their number so far and what is sampled.
 * @throws the signal's reason once it is aborted
 */
export async function evaluate(
  run: RunFolder<TrainingConfig>,
  subject: Subject,
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
  const models = new Map<ModelName, OpenModel>();
  for (const model of modelsOf(config)) {
    const most = Math.min(batch, samples);
    models.set(model, await openModel(run, subject, PHASE[model], vocab, device, most));
  }
  const blocksOf = (tokens: Int32Array): TokenBlocks => ({ tokens, count: samples, length });
  const sampleKey = (count: number): Key => fold(stepKey(config.seed, "sample", 0), count);
  const called = (model: ModelName, count: number) => (): void =>
    progress(++calls, `${labelOf(subject, PHASE[model])} in ${count} step${count === 1 ? "" : "s"}`);
  for (const [model, { sampler, params }] of models) {
    for (const count of steps) {
      const prepared = await sampler.prepare(count);
      const began = performance.now();
      const drawn = await prepared.sample(params, samples, sampleKey(count), {
        step: called(model, count),
        signal,
      });
      const seconds = (performance.now() - began) / 1000;
      await prepared.dispose();
      const blocks = blocksOf(drawn.tokens);
      quality.push({
        model,
        steps: count,
        ...measure(judge, blocks, config.seed),
        secondsPerSample: seconds / samples,
        samples: texts(text, blocks),
      });
      if (count === steps.at(-1)) trajectories.push(trajectoryOf(model, text, drawn.trajectory));
    }
  }
  const comparisons: Comparison[] = [];
  for (const [fmlmSteps, flmSteps] of comparedIn(config, subject)) {
    const drawn = { fmlm: sideOf(quality, "FMLM", fmlmSteps), flm: sideOf(quality, "FLM", flmSteps) };
    const sides = { FMLM: drawn.fmlm, FLM: drawn.flm };
    const [less, more] =
      sides.FLM.entropy < sides.FMLM.entropy ? [sides.FLM, sides.FMLM] : [sides.FMLM, sides.FLM];
    const open = models.get(less.model);
    if (more.entropy - less.entropy > MATCHED && open !== undefined) {
      const prepared = await open.sampler.prepare(less.steps);
      const decoder = await prepared.decoder?.(open.params, samples, sampleKey(less.steps), {
        step: called(less.model, less.steps),
        signal,
      });
      if (decoder === undefined) throw new Error(`the last step of ${less.model} cannot be drawn`);
      sides[less.model] = {
        ...less,
        ...(await atEntropy(decoder, more.entropy, (tokens) =>
          measure(judge, blocksOf(tokens), config.seed),
        )),
      };
      await decoder.dispose();
      await prepared.dispose();
    }
    comparisons.push({ drawn, fmlm: sides.FMLM, flm: sides.FLM });
  }
  for (const model of models.values()) await model.dispose();
  return {
    quality,
    references: references(text, judge, length, samples, config.seed),
    trajectories,
    comparisons,
  };
}

/** A measured cell as one side of a comparison. */
function sideOf(quality: readonly QualityCell[], model: ModelName, steps: number): Side {
  const cell = quality.find((one) => one.model === model && one.steps === steps);
  if (cell === undefined) throw new Error(`${model} was not measured at ${steps} steps`);
  const { perplexity, low, high, entropy } = cell;
  return { model, steps, temperature: 0, perplexity, low, high, entropy };
}

function trajectoryOf(model: ModelName, text: PreparedText, steps: Samples["trajectory"]): Trajectory {
  return {
    model,
    steps: steps.map(({ tau, tokens, confidence }) => ({
      time: tau,
      tokens: Array.from(tokens, (id) => text.vocabulary.tokens[id] ?? "?"),
      confidence: Array.from(confidence),
    })),
  };
}

function references(
  text: PreparedText,
  judge: KneserNeyModel,
  length: number,
  count: number,
  seed: number,
): readonly ReferenceText[] {
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
