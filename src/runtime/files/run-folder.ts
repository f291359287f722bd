/**
 * A run folder: what one training leaves on disk, and what sampling, reporting and resuming start from.
 *
 *   config.json          the settings, with the version of this layout
 *   vocabulary.json      the tokens, so that samples can be read without the text; see vocabulary-file.ts
 *   metrics.jsonl        one JSON line per logged step, only ever appended
 *   flm.safetensors, fmlm.safetensors     weights to sample from
 *   state.safetensors    while a run is unfinished, what is needed to go on: parameters, optimizer state, EMA, step
 *   samples.txt, report.html
 *   run.lock             while a process works on the run; see lock.ts
 *
 * Consumed by the training loop and the commands. The training configuration `T` is defined by them, and
 * checked by the function they pass. To add a file: a name in `checkpointNames` or `texts`.
 */
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FormatError, checkTensors } from "../safetensors/tensor.ts";
import type { ExpectedTensor, StoredTensor } from "../safetensors/tensor.ts";
import {
  appendLines,
  isTemporaryName,
  readJsonLines,
  removeLeftovers,
  syncFile,
  writeFileAtomic,
} from "./atomic.ts";
import { errorCode, fileError, UserError } from "./errors.ts";
import { fieldsOf } from "./fields.ts";
import { isLockName, lockFolder } from "./lock.ts";
import { openSafetensors, readSafetensors, writeSafetensors } from "./safetensors.ts";
import type { TensorToWrite } from "./safetensors.ts";

/**
 * Version of the folder's layout and of the checkpoint metadata. Raise it when an older reader would go
 * wrong.
 */
export const runVersion = 1;

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** Content of config.json. */
export interface RunConfig<T> {
  readonly format: "fluxion-run";
  readonly version: typeof runVersion;
  /** ISO 8601, UTC. */
  readonly created: string;
  readonly config: T;
}

export interface RunFolder<T> extends RunConfig<T> {
  readonly dir: string;
}

const checkpointNames = ["flm", "fmlm", "state"] as const;
const texts = ["samples.txt", "report.html", "vocabulary.json"] as const;
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

/** One line of metrics.jsonl. */
export interface MetricsLine {
  readonly step: number;
  readonly [key: string]: JsonValue;
}

const configPath = (dir: string): string => join(dir, "config.json");
const metricsPath = (dir: string): string => join(dir, "metrics.jsonl");
const checkpointPath = (dir: string, name: CheckpointName): string => join(dir, `${name}.safetensors`);

/**
 * Makes `dir` a new run folder. An existing run is only replaced when `replace` says so, and then only the
 * files of a run are removed.
 *
 * @throws UserError when `dir` holds a run (without `replace`), holds anything else, is in use or cannot be written.
 */
export async function createRun<T>(
  dir: string,
  config: T,
  options: { readonly replace?: boolean; readonly now?: Date } = {},
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
    const created = (options.now ?? new Date()).toISOString();
    const content: RunConfig<T> = { format: "fluxion-run", version: runVersion, created, config };
    await writeFileAtomic(configPath(dir), `${JSON.stringify(content, null, 2)}\n`);
    await removeLeftovers(dir);
    return { dir, ...content };
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
  const { created, config } = await readEnvelope(dir);
  const checked = check(config, configPath(dir));
  await removeLeftovers(dir);
  return { dir, format: "fluxion-run", version: runVersion, created, config: checked };
}

async function readEnvelope(dir: string): Promise<{ readonly created: string; readonly config: unknown }> {
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
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new UserError(
      `${path} is damaged: its ${text.length} characters are not JSON. ` +
        "Restore it, or start a new run in another folder.",
    );
  }
  const fields = fieldsOf(json, path);
  if (!fields.has("format") || fields.value("format") !== "fluxion-run") {
    throw new UserError(`${dir} is not a run folder: its config.json does not say "format": "fluxion-run".`);
  }
  checkVersion(fields.number("version", { integer: true, min: 1 }), path);
  return { created: fields.string("created"), config: fields.value("config") };
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

