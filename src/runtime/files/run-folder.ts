/**
 * A run folder: what one training leaves on disk, and what sampling, reporting and resuming start from.
 *
 *   config.json          the settings, with the version of this layout
 *   vocabulary.json      the tokens, so that samples can be read without the text; see ../run/vocabulary.ts
 *   metrics.jsonl        one JSON line per logged step, only ever appended
 *   flm.safetensors, fmlm.safetensors     weights to sample from
 *   state.safetensors    while a run is unfinished, what is needed to go on: parameters, optimizer state, EMA, step
 *   samples.txt, report.html
 *   run.lock             while a process works on the run; see lock.ts
 *
 * Consumed by the training loop, as a `RunStore`, and by the commands. The training configuration `T` is defined by them, and
 * checked by the function they pass. What the files hold is in ../run/format.ts.
 */
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  checkpointMetadata,
  checkpointMetaOf,
  checkpointOf,
  envelopeText,
  metricsLength,
  metricsLines,
  newEnvelope,
  noCheckpoint,
  readEnvelopeText,
} from "../run/format.ts";
import type { Envelope } from "../run/format.ts";
import { checkpointNames, runVersion, texts } from "../run/store.ts";
import type {
  Advice,
  AskedIntervals,
  Checkpoint,
  CheckpointMeta,
  CheckpointName,
  Lock,
  MetricsLine,
  RunConfig,
  RunStore,
  RunText,
  TensorToWrite,
} from "../run/store.ts";
import type { ExpectedTensor } from "../safetensors/tensor.ts";
import { appendLines, isTemporaryName, removeLeftovers, syncFile, writeFileAtomic } from "./atomic.ts";
import { errorCode, fileError, UserError } from "./errors.ts";
import { isLockName, lockFolder } from "./lock.ts";
import { openSafetensors, readSafetensors, writeSafetensors } from "./safetensors.ts";

export interface RunFolder<T> extends RunStore<T> {
  readonly dir: string;
}

const configPath = (dir: string): string => join(dir, "config.json");
const metricsPath = (dir: string): string => join(dir, "metrics.jsonl");
const checkpointPath = (dir: string, name: CheckpointName): string => join(dir, `${name}.safetensors`);

/**
 * Makes `dir` a new run folder. An existing run is only replaced when `replace` says so, and then only the
 * files of a run are removed.
 *
 * @param options.source see `RunConfig`, as for `options.intervals`
 * @throws UserError when `dir` holds a run (without `replace`), holds anything else, is in use or cannot be written.
 */
export async function createRun<T>(
  dir: string,
  config: T,
  options: {
    readonly replace?: boolean;
    readonly now?: Date;
    readonly source?: string | undefined;
    readonly intervals?: AskedIntervals;
  } = {},
): Promise<RunFolder<T>> {
  // Looked at before and after: what is not ours gets no lock either, and another process may be making the same run.
  await emptyOrRun(dir, options);
  const lock = await lockFolder(dir);
  try {
    if (await emptyOrRun(dir, options)) {
      const old = [...checkpointNames.map((name) => `${name}.safetensors`), "metrics.jsonl", ...texts];
      await Promise.all(old.map((name) => rm(join(dir, name), { force: true }))).catch((error: unknown) => {
        throw fileError(error, "replace the run in", dir);
      });
    }
    const content = newEnvelope(config, options.now ?? new Date(), options.source, options.intervals);
    await writeFileAtomic(configPath(dir), envelopeText(content));
    await removeLeftovers(dir);
    return new Folder(dir, content);
  } finally {
    lock.release();
  }
}

/** Whether `dir`, which is made if need be, holds a run that may be replaced; else it is empty. @throws UserError otherwise */
async function emptyOrRun(dir: string, { replace }: { readonly replace?: boolean }): Promise<boolean> {
  const names = await prepareFolder(dir);
  if (names.includes("config.json")) {
    await readEnvelope(dir); // somebody else's config.json is not a run
    if (replace === true) return true;
    throw new UserError(`${dir} already holds a run; resume it, or choose another folder for the new one.`);
  }
  if (names.length === 0) return false;
  const more = names.length > 1 ? ` and ${names.length - 1} more` : "";
  throw new UserError(
    `${dir} is not empty and not a run folder (it holds ${names[0]}${more}); ` +
      "choose a new or an empty folder.",
  );
}

/**
 * Makes a folder and the missing ones above it. Not by Node's `recursive`, which never ends where the system says ENOENT for a
 * folder whose parent is there (as in /proc).
 */
async function makeFolder(dir: string): Promise<void> {
  try {
    await mkdir(dir);
  } catch (error) {
    const parent = dirname(dir);
    if (errorCode(error) === "EEXIST" && (await stat(dir)).isDirectory()) return;
    if (errorCode(error) !== "ENOENT" || parent === dir || (await exists(parent))) throw error;
    await makeFolder(parent);
    await mkdir(dir);
  }
}

