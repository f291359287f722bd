/**
 * How large the network is and how it is trained, for every objective alike unless its contestant says otherwise. Consumed by the script of this
 * folder. The values are those under which most objectives get there soon on two cores; docs/flow-language-models.md says what they led to.
 */
import type { DitConfig } from "../../src/models/networks/dit.ts";
import type { ModelOptions } from "../../src/models/training/programs.ts";
import type { SentenceCorpus } from "./corpus.ts";

/** Steps, rows of each, and the largest learning rate, from which it falls to 0 as a squared cosine. */
export interface Pace {
  readonly steps: number;
  readonly batch: number;
  readonly learningRate: number;
}

export interface Settings {
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpRatio: number;
  /** Whether the network is told where a token stands. */
  readonly positions: boolean;
  /** How the flow is trained, which is the teacher. */
  readonly flow: Pace;
  /** How every flow map is trained. */
  readonly map: Pace;
  readonly warmup: number;
  readonly clip: number;
  readonly emaDecay: number;
  /** Share of rows with s = t. */
  readonly diagonal: number;
  /** Share of rows from noise to data, for objectives that have something to say there. */
  readonly boundary: number;
}

export const SENTENCES: Settings = {
  width: 64,
  depth: 2,
  heads: 2,
  mlpRatio: 2,
  positions: true,
  flow: { steps: 2000, batch: 128, learningRate: 3e-3 },
  map: { steps: 4000, batch: 128, learningRate: 3e-3 },
  warmup: 50,
  clip: 1,
  emaDecay: 0.99,
  diagonal: 1 / 4,
  boundary: 1 / 8,
};

/** For examples/two-phrases.ts's corpus. */
export const PHRASES: Settings = {
  ...SENTENCES,
  width: 16,
  depth: 4,
  heads: 4,
  mlpRatio: 4,
  positions: false,
  flow: { steps: 800, batch: 128, learningRate: 5e-3 },
  map: { steps: 800, batch: 128, learningRate: 5e-3 },
  diagonal: 1 / 4,
  boundary: 1 / 64,
};

export function networkOf(
  { words, length }: SentenceCorpus,
  { width, depth, heads, mlpRatio, positions }: Settings,
): DitConfig {
  return { vocab: words.length, length, width, depth, heads, conditioning: width, mlpRatio, positions };
}

export const optionsOf = (corpus: SentenceCorpus, settings: Settings, { batch }: Pace) =>
  ({
    network: networkOf(corpus, settings),
    batch,
    space: "vocabulary",
    beta1: 0.9,
    beta2: 0.99,
    weightDecay: 0,
    clip: settings.clip,
    emaDecay: settings.emaDecay,
  }) as const satisfies ModelOptions;

export function rateAt({ warmup }: Settings, { learningRate, steps }: Pace, step: number): number {
  return learningRate * Math.min(1, (step + 1) / warmup) * Math.cos((Math.PI / 2) * (step / steps)) ** 2;
}
