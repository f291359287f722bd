/**
 * What the report of a run shows, as plain data: the summary, the verdicts, the losses, the quality at every number of
 * sampling steps, the reference texts, and one denoising per model.
 *
 * Filled by the demo command; consumed by the page (`renderReport`) and by the terminal table (`renderTable`). To show
 * something new, add a field here and a section file beside this one. Every list may be empty and every number NaN:
 * a run that stopped half-way still gets a report.
 */

/** The two models that a report compares, by their roles: a flow, and its map. What they are called is `labelIn`. */
export type ModelName = "FLM" | "FMLM";

/** Samples of one model at one number of sampling steps, as the judge saw them. */
export interface QualityCell {
  readonly model: ModelName;
  /** Number of sampling steps, at least 1. */
  readonly steps: number;
  /** Generative perplexity under the judge. */
  readonly perplexity: number;
  /** Lower end of the 95 % bootstrap interval of the perplexity. */
  readonly low: number;
  /** Upper end of that interval. */
  readonly high: number;
  /** Mean unigram entropy per sample, in nats. */
  readonly entropy: number;
  readonly secondsPerSample: number;
  /** A handful of texts to read: the first ones of the set, not chosen (the page says so). */
  readonly samples: readonly string[];
}

/** A text that bounds the scale (held-out, shuffled, unigram), scored by the same judge. */
export interface ReferenceText {
  readonly name: string;
  readonly perplexity: number;
  /** Mean unigram entropy per sample, in nats. */
  readonly entropy: number;
  readonly samples: readonly string[];
}

/** Losses of one model against optimizer steps, in ascending order of steps. */
export interface LossHistory {
  readonly name: ModelName;
  /** What the loss is, of models that are not FLM and FMLM. */
  readonly what?: string;
  readonly train: readonly (readonly [step: number, loss: number])[];
  readonly validation: readonly (readonly [step: number, loss: number])[];
}

/** One moment of a denoising: the likeliest token of each position, and how likely it is. */
export interface TrajectoryStep {
  /** Flow time: 0 is noise, 1 is text. */
  readonly time: number;
  readonly tokens: readonly string[];
  /** The largest probability at each position, in [0, 1]; as long as `tokens`. */
  readonly confidence: readonly number[];
}

/** The denoising of one sample. */
export interface Trajectory {
  readonly model: ModelName;
  readonly steps: readonly TrajectoryStep[];
}

/** Everything that a report shows. */
export interface ReportData {
  readonly title: string;
  /** What the models are called, where they are not FLM and FMLM. */
  readonly labels?: Readonly<Record<ModelName, string>>;
  readonly summary: readonly (readonly [label: string, value: string])[];
  /** Sentences that say what came out, composed by the caller. */
  readonly verdicts: readonly string[];
  readonly losses: readonly LossHistory[];
  readonly quality: readonly QualityCell[];
  readonly references: readonly ReferenceText[];
  readonly trajectories: readonly Trajectory[];
}

/** The models in the order in which they are shown: the teacher first. */
export const modelNames: readonly ModelName[] = ["FLM", "FMLM"];

/** What a model is called. */
export const labelIn = ({ labels }: Pick<ReportData, "labels">, model: ModelName): string =>
  labels?.[model] ?? model;

/** The model that is called so, or the text itself where none is. */
export const roleIn = (data: Pick<ReportData, "labels">, label: string): string =>
  modelNames.find((model) => labelIn(data, model) === label) ?? label;

/** The cells of one model, by ascending number of steps. */
export function cellsOf(data: ReportData, model: ModelName): readonly QualityCell[] {
  return data.quality.filter((cell) => cell.model === model).sort((a, b) => a.steps - b.steps);
}

/** Every number of sampling steps that some model was sampled at, ascending, each once. */
export function stepCounts(data: ReportData): readonly number[] {
  return [...new Set(data.quality.map((cell) => cell.steps))].sort((a, b) => a - b);
}
