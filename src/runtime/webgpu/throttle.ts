/**
 * Keeps the host from running ahead of the GPU without bound: a loop of runs that nobody reads would fill the queue, and the memory
 * behind it. Consumed by executables, after each submit.
 */
import type { Failures } from "./failures.ts";

/** Submits from one fence to the next. Twice as many can be on their way: enough that the GPU never waits for the host. */
const EVERY = 4;

export class Throttle {
  readonly #queue: GPUQueue;
  readonly #failures: Failures;
  #submits = 0;
  #fence: Promise<unknown> | undefined;

  constructor(queue: GPUQueue, failures: Failures) {
    this.#queue = queue;
    this.#failures = failures;
  }

  /** To be called after a submit, and waited for. */
  async pass(): Promise<void> {
    if (++this.#submits % EVERY !== 0) return;
    const before = this.#fence;
    // The failure of a fence that nobody waits for is the device's loss, which is said elsewhere.
    this.#fence = this.#queue.onSubmittedWorkDone().catch(() => undefined);
    if (before !== undefined) await this.#failures.until(before);
  }
}
