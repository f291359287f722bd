/**
 * The engine behind the page: one device, the runs in the page's storage, and at most one training. Requests for texts are served between
 * the steps of a training, so neither waits for the other's end.
 *
 * Consumed by worker.ts, which makes it callable from the page. To answer another question: a method of `Engine` in protocol.ts, and here.
 */
import type { PreparedText, Vocabulary } from "../../../src/models/data/index.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";
import { ReopenableDevice } from "../../../src/runtime/reopenable.ts";
import { loadVocabulary, vocabularyText } from "../../../src/runtime/run/vocabulary.ts";
import { prepareCorpus, textFingerprint, textName, textOfRun } from "../../../src/runtime/text/documents.ts";
import type { Corpus } from "../../../src/runtime/text/documents.ts";
import type { TrainingConfig } from "../../../src/runtime/training/config.ts";
import type { Subject } from "../../../src/runtime/training/subject.ts";
import type { Exports } from "../../../src/runtime/user-exports.ts";
import { chooseDevice } from "./device.ts";
import type { ChosenDevice } from "./device.ts";
import { explainRun } from "./explaining.ts";
import { declarationFile, declarationIn, KEPT, keptDeclaration } from "./declaration.ts";
import { exportFiles, importFiles } from "./import.ts";
import type { Asked } from "./models.ts";
import type {
  DeviceInfo,
  Engine,
  EngineEvent,
  ExplainProgress,
  Forming,
  FormingRequest,
  ModelName,
  RunDetail,
  RunSettings,
  RunSummary,
  SampleRequest,
  SampleResult,
  StepExplanation,
  TextSource,
} from "./protocol.ts";
import { blobPieces, fileOfText, Runs, TEXT } from "./runs.ts";
import type { KnownRun } from "./runs.ts";
import { configOf } from "./settings.ts";
import { adaptersIn } from "./storage/adapters.ts";
import type { Storage } from "./storage/folder.ts";
import { openStorage } from "./storage/open.ts";
import { isUsers, subjectOfRun } from "./subject.ts";
import { aboutSubject, historyOf, summaryOf } from "./summary.ts";
import { bundledCorpus, checkTextFile, fileCorpus, textIn } from "./texts.ts";
import { Training } from "./training.ts";
import { Turns } from "./turns.ts";

/** What an explanation is rejected with when it is stopped. */
const STOPPED = new Error("Stopped.");

/** What is there once the engine is open. */
interface Opened {
  readonly storage: Storage;
  readonly runs: Runs;
  readonly devices: ReopenableDevice;
  readonly turns: Turns;
}

