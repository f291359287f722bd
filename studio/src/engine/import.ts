/**
 * Run folders of the command line, dropped into the page: looked at before anything large is read, and kept only when all of it fits
 * together. And the way back: the files of a run, for the command line. Consumed by engine.ts.
 */
import { UserError } from "../../../src/runtime/files/errors.ts";
import { checkpointMetaOf, newEnvelope, readEnvelopeText } from "../../../src/runtime/run/format.ts";
import type { RunConfig } from "../../../src/runtime/run/store.ts";
import { loadVocabulary } from "../../../src/runtime/run/vocabulary.ts";
import { checkTensors, FormatError } from "../../../src/runtime/safetensors/tensor.ts";
import { textName } from "../../../src/runtime/text/documents.ts";
import { checkConfig } from "../../../src/runtime/training/config.ts";
import type { TrainingConfig } from "../../../src/runtime/training/config.ts";
import { modelShape } from "../../../src/runtime/training/load-model.ts";
import { stateShapeOf } from "../../../src/runtime/training/phases.ts";
import { phasesOf } from "../../../src/runtime/training/subject.ts";
import { expectedState, expectedTensors, officialNaming } from "../../../src/runtime/training/state-files.ts";
import { isModuleName } from "../../../src/runtime/user-exports.ts";
import { declarationFile, declarationIn, KEPT } from "./declaration.ts";
import { fileOfText, isOwnFile, TEXT } from "./runs.ts";
import type { FileToKeep, KnownRun, Runs } from "./runs.ts";
import { readHeader } from "./storage/checkpoint-blob.ts";
import { storageError } from "./storage/folder.ts";
import { isUsers, subjectOfRun } from "./subject.ts";
import { textIn } from "./texts.ts";
import { memoryStorage } from "./storage/memory.ts";
import { StoredRun } from "./storage/run.ts";

const MEGABYTE = 2 ** 20;
/** What files of these names may have at most, in bytes. */
const MOST: Readonly<Record<string, number>> = {
  "config.json": MEGABYTE,
  "vocabulary.json": 64 * MEGABYTE,
  "metrics.jsonl": 64 * MEGABYTE,
  "flm.safetensors": 512 * MEGABYTE,
  "fmlm.safetensors": 512 * MEGABYTE,
  // Four numbers for each that weights have: itself, both averages of the optimizer, and its moving average.
  "state.safetensors": 2048 * MEGABYTE,
};
const MODELS = ["flm", "fmlm"] as const;
const STATE = "state.safetensors";
/** Sizes of a network beyond which a settings file is not believed. */
const PLAUSIBLE = {
  length: 4096,
  width: 16_384,
  depth: 256,
  heads: 1024,
  conditioning: 16_384,
  mlpRatio: 64,
} as const;

const mebibytes = (bytes: number): number => Math.ceil(bytes / MEGABYTE);

/**
 * Takes a run folder's files: config.json, vocabulary.json, at least one model or the state of a training, and the log where there is one, in
 * any order. With them may come the file of the user's that declares what was trained, which is kept and not run, and the text.
 * @throws UserError in a sentence, for whatever does not belong to a run or does not fit together; nothing is kept then
 */
export async function importFiles(runs: Runs, files: readonly File[]): Promise<KnownRun> {
  const found = byName(files);
  const config = found.get("config.json");
  const weights = MODELS.filter((name) => found.has(`${name}.safetensors`));
  const missing = [
    ...(config === undefined ? ["config.json"] : []),
    ...(found.has("vocabulary.json") ? [] : ["vocabulary.json"]),
    ...(weights.length === 0 && !found.has(STATE)
      ? ["flm.safetensors, fmlm.safetensors or state.safetensors"]
      : []),
  ];
  if (config === undefined || missing.length > 0) throw new UserError(incomplete(files, missing));
  const envelope = await envelopeOf(config);
  const kept: FileToKeep[] = [...found]
    .filter(([name]) => name !== "config.json")
    .map(([name, content]) => ({ name, content }));
  await checkTogether(envelope, kept, weights);
  const declaration = moduleAmong(files, envelope.config);
  if (declaration !== undefined)
    kept.push({ name: KEPT, content: declarationFile(await declarationIn(declaration)) });
  const text = await textAmong(files, envelope.config);
  if (text !== undefined) kept.push({ name: TEXT, content: text });
  return runs.adopt(envelope, fileOfText(envelope.config) ?? textName(envelope.config.data), kept);
}

/** The file that declares what a run trains, by its name; or the only one that may be a module, and is not the run's text. */
function moduleAmong(files: readonly File[], config: TrainingConfig): File | undefined {
  const { variant } = config;
  if (variant?.file === undefined) return undefined;
  const text = fileOfText(config);
  const modules = files.filter(({ name }) => isModuleName(name) && (name === variant.file || name !== text));
  return modules.find(({ name }) => name === variant.file) ?? (modules.length === 1 ? modules[0] : undefined);
}

