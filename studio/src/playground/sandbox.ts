/**
 * Runs the user's code in a worker of its own, which can be ended at any time: code that never ends stops nothing else.
 *
 * Consumed by session.ts.
 */
import { proxy, releaseProxy, wrap } from "comlink";
import { codeBlob, located } from "../user-code/blob.ts";
import type { Outcome, Transpiled } from "../user-code/problem.ts";
import type { Progress, Runner } from "./messages.ts";
// oxlint-disable-next-line import/default -- the export is Vite's: where the built worker lies
import workerUrl from "./worker.ts?worker&url";

export interface Hooks {
  readonly onProgress: (progress: Progress) => void;
  /** A line that the code printed. */
  readonly onPrint: (line: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Asks a question of the code in a fresh worker, and ends the worker.
 * @returns undefined when it was stopped
 */
export async function inSandbox<T>(
  { code, ...map }: Transpiled,
  ask: (
    runner: Runner,
    onProgress: (progress: Progress) => void,
    onPrint: (line: string) => void,
  ) => Promise<Outcome<T>>,
  { onProgress, onPrint, signal }: Hooks,
): Promise<Outcome<T> | undefined> {
  if (signal.aborted) return undefined;
  const url = URL.createObjectURL(codeBlob(workerUrl, code));
  const worker = new Worker(url, { type: "module", name: "playground" });
  const remote = wrap<Runner>(worker);
  try {
    const stopped = new Promise<undefined>((resolve) => {
      signal.addEventListener("abort", () => resolve(undefined), { once: true });
    });
    const failed = new Promise<Outcome<T>>((resolve) => {
      worker.addEventListener("error", (event) => {
        // Of an error that is the user's it is told where it is.
        const line = event.filename?.startsWith("blob:") ? { line: event.lineno, column: event.colno } : {};
        const message = event.message || "The worker that runs the code could not be started.";
        resolve({ ok: false, problem: { message: message.replace(/^Uncaught (\w*Error: )?/, ""), ...line } });
      });
    });
    // Comlink's types know no callbacks in arguments; each goes as a proxy.
    const answer = ask(remote as unknown as Runner, proxy(onProgress), proxy(onPrint));
    const outcome = await Promise.race([answer, failed, stopped]);
    return outcome?.ok === false ? { ok: false, problem: located(outcome.problem, map) } : outcome;
  } finally {
    remote[releaseProxy]();
    worker.terminate();
    URL.revokeObjectURL(url);
  }
}
