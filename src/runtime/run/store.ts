/**
 * What a training needs of the place where its run is kept, be it a folder of files or the storage of a browser: the settings, the
 * checkpoints, the log and a few texts, each written whole or not at all, and a lock, so that one process or page trains a run.
 *
 * Consumed by the training loop, by sampling and by verification. Implemented by ../files/run-folder.ts on files, and by the studio on
 * a browser's storage; what the contents look like is in format.ts, for both. To add a file: a name in `checkpointNames` or `texts`.
 */
import type { ExpectedTensor, StoredTensor } from "../safetensors/tensor.ts";
import type { FileDType } from "../safetensors/tensor.ts";

/**
 * Version of the layout and of the checkpoint metadata. Raise it when an older reader would go wrong.
 */
export const runVersion = 1;

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** Seconds between saved states and between samples to read, where somebody asked for others than the usual ones. */
export interface AskedIntervals {
  readonly save?: number;
  readonly sample?: number;
}

/** Content of config.json. */
export interface RunConfig<T> {
  readonly format: "fluxion-run";
  readonly version: typeof runVersion;
  /** ISO 8601, UTC. */
  readonly created: string;
  /**
   * "file:" and the hash of the text of the file that declares what is trained, where that file is all of its code. Whoever cannot bundle
   * compares by it. It stands beside the settings, where versions that do not know it read past it.
   */
  readonly source?: string;
  /** What was asked for when the run began, of which a resumed run goes on; beside the settings, for it changes nothing that is computed. */
  readonly intervals?: AskedIntervals;
  readonly config: T;
}

export const checkpointNames = ["flm", "fmlm", "state"] as const;
export const texts = ["samples.txt", "report.html", "vocabulary.json"] as const;
export type CheckpointName = (typeof checkpointNames)[number];
export type RunText = (typeof texts)[number];

/** What a checkpoint says about itself: `step` counts optimizer steps from 0 over all phases. */
export interface CheckpointMeta {
  readonly step: number;
  readonly phase: string;
  readonly [key: string]: JsonValue;
}

export interface Checkpoint {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly meta: CheckpointMeta;
}

/** A tensor to write; `data` may be a function that fetches the values when their turn comes. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: FileDType;
  readonly shape: readonly number[];
  readonly data: StoredTensor["data"] | (() => StoredTensor["data"] | Promise<StoredTensor["data"]>);
}

/** One line of metrics.jsonl. */
export interface MetricsLine {
  readonly step: number;
  readonly [key: string]: JsonValue;
}

/** A lock that is held. */
export interface Lock {
  /** Gives it back. Doing it again does nothing. */
  readonly release: () => void;
}

/** What to tell people to do, in the words of where the run is kept. Whole sentences, unless they say otherwise. */
export interface Advice {
  /** After the last saved state turned out to be of no use. @param label of what was trained */
  readonly beginAgain: (label: string) => string;
  /** After a saved state could not be read. */
  readonly dropState: (label: string) => string;
  /** After a training diverged. @param setting the phase whose learning rate is too high */
  readonly lowerRate: (setting: string, learningRate: number) => string;
  /** After a device was lost too often. */
  readonly goOn: string;
  /** What helps where the vocabulary cannot be used: a clause. */
  readonly vocabulary: string;
}

/** A run, kept somewhere. */
export interface RunStore<T> extends RunConfig<T> {
  /** What messages call it: a path, or a name. */
  readonly place: string;
  /** What messages call a file of it. */
  readonly path: (file: string) => string;
  readonly advice: Advice;
  /**
   * Takes the run for this process or page.
   * @param tell is given a line when the lock of a process that is gone was taken over
   * @throws UserError when another one holds it
   */
  lock(tell?: (line: string) => void): Promise<Lock>;
  /** Whether the run has this checkpoint (not whether it is sound: `loadCheckpoint` tells). */
  hasCheckpoint(name: CheckpointName): Promise<boolean>;
  /** What a checkpoint says about itself; its tensors are not read. @throws UserError as `loadCheckpoint` does */
  checkpointMeta(name: CheckpointName): Promise<CheckpointMeta>;
  /**
   * Reads a checkpoint, with every value checked for size.
   * @param expected the tensors it must hold, no more and no fewer; leave it out to accept any
   * @throws UserError when it is missing, damaged, not of this program or version, or holds other tensors
   */
  loadCheckpoint(name: CheckpointName, expected?: ReadonlyMap<string, ExpectedTensor>): Promise<Checkpoint>;
  /**
   * Writes a checkpoint atomically. Metrics logged before are safe first, so that a checkpoint never is ahead of its log.
   * @throws UserError when it cannot be written; the previous checkpoint is then still there
   */
  saveCheckpoint(name: CheckpointName, tensors: Iterable<TensorToWrite>, meta: CheckpointMeta): Promise<void>;
  /** Removes a checkpoint that is no longer needed; one that is not there is fine. @throws UserError when it cannot be removed */
  removeCheckpoint(name: CheckpointName): Promise<void>;
  /** Appends lines to the log. @throws UserError when it cannot be written */
  appendMetrics(lines: readonly MetricsLine[]): Promise<void>;
  /** The log, without a torn last line; empty when there is none. @throws UserError naming a bad line */
  readMetrics(): Promise<readonly MetricsLine[]>;
  /**
   * Cuts the log before the first line past `step`, atomically. A resumed run then logs those steps again, and its log equals that of a
   * run that was never interrupted.
   * @throws UserError when the log is damaged or cannot be written
   */
  rewindMetrics(step: number): Promise<void>;
  /** A text of the run; undefined when there is none. @param mostBytes that it may have @throws UserError when it has more, or cannot be read */
  readText(name: RunText, mostBytes: number): Promise<string | undefined>;
  /** Writes a text atomically. @throws UserError when it cannot be written */
  writeText(name: RunText, text: string): Promise<void>;
}
