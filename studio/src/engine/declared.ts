/**
 * The engine as the page asks it, and beside it the worker that runs the declaration of one run, in a file of the user's. What is asked
 * about that run goes there, everything else to the engine. So code that never ends holds up nothing else, and can be stopped.
 *
 * Consumed by page/main.tsx and client.ts. A question about a run is added to `declared` below.
 */
import { isModuleName } from "../../../src/runtime/user-exports.ts";
import type { DeclaredWorker } from "./declared-connect.ts";
import type { Engine, EngineEvent, RunDetail } from "./protocol.ts";

/** Starts the worker; what it needs is loaded by then. */
export type StartDeclared = (
  file: { readonly name: string; readonly text: string },
  onBroken: (message: string) => void,
) => Promise<DeclaredWorker>;

export interface Declarations {
  /** Both, as one. */
  readonly engine: Engine;
  /** Runs the declaration that was given for a run, instead of any other. @throws Error with a sentence, "Stopped." when it was stopped */
  run(id: string): Promise<RunDetail>;
  /** Ends it, whatever it does. What waits for it is rejected with "Stopped." */
  stop(): Promise<void>;
}

export const STOPPED = "Stopped.";

/** A declaration that runs, or is about to. */
interface Running {
  readonly id: string;
  worker: DeclaredWorker | undefined;
  /** Whether it trains its run. */
  trains: boolean;
  /** Rejects when it is stopped. */
  readonly over: Promise<never>;
  readonly end: () => void;
}

const lazily: StartDeclared = async (file, onBroken) =>
  (await import("./declared-connect.ts")).startDeclared(file, onBroken);

export function withDeclarations(main: Engine, start: StartDeclared = lazily): Declarations {
  let listener: (event: EngineEvent) => void = () => undefined;
  let running: Running | undefined;

  function begun(id: string): Running {
    let reject: (reason: Error) => void = () => undefined;
    const over = new Promise<never>((_, no) => (reject = no));
    over.catch(() => undefined); // nobody may be waiting
    const own: Running = {
      id,
      worker: undefined,
      trains: false,
      over,
      end() {
        own.worker?.end();
        reject(new Error(STOPPED));
      },
    };
    return own;
  }

  async function stop(): Promise<void> {
    const old = running;
    running = undefined;
    old?.end();
    // Whoever sees it train is told that it does not any more.
    if (old?.trains === true) listener({ kind: "state", run: await main.run(old.id) });
  }

  async function run(id: string): Promise<RunDetail> {
    await stop();
    const own = begun(id);
    running = own;
    const broken = (message: string): void => listener({ kind: "note", text: message });
    const opened = async (): Promise<RunDetail> => {
      const worker = await start(await main.declaration(id), broken);
      own.worker = worker;
      if (running !== own) {
        worker.end(); // stopped while it was being started
        throw new Error(STOPPED);
      }
      await worker.engine.open((event) => {
        if (running !== own || !("run" in event)) return;
        const about = typeof event.run === "string" ? event.run : event.run.id;
        if (about !== id) return;
        if (event.kind === "state") own.trains = event.run.state === "training";
        listener(event);
      });
      return worker.engine.run(id);
    };
    try {
      return await Promise.race([opened(), own.over]);
    } catch (error) {
      if (running === own) await stop();
      throw error;
    }
  }

  /** Asks whoever a run is with. */
  function declared<T>(id: string, ask: (engine: Engine) => Promise<T>): Promise<T> {
    if (running?.id !== id || running.worker === undefined) return ask(main);
    return Promise.race([ask(running.worker.engine), running.over]);
  }
  const pauseDeclared = async (): Promise<void> => {
    if (running?.trains === true) await declared(running.id, (engine) => engine.pause());
  };

  const engine: Engine = {
    open(heard) {
      listener = heard;
      return main.open(heard);
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
      if (running?.id === id) await main.pause();
      else await pauseDeclared();
      return declared(id, (one) => one.resume(id));
    },
    async remove(id) {
      if (running?.id === id) await stop();
      await main.remove(id);
    },
    importRun: (files) => main.importRun(files),
    async give(id, file) {
      // Another declaration takes the place of the one that runs; a text does not.
      if (!isModuleName(file.name)) return declared(id, (one) => one.give(id, file));
      if (running?.id === id) await stop();
      return main.give(id, file);
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
