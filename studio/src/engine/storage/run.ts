/**
 * A run in the page's storage: the same files as the command line's run folder has, so that each takes the other's. Besides them the page
 * keeps `studio.json`, which says where the run comes from, `text.txt`, the text that was dropped for it, and `declaration.json`, the file
 * that was given for it (../declaration.ts).
 *
 * Consumed by the training loop as a `RunStore`, and by runs.ts.
 */
import { UserError } from "../../../../src/runtime/files/errors.ts";
import { jsonLinesText } from "../../../../src/runtime/files/json-lines.ts";
import {
  checkpointMetadata,
  checkpointMetaOf,
  checkpointOf,
  metricsLength,
  metricsLines,
  noCheckpoint,
} from "../../../../src/runtime/run/format.ts";
import { runVersion } from "../../../../src/runtime/run/store.ts";
import type {
  Advice,
  Checkpoint,
  CheckpointMeta,
  CheckpointName,
  Lock,
  MetricsLine,
  RunConfig,
  RunStore,
  RunText,
  TensorToWrite,
} from "../../../../src/runtime/run/store.ts";
import type { ExpectedTensor } from "../../../../src/runtime/safetensors/tensor.ts";
import type { TrainingConfig } from "../../../../src/runtime/training/config.ts";
import { readHeader, readTensors, tensorPieces } from "./checkpoint-blob.ts";
import { storageError } from "./folder.ts";
import type { Folder } from "./folder.ts";
import { lockRun } from "./lock.ts";

const METRICS = "metrics.jsonl";

const ADVICE: Advice = {
  beginAgain: () => "Remove the run and start another one, with another seed or other sizes.",
  dropState: () => "Remove the run and start another one.",
  lowerRate: () => "Start another run, with a smaller network or another seed.",
  goOn: "What was saved is kept: resume the run, perhaps after reloading the page.",
  vocabulary: "take the one that lies in the run's folder beside config.json",
};

const encoded = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

export class StoredRun implements RunStore<TrainingConfig> {
  readonly format = "fluxion-run";
  readonly version = runVersion;
  readonly created: string;
  readonly source?: string;
  readonly config: TrainingConfig;
  /** Its name in the storage; empty for files that are not in it. */
  readonly id: string;
  readonly folder: Folder;
  readonly advice = ADVICE;

  constructor(
    id: string,
    folder: Folder,
    { created, source, config }: Pick<RunConfig<TrainingConfig>, "created" | "source" | "config">,
  ) {
    this.id = id;
    this.folder = folder;
    this.created = created;
    if (source !== undefined) this.source = source;
    this.config = config;
  }

  get place(): string {
    return this.id;
  }

  path(file: string): string {
    return this.id === "" ? file : `${this.id}/${file}`;
  }

  async lock(): Promise<Lock> {
    const lock = await lockRun(this.id);
    try {
      await this.folder.removeLeftovers();
      return lock;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  async hasCheckpoint(name: CheckpointName): Promise<boolean> {
    return (await this.folder.read(`${name}.safetensors`)) !== undefined;
  }

  async checkpointMeta(name: CheckpointName): Promise<CheckpointMeta> {
    const path = this.path(`${name}.safetensors`);
    return checkpointMetaOf((await readHeader(await this.#checkpoint(name), path)).metadata, path);
  }

  async loadCheckpoint(
    name: CheckpointName,
    expected?: ReadonlyMap<string, ExpectedTensor>,
  ): Promise<Checkpoint> {
    const path = this.path(`${name}.safetensors`);
    return checkpointOf(await readTensors(await this.#checkpoint(name), path), path, expected);
  }

  async saveCheckpoint(
    name: CheckpointName,
    tensors: Iterable<TensorToWrite>,
    meta: CheckpointMeta,
  ): Promise<void> {
    await this.folder.write(`${name}.safetensors`, tensorPieces(tensors, checkpointMetadata(meta)));
  }

  removeCheckpoint(name: CheckpointName): Promise<void> {
    return this.folder.remove(`${name}.safetensors`);
  }

  async appendMetrics(lines: readonly MetricsLine[]): Promise<void> {
    const text = jsonLinesText(lines, this.path(METRICS));
    if (text === "") return;
    // A line that a closed tab tore would merge with the first new one.
    const bytes = await this.#bytes(METRICS);
    await this.folder.append(METRICS, bytes.lastIndexOf(0x0a) + 1, encoded(text));
  }

  async readMetrics(): Promise<readonly MetricsLine[]> {
    return metricsLines(await this.#bytes(METRICS), this.path(METRICS)).map(({ line }) => line);
  }

  async rewindMetrics(step: number): Promise<void> {
    const bytes = await this.#bytes(METRICS);
    const kept = metricsLength(bytes, this.path(METRICS), step);
    if (kept < bytes.length) await this.folder.write(METRICS, [bytes.subarray(0, kept)]);
  }

  async readText(name: RunText, mostBytes: number): Promise<string | undefined> {
    const blob = await this.folder.read(name);
    if (blob === undefined) return undefined;
    if (blob.size > mostBytes)
      throw new UserError(`${this.path(name)} has ${blob.size} bytes, and at most ${mostBytes} can be read.`);
    return await blob.text().catch((error: unknown) => {
      throw storageError(error, "read", this.path(name));
    });
  }

  writeText(name: RunText, text: string): Promise<void> {
    return this.folder.write(name, [encoded(text)]);
  }

  /** Bytes of all files. */
  async size(): Promise<number> {
    const sizes = (await this.folder.names()).map(async (name) => (await this.folder.read(name))?.size ?? 0);
    return (await Promise.all(sizes)).reduce((total, size) => total + size, 0);
  }

  async #checkpoint(name: CheckpointName): Promise<Blob> {
    const blob = await this.folder.read(`${name}.safetensors`);
    if (blob === undefined) throw noCheckpoint(this.id, name);
    return blob;
  }

  async #bytes(file: string): Promise<Uint8Array<ArrayBuffer>> {
    const blob = await this.folder.read(file);
    if (blob === undefined) return new Uint8Array();
    return new Uint8Array(
      await blob.arrayBuffer().catch((error: unknown) => {
        throw storageError(error, "read", this.path(file));
      }),
    );
  }
}
