/**
 * What the page asks of the engine, and what the engine tells it. The engine is a worker: it owns the device, the files and the training
 * loop, so that the page never waits for a step. Calls go through Comlink; what is here is plain data, so that it can be cloned.
 *
 * Consumed by the page (engine/client.ts) and by the worker (engine/worker.ts). To add a question: a method of {@link Engine}.
 */
import type { Mapped } from "../../../src/runtime/explain/slot-map.ts";
import type { Preset } from "../../../src/runtime/training/config.ts";

/** The models of a run: the flow, and its map. */
export type ModelName = "flm" | "fmlm";

/** What a new run is made of. What is left out is the preset's. */
export interface RunSettings {
  readonly preset: Preset;
  readonly seed?: number;
  readonly length?: number;
  readonly width?: number;
  readonly depth?: number;
  readonly heads?: number;
  readonly batch?: number;
  readonly vocabularySize?: number;
  readonly tokens?: "words" | "chars";
  readonly flmSteps?: number;
  readonly fmlmSteps?: number;
}

/**
 * Bytes of the largest text that can be dropped: it is read whole, its tokens take several times its size, and nobody waits for a tab to
 * learn it.
 */
export const LARGEST_TEXT = 64e6;

/** Where the text comes from: that of the package, or a file that was dropped. */
export type TextSource = { readonly kind: "bundled" } | { readonly kind: "file"; readonly file: File };

export interface DeviceInfo {
  /** "webgpu", "tfjs:wasm", ... */
  readonly name: string;
  readonly detail: string;
  /** Why better devices were not taken, a sentence each. */
  readonly passedOver: readonly string[];
}

/** A training as it stands. `idle`: it can go on; `imported`: of files that were dropped, and it is finished or cannot go on. */
export type RunState = "idle" | "training" | "finished" | "imported";

/** Of a run that was trained from a declaration in a user's file. Its code is not among the run's files: the visitor gives it. */
export interface Declared {
  /** What the run calls the file, and the export in it. */
  readonly file: string;
  readonly export: string;
  /**
   * The file that was given, which is kept and has not been run by that. `same`: whether it is the one that the run was trained with;
   * undefined where that cannot be told.
   */
  readonly given?: { readonly name: string; readonly same: boolean | undefined };
}

export interface RunSummary {
  /** Its name in the page's storage. */
  readonly id: string;
  /** ISO 8601, UTC. */
  readonly created: string;
  readonly state: RunState;
  /** Name of the text. */
  readonly text: string;
  readonly declared?: Declared;
  /** Why the training cannot go on, in a sentence, where what was dropped is not all of it. */
  readonly stuck?: string;
  /** The name of the text that it needs to go on, and that was not dropped. */
  readonly lacksText?: string;
  /** Which weights there are to sample from. */
  readonly models: readonly ModelName[];
  /** Optimizer steps done and to do, of both trainings together. */
  readonly done: number;
  readonly steps: number;
  readonly bytes: number;
  readonly settings: {
    readonly seed: number;
    readonly vocabulary: number;
    readonly length: number;
    readonly width: number;
    readonly depth: number;
    readonly heads: number;
    readonly batch: number;
    readonly flmSteps: number;
    readonly fmlmSteps: number;
  };
}

/** A point of the log. `step` counts from 0 in its phase. */
export interface LossPoint {
  readonly phase: ModelName;
  readonly step: number;
  readonly loss?: number;
  readonly gradientNorm?: number;
  readonly validation?: number;
}

/** A run with what the page needs to show it. */
export interface RunDetail extends RunSummary {
  readonly history: readonly LossPoint[];
  /** The vocabulary's tokens, in their order. */
  readonly tokens: readonly string[];
  /** τ(t) at evenly spaced t from 0 to 1; empty where it is declared in a file that does not run. */
  readonly clock: readonly number[];
  /** What its models are called. */
  readonly labels: Readonly<Record<ModelName, string>>;
  /** Whether these are FLM and FMLM, or something that was declared. */
  readonly published: boolean;
  /** Why its models cannot be watched while they form a text, in a sentence; absent where they can be. */
  readonly unwatched?: string;
}

/** What the engine tells without being asked. */
export type EngineEvent =
  | { readonly kind: "note"; readonly text: string }
  /** A phase's programs are being compiled. */
  | { readonly kind: "preparing"; readonly run: string; readonly phase: ModelName }
  | {
      readonly kind: "step";
      readonly run: string;
      readonly phase: ModelName;
      /** Steps of this phase that are done, of `steps`. */
      readonly done: number;
      readonly steps: number;
      readonly loss: number;
      readonly gradientNorm: number;
      readonly tokensPerSecond: number;
      /** Clock times of the batch, in [0, 1], to lay on the curve: the last batch's. */
      readonly times: readonly number[];
    }
  | {
      readonly kind: "validation";
      readonly run: string;
      readonly phase: ModelName;
      readonly step: number;
      readonly validation: number;
    }
  /** Texts of the weights as they are now. */
  | {
      readonly kind: "texts";
      readonly run: string;
      readonly phase: ModelName;
      readonly texts: readonly string[];
    }
  | { readonly kind: "state"; readonly run: RunSummary }
  | { readonly kind: "device"; readonly device: DeviceInfo }
  /** Where the explanation that was asked for has come to. */
  | { readonly kind: "explaining"; readonly run: string; readonly progress: ExplainProgress }
  /** Something went wrong that no call is waiting for; nothing saved is lost. */
  | { readonly kind: "failed"; readonly run: string; readonly message: string }
  /** Something went wrong that ends nothing, in a sentence to show. */
  | { readonly kind: "problem"; readonly text: string };

