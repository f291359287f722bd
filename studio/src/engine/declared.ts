/**
 * The engine as the page asks it, and beside it the worker that runs the declaration of one run, in a file of the user's. What is asked
 * about that run goes there, everything else to the engine. So code that never ends holds up nothing else, and can be stopped.
 *
 * Consumed by page/main.tsx and client.ts. A question about a run is added to `declared` below.
 */
import type { DeclaredWorker } from "./declared-connect.ts";
import type { DeviceInfo, Engine, EngineEvent, RunDetail } from "./protocol.ts";
import { unlocked } from "./storage/lock.ts";

/** Starts the worker; what it needs is loaded by then. */
export type StartDeclared = (
  file: { readonly name: string; readonly text: string },
  onBroken: (message: string) => void,
) => Promise<DeclaredWorker>;

export interface Declarations {
  /** Both, as one. */
  readonly engine: Engine;
  /**
   * Runs the declaration that was given for a run, instead of any other. What trains is saved first.
   * @throws Error with a sentence, "Stopped." when it was stopped, or another one was to run instead
   */
  run(id: string): Promise<RunDetail>;
  /** Ends it, whatever it does: a training that answers is saved before. What waits for it is rejected with "Stopped." */
  stop(): Promise<void>;
}

export const STOPPED = "Stopped.";

/** Milliseconds that a training has to save its state before it is ended: code that never ends would take for ever. */
const SAVES_WITHIN = 2000;
/** Milliseconds in which the browser gives back what an ended worker held. */
const FREED_WITHIN = 1000;

/** A declaration that runs, or is about to. */
interface Running {
  readonly id: string;
  worker: DeclaredWorker | undefined;
  /** Whether it trains its run, or was asked to. */
  trains: boolean;
  /** Whether the page takes it for training: nobody told it yet that it does not. */
  shown: boolean;
  /** Whether there are steps that may not be saved. */
  stepped: boolean;
  /** Settled when it is over; undefined until somebody ends it. */
  ending: Promise<void> | undefined;
  /** Rejects when it is stopped. */
  readonly over: Promise<never>;
  readonly end: () => void;
}

const lazily: StartDeclared = async (file, onBroken) =>
  (await import("./declared-connect.ts")).startDeclared(file, onBroken);

/** Resolves to whether the work succeeded in time. */
const within = (milliseconds: number, work: Promise<unknown>): Promise<boolean> =>
  Promise.race([
    work.then(
      () => true,
      () => false,
    ),
    new Promise<boolean>((resolve) => setTimeout(() => resolve(false), milliseconds)),
  ]);

function begun(id: string): Running {
  let reject: (reason: Error) => void = () => undefined;
  const over = new Promise<never>((_, no) => (reject = no));
  over.catch(() => undefined); // nobody may be waiting
  const own: Running = {
    id,
    worker: undefined,
    trains: false,
    shown: false,
    stepped: false,
    ending: undefined,
    over,
    end() {
      own.worker?.end();
      reject(new Error(STOPPED));
    },
  };
  return own;
}

