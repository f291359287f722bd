/**
 * The engine as the page sees it: a store of signals that its events keep up to date, and calls that never throw. What fails becomes a
 * sentence in `problems`, and stays there until it is dismissed.
 *
 * Consumed by everything in page/. To show more of what the engine tells: a signal here, and a case in `heard`.
 */
import { batch, computed, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";
import { declarationStore } from "./declaration-store.ts";
import type { DeclarationStore } from "./declaration-store.ts";
import { STOPPED } from "./declared.ts";
import type { Declarations } from "./declared.ts";
import { legible } from "./legible.ts";
import type {
  DeviceInfo,
  EngineEvent,
  ExplainProgress,
  Forming,
  FormingRequest,
  LossPoint,
  ModelName,
  RunDetail,
  RunSettings,
  RunSummary,
  SampleRequest,
  SampleResult,
  StepExplanation,
  TextSource,
} from "./protocol.ts";

/** A run whose text has a name that can be read among other words. */
const named = <T extends RunSummary>(run: T): T => ({ ...run, text: legible(run.text) });

/** Something that did not work, said so that the visitor knows what to do. */
export interface Problem {
  readonly id: number;
  readonly text: string;
}

/** Where a training is. */
export interface Progress {
  readonly run: string;
  readonly phase: ModelName;
  readonly done: number;
  readonly steps: number;
  readonly loss: number;
  readonly gradientNorm: number;
  readonly tokensPerSecond: number;
  readonly times: readonly number[];
}

/** Texts that a training showed. */
export interface ShownTexts {
  readonly phase: ModelName;
  /** Steps of the phase that were done. */
  readonly done: number;
  readonly texts: readonly string[];
}

/** What is between the click and the first step. */
export type Activity = "opening" | "starting" | "preparing" | "pausing" | "training" | undefined;

export interface Studio {
  readonly device: ReadonlySignal<DeviceInfo | undefined>;
  readonly runs: ReadonlySignal<readonly RunSummary[]>;
  /** The run that is looked at. */
  readonly run: ReadonlySignal<RunDetail | undefined>;
  /** The run's log, growing while it trains. */
  readonly points: ReadonlySignal<readonly LossPoint[]>;
  readonly progress: ReadonlySignal<Progress | undefined>;
  readonly texts: ReadonlySignal<readonly ShownTexts[]>;
  readonly activity: ReadonlySignal<Activity>;
  /** Where the explanation that was asked for has come to. */
  readonly explaining: ReadonlySignal<ExplainProgress | undefined>;
  /** Which run is being trained now. */
  readonly training: ReadonlySignal<string | undefined>;
  /** The last thing that happened, for those who do not see it. */
  readonly note: ReadonlySignal<string>;
  readonly problems: ReadonlySignal<readonly Problem[]>;
  /** What the run that is looked at was trained from, where that is in a file. */
  readonly declaration: DeclarationStore;

  open(): Promise<void>;
  start(settings: RunSettings, text: TextSource): Promise<boolean>;
  pause(): Promise<void>;
  resume(id: string): Promise<void>;
  /** Takes the text of a run, and goes on with it. */
  resumeWith(id: string, text: File): Promise<void>;
  /** Takes the text of the run that is looked at, and no more. Resolves to whether it is that. */
  giveText(text: File): Promise<boolean>;
  choose(id: string): Promise<void>;
  remove(id: string): Promise<void>;
  importFiles(files: readonly File[]): Promise<boolean>;
  /** The files, or nothing where they could not be read, which `problems` tells. */
  exportRun(id: string): Promise<readonly { readonly name: string; readonly blob: Blob }[] | undefined>;
  sample(request: SampleRequest): Promise<SampleResult | undefined>;
  form(request: FormingRequest, quietly?: boolean): Promise<Forming | undefined>;
  /** Rejects with the engine's sentence: the view that asks shows it in its place. */
  explain(id: string): Promise<StepExplanation>;
  /** The explanation rejects with "Stopped." */
  stopExplaining(): Promise<void>;
  say(note: string): void;
  report(problem: string): void;
  dismiss(id: number): void;
}

/** Texts are kept for looking back, the newest first. */
const KEPT_TEXTS = 40;

const sentence = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error);
  return /[.!?]$/.test(text) ? text : `${text}.`;
};

const pausedAt = (done: number, steps: number): string =>
  done === steps ? "The training is over." : `The training is paused at step ${done} of ${steps}.`;

