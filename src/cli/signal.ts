/**
 * A graceful Ctrl-C: the first SIGINT or SIGTERM asks the work to stop at its next safe point (through an
 * `AbortSignal`), the second ends the process at once with code 130.
 *
 * Consumed by the long-running commands: the training loop looks at `signal.aborted` between steps and saves.
 */

type StopSignal = "SIGINT" | "SIGTERM";

/** The part of `process` that is used; a test passes its own. */
export interface SignalSource {
  on(event: StopSignal, listener: () => void): unknown;
  off(event: StopSignal, listener: () => void): unknown;
  exit(code: number): unknown;
}

export interface Interruption {
  readonly signal: AbortSignal;
  /** Gives the signals back to Node's default, which ends the process. Call it when the work is done. */
  readonly dispose: () => void;
}

/**
 * Starts to listen. `onFirst` runs once, at the first signal: it should say that the work is being saved and
 * that a second Ctrl-C ends it at once.
 */
export function listenForInterrupt(onFirst: () => void, source: SignalSource = process): Interruption {
  const controller = new AbortController();
  const listener = (): void => {
    if (controller.signal.aborted) {
      source.exit(130);
      return;
    }
    controller.abort();
    onFirst();
  };
  source.on("SIGINT", listener);
  source.on("SIGTERM", listener);
  const dispose = (): void => {
    source.off("SIGINT", listener);
    source.off("SIGTERM", listener);
  };
  return { signal: controller.signal, dispose };
}