/** Creates `dir` where needed; gives what it holds, without locks and the temporary files of an interrupted start. */
async function prepareFolder(dir: string): Promise<readonly string[]> {
  try {
    await makeFolder(dir);
    return (await readdir(dir)).filter((name) => !isTemporaryName(name) && !isLockName(name));
  } catch (error) {
    if (errorCode(error) === "EEXIST") throw new UserError(`${dir} is a file; a run needs a folder.`);
    throw fileError(error, "create the run folder", dir);
  }
}

/**
 * Opens an existing run and removes half-written temporary files of crashed processes.
 *
 * @param check turns the stored configuration into a `T`, or throws a `UserError`; `where` names the file for
 * its messages.
 * @throws UserError when `dir` is missing, no run folder, of another version, or its configuration is
 * damaged.
 */
export async function openRun<T>(
  dir: string,
  check: (value: unknown, where: string) => T,
): Promise<RunFolder<T>> {
  const envelope = await readEnvelope(dir);
  const config = check(envelope.config, configPath(dir));
  await removeLeftovers(dir);
  return new Folder(dir, { ...envelope, config });
}

async function readEnvelope(dir: string): Promise<Envelope> {
  const path = configPath(dir);
  let text: string;
  try {
    if (!(await stat(dir)).isDirectory()) throw new UserError(`${dir} is a file, not a run folder.`);
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw fileError(error, "read", path);
    throw new UserError(
      (await exists(dir))
        ? `${dir} is not a run folder: it has no config.json. Check the path, or start a new run.`
        : `There is no run folder ${dir}; check the path, or start a new run.`,
    );
  }
  return readEnvelopeText(text, path, dir);
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw fileError(error, "read", path);
  }
}

/** Whether the run has this checkpoint (not whether it is sound: `loadCheckpoint` tells). */
export async function hasCheckpoint(run: RunFolder<unknown>, name: CheckpointName): Promise<boolean> {
  return exists(checkpointPath(run.dir, name));
}

/**
 * Writes a checkpoint atomically, tensor by tensor. Metrics logged before are flushed first, so that a
 * checkpoint on disk never is ahead of its log, even after a power cut.
 *
 * @throws UserError when it cannot be written; the previous checkpoint is then still there.
 */
export async function saveCheckpoint(
  run: RunFolder<unknown>,
  name: CheckpointName,
  tensors: Iterable<TensorToWrite>,
  meta: CheckpointMeta,
): Promise<void> {
  await syncFile(metricsPath(run.dir));
  await writeSafetensors(checkpointPath(run.dir, name), tensors, checkpointMetadata(meta));
}

/** Removes a checkpoint that is no longer needed; one that is not there is fine. @throws UserError when it cannot be removed */
export async function removeCheckpoint(run: RunFolder<unknown>, name: CheckpointName): Promise<void> {
  const path = checkpointPath(run.dir, name);
  try {
    await rm(path, { force: true });
  } catch (error) {
    throw fileError(error, "remove", path);
  }
}

/**
 * Reads a checkpoint, with every value checked for size.
 *
 * @param expected the tensors it must hold, no more and no fewer; leave it out to accept any.
 * @throws UserError when it is missing, damaged, not of this program or version, or holds other tensors.
 */
export async function loadCheckpoint(
  run: RunFolder<unknown>,
  name: CheckpointName,
  expected?: ReadonlyMap<string, ExpectedTensor>,
): Promise<Checkpoint> {
  const path = await checkpointToRead(run, name);
  return checkpointOf(await readSafetensors(path), path, expected);
}

/** What a checkpoint says about itself; its tensors are not read. @throws UserError as `loadCheckpoint` does */
export async function checkpointMeta(run: RunFolder<unknown>, name: CheckpointName): Promise<CheckpointMeta> {
  const path = await checkpointToRead(run, name);
  const file = await openSafetensors(path);
  await file.close();
  return checkpointMetaOf(file.metadata, path);
}

async function checkpointToRead(run: RunFolder<unknown>, name: CheckpointName): Promise<string> {
  if (await hasCheckpoint(run, name)) return checkpointPath(run.dir, name);
  throw noCheckpoint(run.dir, name);
}

/** Appends lines to metrics.jsonl. @throws UserError when it cannot be written. */
export async function appendMetrics(run: RunFolder<unknown>, lines: readonly MetricsLine[]): Promise<void> {
  await appendLines(metricsPath(run.dir), lines);
}

/**
 * Reads metrics.jsonl, without a torn last line; empty when there is none. @throws UserError naming a bad
 * line.
 */
export async function readMetrics(run: RunFolder<unknown>): Promise<readonly MetricsLine[]> {
  const path = metricsPath(run.dir);
  return metricsLines(await bytesOf(path), path).map(({ line }) => line);
}