/** The text of a run, by its name, if it is the one of then; another one is asked for when it is needed. */
async function textAmong(files: readonly File[], config: TrainingConfig): Promise<File | undefined> {
  const named = fileOfText(config);
  const file = files.find(({ name }) => name === named && !(name in MOST));
  if (file === undefined) return undefined;
  try {
    await textIn(file, config);
    return file;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/** The files that matter, by their names. @throws UserError for two of one name, and for what is too large */
function byName(files: readonly File[]): Map<string, File> {
  const found = new Map<string, File>();
  for (const file of files) {
    const most = MOST[file.name];
    if (most === undefined) continue; // samples.txt, report.html, and whatever else lies in a folder
    if (found.has(file.name))
      throw new UserError(`There are two files named ${file.name}; drop the files of one run at a time.`);
    if (file.size > most)
      throw new UserError(
        `${file.name} has ${mebibytes(file.size)} MiB, and at most ${mebibytes(most)} MiB can be taken in here; use the command line for it.`,
      );
    found.set(file.name, file);
  }
  return found;
}

function incomplete(files: readonly File[], missing: readonly string[]): string {
  const needs =
    "A run is config.json, vocabulary.json and what was trained (flm.safetensors, fmlm.safetensors or state.safetensors), as the command line writes them; drop them together.";
  if (files.length === 0) return `Nothing was dropped. ${needs}`;
  const what = files.length === 1 ? `${files[0]?.name} is` : `These ${files.length} files are`;
  const parts = files.some(({ name }) => name in MOST);
  return parts
    ? `${what} not a whole run: ${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} missing. ${needs}`
    : `${what} no part of a run. ${needs}`;
}

async function envelopeOf(file: File): Promise<RunConfig<TrainingConfig>> {
  const text = await file.text().catch((error: unknown) => {
    throw storageError(error, "read", file.name);
  });
  const { created, source, intervals, config: found } = readEnvelopeText(text, file.name, "What was dropped");
  const config = checkConfig(found, file.name);
  for (const size of Object.keys(PLAUSIBLE) as (keyof typeof PLAUSIBLE)[]) {
    const [asked = 0, most] = [config.network[size], PLAUSIBLE[size]];
    if (asked > most)
      throw new UserError(
        `${file.name} asks for a ${size} of ${asked}, and at most ${most} can be used here.`,
      );
  }
  return { ...newEnvelope(config, new Date(), source, intervals), created: dated(created) };
}

/** A date that is none would sort anywhere and print as anything. */
const dated = (created: string): string =>
  Number.isNaN(Date.parse(created)) ? new Date(0).toISOString() : new Date(created).toISOString();

/** Whether vocabulary and weights are those of the settings. Of weights the header tells: no value is read. */
async function checkTogether(
  envelope: RunConfig<TrainingConfig>,
  files: readonly FileToKeep[],
  weights: readonly (typeof MODELS)[number][],
): Promise<void> {
  // A run in memory that holds what was dropped; blobs are read where they are.
  const folder = await memoryStorage("").make("");
  const blobs = new Map(files.map(({ name, content }) => [name, content]));
  const dropped = new StoredRun("", { ...folder, read: async (name) => blobs.get(name) }, envelope);
  const vocabulary = await loadVocabulary(dropped, envelope.config.data.fingerprint);
  const vocab = vocabulary?.tokens.length ?? 0;
  // Throws where the package has no such declaration. What a user's file declares is seen when it runs.
  if (!isUsers(envelope.config)) subjectOfRun(envelope.config, vocab);
  for (const name of weights) {
    const path = `${name}.safetensors`;
    const { entries, metadata } = await readHeader(blobs.get(path) as Blob, path); // `weights` are those that are there
    checkpointMetaOf(metadata, path);
    const { options, spec } = modelShape({ run: dropped, name, vocab }, 1);
    fits(path, entries, expectedTensors(spec, officialNaming(options.network)));
  }
  const state = blobs.get(STATE);
  if (state !== undefined) await checkState(envelope.config, state, vocab);
  await dropped.readMetrics(); // throws where the log is damaged
}

/** Whether a state is one of the run's trainings. Of a user's declaration that is seen when it runs: its weighting may have weights. */
async function checkState(config: TrainingConfig, state: Blob, vocab: number): Promise<void> {
  const { entries, metadata } = await readHeader(state, STATE);
  const { phase } = checkpointMetaOf(metadata, STATE);
  const name = phasesOf(config).find((one) => one === phase);
  if (name === undefined)
    throw new UserError(`${STATE} is of the training "${phase}", which this run has not.`);
  if (isUsers(config)) return;
  const { spec, layout } = stateShapeOf(config, subjectOfRun(config, vocab), name, vocab);
  fits(STATE, entries, expectedState(spec, layout));
}

/** @throws UserError where tensors are missing, or others than they are to be */
function fits(path: string, ...tensors: Parameters<typeof checkTensors>): void {
  try {
    checkTensors(...tensors);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new UserError(`${path} does not fit config.json and vocabulary.json: ${error.message}`);
  }
}

/** A run's files as the command line has them, copied: what a page saves is read later, and a training may have written by then. */
export async function exportFiles({
  run,
}: KnownRun): Promise<readonly { readonly name: string; readonly blob: Blob }[]> {
  const files: { readonly name: string; readonly blob: Blob }[] = [];
  for (const name of await run.folder.names()) {
    const blob = isOwnFile(name) ? undefined : await run.folder.read(name);
    if (blob !== undefined) files.push({ name, blob: await copied(blob, run.path(name)) });
  }
  return files;
}

const copied = async (blob: Blob, path: string): Promise<Blob> =>
  new Blob([
    await blob.arrayBuffer().catch((error: unknown) => {
      throw storageError(error, "read", path);
    }),
  ]);