/** A declaration in a user's file, in the worker that runs it. */
export interface UsersCode {
  /** Runs the file. @throws whatever it throws */
  exports(): Promise<Exports>;
  /** What is said of an error: with the user's line where there is one. */
  sentence(error: unknown): string;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export class StudioEngine implements Engine {
  readonly #users: UsersCode | undefined;
  /** Of the user's file. */
  #exports: Exports | undefined;
  #tell: (event: EngineEvent) => void = () => undefined;
  #info: DeviceInfo | undefined;
  #opening: Promise<Opened> | undefined;
  #training: Training | undefined;
  /** Settled when the training is over and told to be. */
  #over: Promise<void> = Promise.resolve();
  /** What begins and ends trainings comes one after the other, however fast somebody clicks. */
  #order: Promise<unknown> = Promise.resolve();
  /** Of the explanation that was asked for last. */
  #explaining = new AbortController();
  /** The text that was prepared last: resuming and starting again need it as it is. */
  #text: { readonly fingerprint: string; readonly text: PreparedText } | undefined;

  /** @param users what runs of a user's declaration are opened with; without it they are shown, and no more */
  constructor(users?: UsersCode) {
    this.#users = users;
  }

  async open(
    listener: (event: EngineEvent) => void,
  ): Promise<{ device: DeviceInfo; runs: readonly RunSummary[] }> {
    this.#tell = listener;
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    const { storage } = await this.#opening;
    if (storage.fleeting !== undefined) this.#tell({ kind: "note", text: storage.fleeting });
    return { device: this.#info as DeviceInfo, runs: await this.runs() }; // opening sets it
  }

  async #open(): Promise<Opened> {
    this.#exports = await this.#users?.exports();
    const storage = await openStorage();
    const memory = adaptersIn(storage);
    const devices = await ReopenableDevice.open(async () => this.#chosen(await chooseDevice(memory)));
    return { storage, runs: new Runs(storage), devices, turns: new Turns(devices) };
  }

  #chosen({ device, info }: ChosenDevice): ChosenDevice["device"] {
    this.#info = info;
    this.#tell({ kind: "device", device: info });
    return device;
  }

  #opened(): Promise<Opened> {
    if (this.#opening === undefined) throw new Error("open() is to be called first");
    return this.#opening;
  }

  async runs(): Promise<readonly RunSummary[]> {
    const { runs, problems } = await (await this.#opened()).runs.list();
    for (const text of problems) this.#tell({ kind: "note", text });
    return Promise.all(runs.map((known) => this.#summary(known)));
  }

  #summary(known: KnownRun): Promise<RunSummary> {
    return summaryOf(known, this.#training?.run.id === known.run.id ? this.#training : undefined);
  }

  async run(id: string): Promise<RunDetail> {
    return this.#detail(await (await this.#opened()).runs.open(id));
  }

  async #detail(known: KnownRun): Promise<RunDetail> {
    const { run } = known;
    const vocabulary = await vocabularyOf(known);
    const training = this.#training?.run.id === run.id ? this.#training : undefined;
    const shown = isUsers(run.config) && this.#exports === undefined;
    const subject = shown ? undefined : this.#subjectOf(known, vocabulary);
    return {
      ...(await this.#summary(known)),
      history: training?.history ?? historyOf(run.config, await run.readMetrics()),
      tokens: vocabulary.tokens,
      ...aboutSubject(subject, run.config),
    };
  }

  #subjectOf({ run }: Pick<KnownRun, "run">, vocabulary: Vocabulary): Subject {
    return subjectOfRun(run.config, vocabulary.tokens.length, this.#exports);
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#order.then(work);
    this.#order = mine.catch(() => undefined);
    return mine;
  }

  start(settings: RunSettings, source: TextSource): Promise<RunDetail> {
    return this.#inOrder(() => this.#start(settings, source));
  }

  async #start(settings: RunSettings, source: TextSource): Promise<RunDetail> {
    const { runs } = await this.#opened();
    const file = source.kind === "file" ? source.file : undefined;
    if (file !== undefined) checkTextFile(file);
    const config = configOf(settings, file?.name ?? null);
    await this.#stop();
    const text = preparedFor(
      file === undefined ? await bundledCorpus() : await fileCorpus(file, file.name),
      config,
    );
    const fingerprint = textFingerprint(text);
    this.#text = { fingerprint, text };
    const data = { ...config.data, fingerprint };
    const known = await runs.make(
      { ...config, data },
      { origin: "trained", text: textName(data) },
      { vocabulary: vocabularyText(text.vocabulary, fingerprint), text: file },
    );
    return this.#train(known, text);
  }

  resume(id: string): Promise<RunDetail> {
    return this.#inOrder(() => this.#resume(id));
  }

  async #resume(id: string): Promise<RunDetail> {
    const { runs } = await this.#opened();
    if (this.#training?.run.id === id) return this.run(id);
    const known = await runs.open(id);
    const { stuck } = await this.#summary(known);
    if (stuck !== undefined) throw new UserError(stuck);
    this.#subjectOf(known, await vocabularyOf(known)); // throws where its declaration does not run
    await this.#stop();
    const { config } = known.run;
    if (this.#text === undefined || this.#text.fingerprint !== config.data.fingerprint) {
      const text = textOfRun(await this.#corpusOf(known), config);
      this.#text = { fingerprint: textFingerprint(text), text };
    }
    return this.#train(known, this.#text.text);
  }

  async #corpusOf({ run }: KnownRun): Promise<Corpus> {
    const { file } = run.config.data;
    if (file === null) return bundledCorpus();
    const text = await (await this.#opened()).runs.textOf(run);
    if (text === undefined)
      throw new UserError(
        `The text ${file} of this run is not in the page's storage; choose that file beside the run, and it goes on.`,
      );
    return fileCorpus(text, file);
  }

  /** Begins to train, or goes on. Resolves when the training has the run to itself. @throws UserError when it cannot begin */
  async #train(known: KnownRun, text: PreparedText): Promise<RunDetail> {
    const { devices, turns } = await this.#opened();
    const material = { text, subject: this.#subjectOf(known, text.vocabulary) };
    const training = new Training(known, material, {
      tell: (event) => this.#tell(event),
      turns,
      summary: () => this.#summary(known),
      sentence: this.#users?.sentence ?? messageOf,
    });
    await turns.idle();
    this.#training = training;
    const ended = training.train(devices).finally(() => {
      this.#training = undefined;
      turns.free();
    });
    const told = async (): Promise<void> => this.#tell({ kind: "state", run: await this.#summary(known) });
    // What went wrong was told by the training, or is thrown below, where it did not begin.
    this.#over = ended
      .catch(() => undefined)
      .then(told)
      .catch(() => undefined);
    await Promise.race([training.begun, ended]);
    const detail = await this.#detail(known);
    this.#tell({ kind: "state", run: detail });
    return detail;
  }

  pause(): Promise<void> {
    return this.#inOrder(() => this.#stop());
  }

  async #stop(): Promise<void> {
    this.#training?.stop();
    await this.#over;
  }

  remove(id: string): Promise<void> {
    return this.#inOrder(async () => {
      const { runs, turns } = await this.#opened();
      if (this.#training?.run.id === id) await this.#stop();
      await turns.take(async (models) => models.forget());
      await runs.remove(id);
    });
  }

  async importRun(files: readonly File[]): Promise<RunDetail> {
    return this.#detail(await importFiles((await this.#opened()).runs, files));
  }

  async give(id: string, file: File, as: "declaration" | "text"): Promise<RunDetail> {
    const known = await (await this.#opened()).runs.open(id);
    const { run } = known;
    if (as === "declaration" && isUsers(run.config)) {
      await run.folder.write(KEPT, blobPieces(declarationFile(await declarationIn(file))));
    } else {
      if (as === "declaration" || fileOfText(run.config) === undefined)
        throw new UserError(`The run ${id} has all that it needs; ${file.name} is no part of it.`);
      await textIn(file, run.config);
      await run.folder.write(TEXT, blobPieces(file));
    }
    return this.#detail(known);
  }

  async declaration(id: string): Promise<{ readonly name: string; readonly text: string }> {
    const { runs, storage } = await this.#opened();
    if (storage.fleeting !== undefined)
      throw new UserError(
        "A declaration runs in a worker of its own, which finds the run in the files of this page, and this browser keeps none; use another window or browser.",
      );
    const { run } = await runs.open(id);
    const kept = await keptDeclaration(run);
    if (kept === undefined)
      throw new UserError(`The file ${run.config.variant?.file} was not given yet; choose it, or drop it.`);
    return { name: kept.name, text: kept.text };
  }

  async exportRun(id: string): Promise<readonly { readonly name: string; readonly blob: Blob }[]> {
    const { runs, turns } = await this.#opened();
    const known = await runs.open(id);
    // Between two steps nothing is written, so the files are of one moment.
    return turns.take(() => exportFiles(known));
  }

  async sample(request: SampleRequest): Promise<SampleResult> {
    const asked = await this.#asked(request.run, request.model);
    const { turns } = await this.#opened();
    return turns.take((models, live) =>
      models.sample(asked, request, live?.lendOf(asked.run.id, request.model)),
    );
  }

  async form(request: FormingRequest): Promise<Forming> {
    const asked = await this.#asked(request.run, request.model);
    const { turns } = await this.#opened();
    return turns.take((models, live) =>
      models.form(asked, request, live?.lendOf(asked.run.id, request.model)),
    );
  }

  async explain(id: string): Promise<StepExplanation> {
    this.#explaining.abort(STOPPED);
    const { signal } = (this.#explaining = new AbortController());
    const onProgress = (progress: ExplainProgress): void => {
      if (!signal.aborted) this.#tell({ kind: "explaining", run: id, progress });
    };
    const { runs, devices, turns } = await this.#opened();
    const known = await runs.open(id);
    const vocabulary = await vocabularyOf(known);
    const of = { run: known.run, subject: this.#subjectOf(known, vocabulary) };
    const vocab = vocabulary.tokens.length;
    onProgress({ stage: "waiting" });
    const explained = turns.take(async (_, live) => {
      signal.throwIfAborted();
      const phase = this.#training?.run.id === id ? this.#training.phase : undefined;
      return explainRun(of, vocab, phase, live?.device ?? devices.device, { onProgress, signal });
    });
    // Who stops it is answered at once. Its turn ends when the GPU has done what it was given.
    return new Promise((resolve, reject) => {
      const stopped = (): void => reject(signal.reason as Error); // as it is aborted with
      if (signal.aborted) stopped();
      signal.addEventListener("abort", stopped);
      explained.then(resolve, reject);
    });
  }

  async stopExplaining(): Promise<void> {
    this.#explaining.abort(STOPPED);
  }

  async #asked(id: string, model: ModelName): Promise<Asked> {
    const known = await (await this.#opened()).runs.open(id);
    const vocabulary = await vocabularyOf(known);
    return { run: known.run, subject: this.#subjectOf(known, vocabulary), vocabulary, model };
  }
}

/** The text of a new run. */
const preparedFor = (corpus: Corpus, { data, network }: TrainingConfig): PreparedText => {
  const { tokens, vocabularySize, unknown } = data;
  return prepareCorpus(corpus, { tokens, vocabularySize, unknown, minimumSplitTokens: network.length });
};

async function vocabularyOf({ run }: KnownRun): Promise<Vocabulary> {
  const vocabulary = await loadVocabulary(run, run.config.data.fingerprint);
  if (vocabulary !== undefined) return vocabulary;
  throw new UserError(`The run ${run.id} has lost its vocabulary; remove it, and start another one.`);
}