/**
 * Cuts metrics.jsonl before the first line past `step`, atomically, and keeps the bytes before it. A resumed
 * run then logs those steps again, and its log equals that of a run that was never interrupted.
 *
 * @throws UserError when the log is damaged or cannot be written.
 */
export async function rewindMetrics(run: RunFolder<unknown>, step: number): Promise<void> {
  const path = metricsPath(run.dir);
  const bytes = await bytesOf(path);
  const kept = metricsLength(bytes, path, step);
  if (kept < bytes.length) await writeFileAtomic(path, bytes.subarray(0, kept));
}

/** The bytes of a file; none where there is no file. */
async function bytesOf(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return new Uint8Array();
    throw fileError(error, "read", path);
  }
}

/** Writes samples.txt, report.html or vocabulary.json atomically. @throws UserError when it cannot be written. */
export async function writeRunText(run: RunFolder<unknown>, name: RunText, text: string): Promise<void> {
  await writeFileAtomic(join(run.dir, name), text);
}

/** A text of the run; undefined when there is none. */
async function readRunText(dir: string, name: RunText, mostBytes: number): Promise<string | undefined> {
  const path = join(dir, name);
  try {
    const status = await stat(path); // before opening, which would wait for ever at a named pipe
    if (!status.isFile()) throw new UserError(`${path} is no regular file; remove it.`);
    if (status.size > mostBytes)
      throw new UserError(
        `${path} has ${status.size} bytes, which is no ${name.replace(/\..*/, "")}; delete it.`,
      );
    return await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw fileError(error, "read", path);
  }
}

/** What to do about a run of the command line. */
const adviceFor = (dir: string, { variant }: { readonly variant?: unknown }): Advice => ({
  beginAgain: (label) =>
    `Delete ${dir}/state.safetensors and resume: the training of ${label} then begins again.`,
  dropState: (label) => `Delete state.safetensors there to begin the training of ${label} again.`,
  lowerRate: (setting, learningRate) =>
    `Lower "learningRate" (now ${learningRate}) under "${setting}" ` +
    `in ${dir}/config.json and go on with --resume ${dir}, or start a new run with a lower ${variant === undefined ? "--lr" : "--learning-rate"}.`,
  goOn: `What was saved is kept: go on with --resume ${dir}, perhaps on another device or saving more often.`,
  vocabulary: "delete it, and the text of the run gives the vocabulary again",
});

/** A run folder with what can be done with it. What it does is in the functions above, which are public. */
class Folder<T> implements RunFolder<T> {
  readonly format = "fluxion-run";
  readonly version = runVersion;
  readonly created: string;
  readonly source?: string;
  readonly intervals?: AskedIntervals;
  readonly config: T;
  readonly dir: string;

  constructor(dir: string, { created, source, intervals, config }: Omit<RunConfig<T>, "format" | "version">) {
    this.created = created;
    if (source !== undefined) this.source = source;
    if (intervals !== undefined) this.intervals = intervals;
    this.config = config;
    this.dir = dir;
  }

  get place(): string {
    return this.dir;
  }

  get advice(): Advice {
    return adviceFor(this.dir, this.config as { readonly variant?: unknown }); // of whatever settings
  }

  path(file: string): string {
    return join(this.dir, file);
  }

  lock(tell?: (line: string) => void): Promise<Lock> {
    return lockFolder(this.dir, tell);
  }

  hasCheckpoint(name: CheckpointName): Promise<boolean> {
    return hasCheckpoint(this, name);
  }

  checkpointMeta(name: CheckpointName): Promise<CheckpointMeta> {
    return checkpointMeta(this, name);
  }

  loadCheckpoint(name: CheckpointName, expected?: ReadonlyMap<string, ExpectedTensor>): Promise<Checkpoint> {
    return loadCheckpoint(this, name, expected);
  }

  saveCheckpoint(
    name: CheckpointName,
    tensors: Iterable<TensorToWrite>,
    meta: CheckpointMeta,
  ): Promise<void> {
    return saveCheckpoint(this, name, tensors, meta);
  }

  removeCheckpoint(name: CheckpointName): Promise<void> {
    return removeCheckpoint(this, name);
  }

  appendMetrics(lines: readonly MetricsLine[]): Promise<void> {
    return appendMetrics(this, lines);
  }

  readMetrics(): Promise<readonly MetricsLine[]> {
    return readMetrics(this);
  }

  rewindMetrics(step: number): Promise<void> {
    return rewindMetrics(this, step);
  }

  readText(name: RunText, mostBytes: number): Promise<string | undefined> {
    return readRunText(this.dir, name, mostBytes);
  }

  writeText(name: RunText, text: string): Promise<void> {
    return writeRunText(this, name, text);
  }
}
