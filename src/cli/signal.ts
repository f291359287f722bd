/**
 * A graceful Ctrl-C: the first SIGINT, SIGTERM or SIGHUP (of a terminal that is closed) asks the work to stop at its next safe point
 * (through an `AbortSignal`), the second ends the process at once with code 130.
 *
 * Consumed by the long-running commands: the training loop looks at `signal.aborted` between steps and saves.
 */

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
type StopSignal = (typeof SIGNALS)[number];

/** The part of `process` that is used; a test passes its own. */
export interface SignalSource {
  on(event: StopSignal, listener: () => void): unknown;
  off(event: StopSignal, listener: () => void): unknown;
  exit(code: number): unknown;
}

export interface Interruption {
  readonly signal: AbortSignal;
  /** Asks the work to stop, as the first signal does. */
  readonly stop: () => void;
  /** Gives the signals back to Node's default, which ends the process. Call it when the work is done. */
  readonly dispose: () => void;
}

/**
 * Starts to listen. `onFirst` runs once, at the first signal: it should say that the work is being saved and
 * that a second Ctrl-C ends it at once.
 */
export function listenForInterrupt(onFirst: () => void, source: SignalSource = process): Interruption {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) return;
    controller.abort();
    onFirst();
  };
  const listener = (): void => {
    if (controller.signal.aborted) source.exit(130);
    else stop();
  };
  for (const name of SIGNALS) source.on(name, listener);
  const dispose = (): void => {
    for (const name of SIGNALS) source.off(name, listener);
  };
  return { signal: controller.signal, stop, dispose };
}