export function withDeclarations(main: Engine, start: StartDeclared = lazily): Declarations {
  let listener: (event: EngineEvent) => void = () => undefined;
  /** The device of `main`. */
  let device: DeviceInfo | undefined;
  let running: Running | undefined;
  /** What was asked to run last, until it is to stop. */
  let wanted: { readonly id: string } | undefined;

  const ended = (old: Running): Promise<void> => (old.ending ??= end(old));
  async function end(old: Running): Promise<void> {
    const { trains, worker } = old;
    const saved = trains && worker !== undefined && (await within(SAVES_WITHIN, worker.engine.pause()));
    if (running === old) running = undefined;
    old.end();
    if (device !== undefined) listener({ kind: "device", device });
    if (!old.shown) return;
    // Until then a file that it wrote may be in the place of one that is being read.
    await unlocked(old.id, FREED_WITHIN);
    try {
      const now = await main.run(old.id);
      listener({ kind: "state", run: now });
      if (trains && !saved && old.stepped)
        listener({
          kind: "problem",
          text: `The training did not answer and was ended; what is kept is its step ${now.done} of ${now.steps}.`,
        });
    } catch (error) {
      // That it does not train any more is to be told all the same, and keeps nobody from running another.
      listener({
        kind: "failed",
        run: old.id,
        message: error instanceof Error ? error.message : String(error),
      });
    }
  }

  async function stop(): Promise<void> {
    wanted = undefined;
    if (running !== undefined) await ended(running);
  }

  /** What the worker tells of its run, and of its device. */
  const heardFrom =
    (own: Running) =>
    (event: EngineEvent): void => {
      if (running !== own) return;
      const about = "run" in event ? (typeof event.run === "string" ? event.run : event.run.id) : own.id;
      if (about !== own.id) return;
      if (event.kind === "preparing") own.trains = own.shown = true;
      if (event.kind === "step") own.stepped = own.shown = true;
      if (event.kind === "state") own.trains = own.shown = event.run.state === "training";
      if (!own.trains) own.stepped = false;
      listener(event);
    };

  async function run(id: string): Promise<RunDetail> {
    const mine = (wanted = { id });
    const goOn = (): void => {
      if (wanted !== mine) throw new Error(STOPPED);
    };
    // However long it takes to save: there is a button that stops it.
    if (running?.ending === undefined) await pauseDeclared();
    goOn();
    if (running !== undefined) await ended(running);
    goOn();
    const own = begun(id);
    running = own;
    const broken = (text: string): void => {
      if (running === own) listener({ kind: "problem", text });
    };
    const opened = async (): Promise<RunDetail> => {
      const worker = await start(await main.declaration(id), broken);
      own.worker = worker;
      if (running !== own) {
        worker.end(); // stopped while it was being started
        throw new Error(STOPPED);
      }
      await worker.engine.open(heardFrom(own));
      return worker.engine.run(id);
    };
    try {
      return await Promise.race([opened(), own.over]);
    } catch (error) {
      if (wanted === mine) wanted = undefined;
      await ended(own);
      throw error;
    }
  }

  /** Asks whoever a run is with. */
  function declared<T>(id: string, ask: (engine: Engine) => Promise<T>): Promise<T> {
    if (running?.id !== id || running.worker === undefined) return ask(main);
    return Promise.race([ask(running.worker.engine), running.over]);
  }
  async function pauseDeclared(): Promise<void> {
    const own = running;
    if (own?.trains !== true) return;
    await declared(own.id, (engine) => engine.pause());
    own.trains = own.stepped = false;
  }
  /** Ends the declaration of a run, also one that is about to begin. */
  const stopOf = async (id: string): Promise<boolean> => {
    if (running?.id !== id && wanted?.id !== id) return false;
    await stop();
    return true;
  };

  const engine: Engine = {
    async open(heard) {
      listener = heard;
      const opened = await main.open((event) => {
        if (event.kind === "device") device = event.device;
        listener(event);
      });
      device = opened.device;
      return opened;
    },
    runs: () => main.runs(),
    run: (id) => declared(id, (one) => one.run(id)),
    async start(settings, text) {
      await pauseDeclared();
      return main.start(settings, text);
    },
    async pause() {
      await Promise.all([main.pause(), pauseDeclared()]);
    },
    async resume(id) {
      // One of them trains at a time.
      if (running?.id !== id || running.worker === undefined) {
        await pauseDeclared();
        return main.resume(id);
      }
      const own = running;
      await main.pause();
      const before = own.trains;
      // From now on: a pause that is asked for meanwhile comes after it.
      own.trains = true;
      try {
        return await declared(id, (one) => one.resume(id));
      } catch (error) {
        own.trains = before;
        throw error;
      }
    },
    async remove(id) {
      await stopOf(id);
      await main.remove(id);
    },
    importRun: (files) => main.importRun(files),
    async give(id, file, as) {
      if (as === "text") return declared(id, (one) => one.give(id, file, as));
      // Another declaration takes the place of the one that runs, once it is known to be one.
      const given = await main.give(id, file, as);
      return (await stopOf(id)) ? main.run(id) : given;
    },
    declaration: (id) => main.declaration(id),
    exportRun: (id) => declared(id, (one) => one.exportRun(id)),
    sample: (request) => declared(request.run, (one) => one.sample(request)),
    form: (request) => declared(request.run, (one) => one.form(request)),
    explain: (id) => declared(id, (one) => one.explain(id)),
    async stopExplaining() {
      const both = [main, ...(running?.worker === undefined ? [] : [running.worker.engine])];
      await Promise.all(both.map((one) => one.stopExplaining()));
    },
  };
  return { engine, run, stop };
}