export interface SampleRequest {
  readonly run: string;
  readonly model: ModelName;
  /** 1 to 64. */
  readonly steps: number;
  readonly count: number;
  readonly seed?: number;
  readonly temperature?: number;
  readonly topP?: number;
  /** Text with `_` where any token may come, as `fluxion sample --infill` takes it. */
  readonly infill?: string;
}

export interface SampleResult {
  readonly texts: readonly string[];
  /** Milliseconds from noise to text, programs compiled. */
  readonly milliseconds: number;
  /** Milliseconds that compiling took before, 0 if nothing had to be compiled. */
  readonly compiling: number;
}

/** One text on its way from noise, looked at between steps. */
export interface FormingRequest {
  readonly run: string;
  readonly model: ModelName;
  readonly steps: number;
  readonly seed: number;
}

/** What the network says at one moment. */
export interface FormingMoment {
  /** Clock time of the state. */
  readonly tau: number;
  /**
   * Per position, the most probable tokens with their probabilities, the best first. Of a network that says points, the token that is nearest,
   * as if it were certain.
   */
  readonly top: readonly (readonly { readonly token: string; readonly probability: number }[])[];
  /** Per position, entropy in nats; absent of a network that says points. */
  readonly entropy?: readonly number[];
  /**
   * Per position, the state in a plane (that of the two most different directions of the clean states), and from there to the clean state
   * that the network expects, where the flow takes it. At the end there is nowhere to go. Absent where it would say nothing; see {@link Forming.unmoved}.
   */
  readonly plane?: readonly {
    readonly x: number;
    readonly y: number;
    readonly dx: number;
    readonly dy: number;
  }[];
}

export interface Forming {
  /** What is to be known of what is shown, where it is not the usual: a sentence each. */
  readonly about: readonly string[];
  /** Why states have no way through a plane, in a sentence, where they have none. */
  readonly unmoved?: string;
  /** Moments 0 to `steps`: before each step, and at the end. */
  readonly moments: readonly FormingMoment[];
  readonly text: string;
  readonly milliseconds: number;
}

/** A kernel of the step that is running, as `explain` shows it. */
export interface ExplainedKernel {
  readonly name: string;
  readonly dispatches: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly flops: number;
  /** Milliseconds on the GPU, where its clock can be read. */
  readonly milliseconds?: number;
  readonly wgsl: string;
  /** What it computes: "mul ×3, add". */
  readonly ops?: string;
}

/** Where an explanation has come to. */
export interface ExplainProgress {
  /** It waits for the training's step to end, plans the kernels, compiles those that the device has not, or times them. */
  readonly stage: "waiting" | "planning" | "compiling" | "timing";
  /** Kernels or runs that are done, of `total`. */
  readonly done?: number;
  readonly total?: number;
}

export interface StepExplanation {
  readonly phase: ModelName;
  readonly kernels: readonly ExplainedKernel[];
  readonly dispatches: number;
  /** Bytes of all buffers of the step. */
  readonly bytes: number;
  /** What the numbers are of, in a sentence: the running device, or what WebGPU would run. */
  readonly about: string;
  /** Sentences on the whole: fusion, loops, sums. */
  readonly summary?: readonly string[];
  /** Where the temporaries lie, as src/runtime/explain/slot-map.ts draws it. */
  readonly memory?: Mapped;
}

/** The largest file of a declaration that is taken, in bytes. */
export const LARGEST_DECLARATION = 2 ** 20;

/** What the page may ask. A failure rejects with an Error whose message is a sentence to show. */
export interface Engine {
  /** To be called first. */
  open(
    listener: (event: EngineEvent) => void,
  ): Promise<{ readonly device: DeviceInfo; readonly runs: readonly RunSummary[] }>;
  runs(): Promise<readonly RunSummary[]>;
  run(id: string): Promise<RunDetail>;
  /** Makes a run and begins to train it. A training that goes on is paused first. */
  start(settings: RunSettings, text: TextSource): Promise<RunDetail>;
  /** Resolves once the state is saved. */
  pause(): Promise<void>;
  resume(id: string): Promise<RunDetail>;
  remove(id: string): Promise<void>;
  /** A run folder of the command line: config.json, vocabulary.json and at least one .safetensors of it, and what else of it there is. */
  importRun(files: readonly File[]): Promise<RunDetail>;
  /** Keeps a file that the run's own do not have: that of its declaration, which is not run by this, or its text, whatever it is called. */
  give(id: string, file: File, as: "declaration" | "text"): Promise<RunDetail>;
  /** The text of the declaration that was given. */
  declaration(id: string): Promise<{ readonly name: string; readonly text: string }>;
  /** The files of a run, to be saved: the command line takes them. */
  exportRun(id: string): Promise<readonly { readonly name: string; readonly blob: Blob }[]>;
  sample(request: SampleRequest): Promise<SampleResult>;
  form(request: FormingRequest): Promise<Forming>;
  /** Tells where it has come to by events. Another one that goes on is stopped first. @throws Error "Stopped." when it is stopped */
  explain(id: string): Promise<StepExplanation>;
  /** A training goes on at once, or once the GPU has done what it was given. */
  stopExplaining(): Promise<void>;
}