/** @param declarations the engine's worker, or what stands for it in a test, and those of users' files */
export function studio(declarations: Declarations): Studio {
  const { engine } = declarations;
  const device = signal<DeviceInfo | undefined>(undefined);
  const runs = signal<readonly RunSummary[]>([]);
  const run = signal<RunDetail | undefined>(undefined);
  const points = signal<readonly LossPoint[]>([]);
  const progress = signal<Progress | undefined>(undefined);
  const texts = signal<readonly ShownTexts[]>([]);
  const activity: Signal<Activity> = signal("opening");
  const training = signal<string | undefined>(undefined);
  const explaining = signal<ExplainProgress | undefined>(undefined);
  const note = signal("");
  const problems = signal<readonly Problem[]>([]);
  let problemCount = 0;

  const report = (problem: string): void => {
    const text = legible(problem);
    // The same sentence twice says nothing new.
    const others = problems.value.filter((other) => other.text !== text);
    problems.value = [...others, { id: ++problemCount, text }];
  };
  const say = (text: string): void => {
    note.value = legible(text);
  };
  async function attempt<T>(what: string, task: () => Promise<T>): Promise<T | undefined> {
    try {
      return await task();
    } catch (error) {
      // Whoever stopped it knows why it is not done.
      if (error instanceof Error && error.message === STOPPED) say(STOPPED);
      else report(`${what}: ${sentence(error)}`);
      return undefined;
    }
  }

  /** Counts what was chosen to be looked at; what is shown makes older choices void. */
  let chosen = 0;
  const show = (told: RunDetail): void =>
    batch(() => {
      const detail = named(told);
      chosen++;
      if (run.value?.id !== detail.id) {
        texts.value = [];
        progress.value = undefined;
      }
      run.value = detail;
      points.value = detail.history;
      waiting = []; // of this run they are in its history
      put(detail);
      declaration.left(detail.id);
    });
  const declaration = declarationStore({ run, training, declarations, attempt, show, say });
  const put = (summary: RunSummary): void => {
    const others = runs.value.filter(({ id }) => id !== summary.id);
    runs.value = [summary, ...others].sort((a, b) => b.created.localeCompare(a.created));
  };
  const isOpen = (id: string): boolean => run.value?.id === id;
  /** A training that was asked for. It may be over already: then its events were heard before this. */
  const begun = (detail: RunDetail): void => {
    if (detail.state === "training") training.value = detail.id;
    else if (training.value === undefined) activity.value = undefined;
    show(detail);
  };

  /** Points arrive faster than a screen shows them: they are laid down together, once a frame. */
  let waiting: LossPoint[] = [];
  const later: (task: () => void) => void =
    typeof requestAnimationFrame === "function"
      ? (task) => {
          // A hidden tab has no frames; the log must grow there too.
          if (document.hidden) setTimeout(task, 250);
          else requestAnimationFrame(task);
        }
      : queueMicrotask;
  const addPoint = (point: LossPoint): void => {
    waiting.push(point);
    if (waiting.length > 1) return;
    later(() => {
      const added = waiting;
      waiting = [];
      points.value = [...points.value, ...added];
    });
  };

  function heard(event: EngineEvent): void {
    switch (event.kind) {
      case "note":
        say(event.text);
        break;
      case "preparing":
        batch(() => {
          training.value = event.run;
          activity.value = "preparing";
          say(`Compiling the training of ${event.phase.toUpperCase()}.`);
        });
        break;
      case "step":
        batch(() => {
          if (activity.value !== "pausing") activity.value = "training";
          training.value = event.run;
          if (!isOpen(event.run)) return;
          const { run: id, phase, done, steps, loss, gradientNorm, tokensPerSecond, times } = event;
          progress.value = { run: id, phase, done, steps, loss, gradientNorm, tokensPerSecond, times };
          addPoint({ phase, step: done - 1, loss, gradientNorm });
        });
        break;
      case "validation":
        if (isOpen(event.run))
          addPoint({ phase: event.phase, step: event.step, validation: event.validation });
        break;
      case "texts":
        if (!isOpen(event.run)) break;
        texts.value = [
          { phase: event.phase, done: progress.value?.done ?? 0, texts: event.texts },
          ...texts.value,
        ].slice(0, KEPT_TEXTS);
        break;
      case "state":
        batch(() => {
          const summary = named(event.run);
          put(summary);
          if (run.value !== undefined && isOpen(summary.id)) run.value = { ...run.value, ...summary };
          if (event.run.state === "training") training.value = event.run.id;
          else if (training.value === event.run.id) {
            training.value = undefined;
            activity.value = undefined;
            const { state, done, steps } = event.run;
            say(state === "finished" ? "The training is finished." : pausedAt(done, steps));
          }
          // A declaration runs on for its training while another run is looked at, and no longer.
          if (event.run.state !== "training" && run.value !== undefined && !isOpen(event.run.id))
            declaration.left(run.value.id);
        });
        break;
      case "device":
        device.value = event.device;
        break;
      case "explaining":
        explaining.value = event.progress;
        break;
      case "failed":
        batch(() => {
          if (training.value === event.run) {
            training.value = undefined;
            activity.value = undefined;
          }
          report(`The training stopped: ${sentence(event.message)}`);
        });
        break;
      case "problem":
        report(sentence(event.text));
        break;
    }
  }

  return {
    device: computed(() => device.value),
    runs: computed(() => runs.value),
    run: computed(() => run.value),
    points: computed(() => points.value),
    progress: computed(() => progress.value),
    texts: computed(() => texts.value),
    activity: computed(() => activity.value),
    explaining: computed(() => explaining.value),
    training: computed(() => training.value),
    note: computed(() => note.value),
    problems: computed(() => problems.value),
    declaration,

    async open() {
      const opened = await attempt("The studio could not be opened", () => engine.open(heard));
      activity.value = undefined;
      if (opened === undefined) return;
      batch(() => {
        device.value = opened.device;
        runs.value = opened.runs.map(named).sort((a, b) => b.created.localeCompare(a.created));
      });
      const [newest] = runs.value;
      if (newest !== undefined && run.value === undefined) await this.choose(newest.id);
    },
    async start(settings, text) {
      activity.value = "starting";
      const detail = await attempt("The training could not be started", () => engine.start(settings, text));
      batch(() => {
        if (detail === undefined) activity.value = undefined;
        else begun(detail);
      });
      return detail !== undefined;
    },
    async pause() {
      activity.value = "pausing";
      await attempt("The training could not be paused", () => engine.pause());
      batch(() => {
        activity.value = undefined;
        training.value = undefined;
      });
    },
    async resume(id) {
      activity.value = "starting";
      const detail = await attempt("The training could not be resumed", () => engine.resume(id));
      batch(() => {
        if (detail === undefined) activity.value = undefined;
        else begun(detail);
      });
    },
    async resumeWith(id, text) {
      const detail = await attempt(`${text.name} could not be taken`, () => engine.give(id, text, "text"));
      if (detail !== undefined) await this.resume(id);
    },
    async giveText(text) {
      const id = run.value?.id;
      if (id === undefined) return false;
      const detail = await attempt(`${text.name} could not be taken`, () => engine.give(id, text, "text"));
      if (detail === undefined) return false;
      if (isOpen(id)) show(detail);
      say(`${text.name} is taken as the text of the run.`);
      return true;
    },
    async choose(id) {
      const mine = ++chosen;
      const detail = await attempt("The run could not be opened", () => engine.run(id));
      // Of several that were clicked the last one is shown, whichever takes longest.
      if (detail !== undefined && mine === chosen) show(detail);
    },
    async remove(id) {
      const gone = await attempt("The run could not be deleted", async () => {
        await engine.remove(id);
        return true;
      });
      if (gone === undefined) return;
      batch(() => {
        runs.value = runs.value.filter((other) => other.id !== id);
        if (run.value?.id === id) {
          run.value = undefined;
          points.value = [];
          texts.value = [];
          progress.value = undefined;
        }
        say("The run is deleted.");
      });
    },
    async importFiles(files) {
      const detail = await attempt("The files could not be taken", () => engine.importRun(files));
      if (detail === undefined) return false;
      show(detail);
      say(`${detail.text} is taken in.`);
      return true;
    },
    exportRun: (id) => attempt("The run could not be exported", () => engine.exportRun(id)),
    sample: (request) => attempt("No text could be sampled", () => engine.sample(request)),
    form: (request, quietly = false) =>
      quietly
        ? engine.form(request).catch(() => undefined)
        : attempt("The forming could not be shown", () => engine.form(request)),
    explain(id) {
      explaining.value = undefined;
      return engine.explain(id);
    },
    stopExplaining: () => engine.stopExplaining(),
    say,
    report,
    dismiss(id) {
      problems.value = problems.value.filter((problem) => problem.id !== id);
    },
  };
}
