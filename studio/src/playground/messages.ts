/**
 * What the page, the worker with TypeScript and the worker that runs the user's code say to each other: plain data, apart from the functions
 * of {@link Runner}, which Comlink carries.
 *
 * Consumed by everything in this folder.
 */
import type { VerifyReport } from "../../../src/runtime/verify/report.ts";
import type { Outcome, Problem } from "../user-code/problem.ts";

/** What the user's module is called in messages. */
export const FILE = "playground.ts";

export interface VerifySettings {
  readonly cases: number;
  readonly seed: number;
}

/** Where a verify or a training has come to. */
export interface Progress {
  /** The variant, or the model that is trained. */
  readonly what: string;
  /** The identity that is looked at. */
  readonly part?: string;
  readonly done: number;
  readonly total: number;
  /** Of a training: [step, loss] since the last progress. */
  readonly losses?: readonly (readonly [step: number, loss: number])[];
}

/** The same as `fluxion verify --json` prints. */
export interface Verified {
  readonly passed: boolean;
  readonly reports: readonly VerifyReport[];
}

/** With the lines of the user's that made identities impossible to compute, by variant and identity. */
export interface VerifyAnswer extends Verified {
  readonly places: readonly (Problem & { readonly variant: string; readonly identity: string })[];
}

export interface ToySettings {
  /** Optimizer steps of each model. */
  readonly steps: number;
  readonly seed: number;
  /** Which export; by default as `trainableIn` chooses, and of several the first flow map. */
  readonly export?: string;
  /** "interpreter" leaves a GPU alone. */
  readonly device: "auto" | "interpreter";
}

/** The losses of one model. */
export interface ToyCurve {
  readonly model: string;
  readonly losses: readonly (readonly [step: number, loss: number])[];
}

/** Texts of a model in so many steps. */
export interface ToySamples {
  readonly model: string;
  readonly kind: "flow" | "flow map";
  readonly steps: number;
  /** Share of texts that are one of the phrases; undefined where it cannot be sampled so. */
  readonly known?: number;
  /** Distinct texts, the most frequent first. */
  readonly texts: readonly (readonly [text: string, count: number])[];
  /** Why it cannot be sampled so. */
  readonly reason?: string;
}

export interface ToyResult {
  readonly export: string;
  /** Names that could be trained. */
  readonly exports: readonly string[];
  readonly name: string;
  readonly kind: "flow" | "flow map";
  readonly device: string;
  readonly steps: number;
  readonly seed: number;
  readonly curves: readonly ToyCurve[];
  readonly samples: readonly ToySamples[];
  readonly milliseconds: number;
}

/** What the worker that runs the user's code does. Its callbacks are proxies. */
export interface Runner {
  verify(
    settings: VerifySettings,
    onProgress: (progress: Progress) => void,
    onPrint: (line: string) => void,
  ): Promise<Outcome<VerifyAnswer>>;
  train(
    settings: ToySettings,
    onProgress: (progress: Progress) => void,
    onPrint: (line: string) => void,
  ): Promise<Outcome<ToyResult>>;
}
