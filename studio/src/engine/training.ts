/**
 * A training in the page: the library's loop, what it tells the page, and the moments between its steps, in which requests are served and
 * the worker hears what the page wants. Consumed by engine.ts.
 */
import { decode } from "../../../src/models/data/index.ts";
import type { PreparedText } from "../../../src/models/data/index.ts";
import type { Device } from "../../../src/runtime/device.ts";
import type { ReopenableDevice } from "../../../src/runtime/reopenable.ts";
import type { Subject } from "../../../src/runtime/training/subject.ts";
import { modelShape } from "../../../src/runtime/training/load-model.ts";
import { plannedTexts, textsKey } from "../../../src/runtime/training/texts.ts";
import type { TextDrawer } from "../../../src/runtime/training/texts.ts";
import { train } from "../../../src/runtime/training/trainer.ts";
import type { StepReport } from "../../../src/runtime/training/trainer.ts";
import { moment } from "./moment.ts";
import type { EngineEvent, LossPoint, ModelName, RunSummary } from "./protocol.ts";
import type { KnownRun } from "./runs.ts";
import type { StoredRun } from "./storage/run.ts";
import { historyOf } from "./summary.ts";
import type { Turns } from "./turns.ts";

/** Seconds between saved states, and between texts to read. */
const INTERVALS = { save: 15, sample: 5 };
/** Texts that are shown, and steps that the flow's take. */
const [SHOWN, FLOW_STEPS] = [3, 16];
/** Milliseconds over which the speed is taken. */
const SPEED_OVER = 3000;

interface Surroundings {
  readonly tell: (event: EngineEvent) => void;
  readonly turns: Turns;
  readonly summary: () => Promise<RunSummary>;
  /** What is said of an error. */
  readonly sentence: (error: unknown) => string;
}

/** What is trained, and on what. */
export interface Material {
  readonly subject: Subject;
  readonly text: PreparedText;
}

export class Training {
  readonly run: StoredRun;
  /** The log so far, every step of this session in it. */
  history: LossPoint[] = [];
  /** Which model is being trained, once it is. */
  phase: ModelName | undefined;
  /** Steps of the phase that are done. */
  done = 0;
  readonly #subject: Subject;
  readonly #text: PreparedText;
  readonly #around: Surroundings;
  /** Resolves when the training has the run to itself. */
  readonly begun: Promise<void>;
  #begin: () => void = () => undefined;
  #stopped = false;
  #times: { readonly at: number; readonly step: number }[] = [];
  /** What draws the texts that are shown, of one phase on one device. */
  #drawing: { readonly of: Device; readonly phase: ModelName; readonly drawer: TextDrawer } | undefined;

  constructor({ run }: KnownRun, { subject, text }: Material, around: Surroundings) {
    this.run = run;
    this.#subject = subject;
    this.#text = text;
    this.#around = around;
    this.begun = new Promise((resolve) => (this.#begin = resolve));
  }

  /** Stops after this step; its state is saved when the training is over. */
  stop(): void {
    this.#stopped = true;
  }

  /** Trains what is left. What goes wrong once it has begun is told by an event. @throws what kept it from beginning */
  async train(devices: ReopenableDevice): Promise<void> {
    const { run } = this;
    const { tell, sentence } = this.#around;
    let underway = false;
    try {
      this.history = [...historyOf(run.config, await run.readMetrics())];
      await train(
        run,
        this.#text,
        devices,
        {
          ...this.#hooks(),
          prepare: (phase) => {
            underway = true;
            tell({ kind: "preparing", run: run.id, phase });
            this.#begin();
          },
        },
        INTERVALS,
        this.#subject,
      );
    } catch (error) {
      if (!underway) throw error;
      tell({ kind: "failed", run: run.id, message: sentence(error) });
    } finally {
      await this.#forgetDrawer();
    }
  }

  #hooks(): Omit<Parameters<typeof train>[3], "prepare"> {
    const { run } = this;
    const { tell, turns, summary } = this.#around;
    let steps = 0;
    let perStep = 0;
    return {
      note: (text) => tell({ kind: "note", text }),
      begin: (phase, step, total, tokensPerStep) => {
        [steps, perStep] = [total, tokensPerStep];
        this.phase = phase;
        this.done = step;
        this.#times = [{ at: performance.now(), step }];
        // Steps after the state that the phase goes on from are trained again.
        this.history = this.history.filter((point) => point.phase !== phase || point.step < step);
        // Where the storage fails at the moment, the next state tells.
        void summary().then(
          (now) => tell({ kind: "state", run: now }),
          () => undefined,
        );
      },
      step: (phase, step, { loss, gradientNorm, draw }: StepReport) => {
        this.done = step + 1;
        this.history.push({ phase, step, loss, gradientNorm });
        tell({
          kind: "step",
          run: run.id,
          phase,
          done: step + 1,
          steps,
          loss,
          gradientNorm,
          tokensPerSecond: this.#speed(step + 1) * perStep,
          times: timesIn(draw),
        });
      },
      validation: (phase, step, validation) => {
        this.history.push({ phase, step, validation });
        tell({ kind: "validation", run: run.id, phase, step, validation });
      },
      between: async (phase, device, lend) => {
        await moment();
        await turns.serve({
          device,
          lendOf: (id, model) => (id === run.id && model === phase ? lend : undefined),
        });
      },
      sample: async (phase, params, device) => {
        const drawer = await this.#drawerOf(phase, device);
        const tokens = await drawer.draw(params, SHOWN, textsKey(run.config.seed));
        const { length } = run.config.network;
        const texts = Array.from({ length: SHOWN }, (_, i) =>
          decode(this.#text.vocabulary, tokens.subarray(i * length, (i + 1) * length)),
        );
        tell({ kind: "texts", run: run.id, phase, texts });
      },
      end: () => undefined,
      stopped: () => this.#stopped,
    };
  }

  async #drawerOf(phase: ModelName, device: Device): Promise<TextDrawer> {
    if (this.#drawing?.of !== device || this.#drawing.phase !== phase) {
      await this.#forgetDrawer();
      this.#drawing = { of: device, phase, drawer: await this.#newDrawer(phase, device) };
    }
    return this.#drawing.drawer;
  }

  /** The device goes on after the training, and after its phase. */
  async #forgetDrawer(): Promise<void> {
    const old = this.#drawing;
    this.#drawing = undefined;
    await old?.drawer.dispose().catch(() => undefined); // of a lost device there is nothing to give back
  }

  #newDrawer(phase: ModelName, device: Device): Promise<TextDrawer> {
    const { run } = this;
    const { vocabulary } = this.#text;
    const vocab = vocabulary.tokens.length;
    const plan = plannedTexts(
      { run, subject: this.#subject, name: phase, vocabulary },
      { steps: phase === "flm" ? FLOW_STEPS : 1 },
    );
    return plan(device, modelShape({ run, name: phase, vocab }, SHOWN));
  }

  /** Steps a second, of late. */
  #speed(step: number): number {
    const at = performance.now();
    this.#times.push({ at, step });
    while (this.#times.length > 2 && at - (this.#times[1]?.at ?? at) > SPEED_OVER) this.#times.shift();
    const [first] = this.#times;
    if (first === undefined || at === first.at) return 0;
    return ((step - first.step) * 1000) / (at - first.at);
  }
}

/** Clock times of a batch: of a flow its own, of a map where its jumps begin. */
function timesIn(draw: Readonly<Record<string, unknown>>): readonly number[] {
  const times = draw["tau"] ?? draw["tauS"];
  return times instanceof Float32Array ? Array.from(times) : [];
}