function checkVersion(version: number, path: string): void {
  if (version === runVersion) return;
  throw new UserError(
    `${path} has layout version ${version}, and this program reads version ${runVersion}; ` +
      `use the version of fluxion that wrote it${version > runVersion ? " or a newer one" : ""}.`,
  );
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
  const metadata = new Map([
    ["format", "fluxion-checkpoint"],
    ["version", String(runVersion)],
    ["meta", JSON.stringify(meta, refuseNonFinite)],
  ]);
  await writeSafetensors(checkpointPath(run.dir, name), tensors, metadata);
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

/** JSON would turn NaN and infinity into null, and the resumed run would silently differ. */
function refuseNonFinite(key: string, value: unknown): unknown {
  if (typeof value !== "number" || Number.isFinite(value)) return value;
  throw new RangeError(`checkpoint metadata ${JSON.stringify(key)} is ${value}; JSON cannot hold that.`);
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
  const { tensors, metadata } = await readSafetensors(path);
  const meta = metaOf(metadata, path);
  try {
    if (expected !== undefined) checkTensors(tensors, expected);
  } catch (error) {
    if (error instanceof FormatError) throw new UserError(`${path} does not fit the model: ${error.message}`);
    throw error;
  }
  return { tensors, meta };
}

/** What a checkpoint says about itself; its tensors are not read. @throws UserError as `loadCheckpoint` does */
export async function checkpointMeta(run: RunFolder<unknown>, name: CheckpointName): Promise<CheckpointMeta> {
  const path = await checkpointToRead(run, name);
  const file = await openSafetensors(path);
  await file.close();
  return metaOf(file.metadata, path);
}

async function checkpointToRead(run: RunFolder<unknown>, name: CheckpointName): Promise<string> {
  if (await hasCheckpoint(run, name)) return checkpointPath(run.dir, name);
  throw new UserError(
    `The run ${run.dir} has no ${name}.safetensors: its training has not come that far. ` +
      (name === "state" ? "Start it again." : "Resume it, and try again when it is done."),
  );
}

function metaOf(metadata: ReadonlyMap<string, string>, path: string): CheckpointMeta {
  if (metadata.get("format") !== "fluxion-checkpoint") {
    throw new UserError(
      `${path} is a safetensors file, but not a checkpoint of a run: its metadata lacks the format.`,
    );
  }
  checkVersion(Number(metadata.get("version")), path);
  return parseMeta(metadata.get("meta") ?? "", path);
}

function parseMeta(text: string, path: string): CheckpointMeta {
  let json: { readonly [key: string]: JsonValue };
  try {
    json = JSON.parse(text);
  } catch {
    throw new UserError(`${path} is damaged: the "meta" in its metadata is not JSON.`);
  }
  const fields = fieldsOf(json, `${path}: meta`);
  return { ...json, step: fields.number("step", { integer: true, min: 0 }), phase: fields.string("phase") };
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
  return (await metricsLines(run)).map(({ line }) => line);
}

/**
 * Cuts metrics.jsonl before the first line past `step`, atomically, and keeps the bytes before it. A resumed
 * run then logs those steps again, and its log equals that of a run that was never interrupted.
 *
 * @throws UserError when the log is damaged or cannot be written.
 */
export async function rewindMetrics(run: RunFolder<unknown>, step: number): Promise<void> {
  const lines = await metricsLines(run);
  const cut = lines.find(({ line }) => line.step > step)?.begin ?? lines.at(-1)?.end ?? 0;
  const path = metricsPath(run.dir);
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return;
    throw fileError(error, "read", path);
  }
  if (cut < bytes.length) await writeFileAtomic(path, bytes.subarray(0, cut));
}

interface PlacedLine {
  readonly line: MetricsLine;
  readonly begin: number;
  readonly end: number;
}

async function metricsLines(run: RunFolder<unknown>): Promise<readonly PlacedLine[]> {
  const path = metricsPath(run.dir);
  if (!(await exists(path))) return [];
  return (await readJsonLines(path)).map(({ value, begin, end }, index) => {
    const step = fieldsOf(value, `${path}: line ${index + 1}`).number("step", { integer: true, min: 0 });
    // JSON.parse gives JSON values, and fieldsOf has just made sure that this one is an object.
    return { line: { ...(value as { readonly [key: string]: JsonValue }), step }, begin, end };
  });
}

/** Writes samples.txt, report.html or vocabulary.json atomically. @throws UserError when it cannot be written. */
export async function writeRunText(run: RunFolder<unknown>, name: RunText, text: string): Promise<void> {
  await writeFileAtomic(join(run.dir, name), text);
}
