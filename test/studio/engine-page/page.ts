/**
 * The engine without the page around it, for tests that call it from outside. The browser's window has `studio`. Consumed by
 * ../support/engine.ts, which builds and serves it.
 */
import { proxy, wrap } from "comlink";
import type { Remote } from "comlink";
import type { Engine, EngineEvent } from "../../../studio/src/engine/protocol.ts";
// eslint-disable-next-line import/default -- Vite makes it
import url from "./worker.ts?worker&url";

export interface EngineHarness {
  readonly events: EngineEvent[];
  engine: Remote<Engine>;
  /** Starts a worker and opens the engine. @param without what it lacks; see tamper.ts */
  open(without: string): ReturnType<Engine["open"]>;
  /** Tells the worker what is to happen to it. */
  tamper(what: string): void;
  /** The sentence that a promise is rejected with. */
  failure(work: Promise<unknown>): Promise<string>;
  /** From here on {@link until} looks; at first from the beginning. */
  mark(): void;
  /**
   * Resolves with the first event that is such, be it in the past or to come. Rejects with the sentence of a training that fails before it
   * comes.
   */
  until(found: (event: EngineEvent) => boolean): Promise<EngineEvent>;
}

declare global {
  interface Window {
    studio: EngineHarness;
  }
}

let worker: Worker;
const events: EngineEvent[] = [];
let marked = 0;
const listeners = new Set<(event: EngineEvent) => void>();

window.studio = {
  events,
  engine: undefined as unknown as Remote<Engine>, // `open` sets it
  open(without) {
    worker = new Worker(new URL(url, document.baseURI), { type: "module", name: without });
    worker.addEventListener("error", (event) => console.error(`worker: ${event.message}`));
    this.engine = wrap<Engine>(worker);
    const heard = (event: EngineEvent): void => {
      events.push(event);
      for (const listener of listeners) listener(event);
    };
    return this.engine.open(proxy(heard));
  },
  // eslint-disable-next-line unicorn/require-post-message-target-origin -- a worker has none
  tamper: (what) => worker.postMessage(what),
  failure: (work) =>
    work.then(
      () => "it did not fail",
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    ),
  mark: () => void (marked = events.length),
  until: (found) =>
    new Promise((resolve, reject) => {
      const past = events.slice(marked).find(found);
      if (past !== undefined) {
        resolve(past);
        return;
      }
      const listener = (event: EngineEvent): void => {
        if (found(event)) resolve(event);
        else if (event.kind === "failed") reject(new Error(`a training failed: ${event.message}`));
        else return;
        listeners.delete(listener);
      };
      listeners.add(listener);
    }),
};
