/**
 * Where a run is cut into several submits. Consumed by the recorder, which asks, and by executables, which keep one for all their runs.
 *
 * A GPU that shows a screen as well draws nothing while it works on one submit, and is reset when that takes some seconds. So a run is
 * cut by the work in it, until a run has been seen to take no longer than a screen may wait: the same work is sent as one from then on.
 */

/** What is recorded between two submits. */
export interface Work {
  readonly dispatches: number;
  readonly flops: number;
  readonly bytes: number;
}

/** A submit is sent when it has this much in it. The slowest GPUs take less than a second for it. */
const MOST: Work = { dispatches: 4096, flops: 2e11, bytes: 5e10 };
/** Milliseconds that a whole run may take as one submit. */
const SHORT = 200;

export class Cuts {
  #short = false;

  /** Whether runs are cut by their work. */
  get byWork(): boolean {
    return !this.#short;
  }

  /** Whether this is enough for a submit. The commands themselves take memory, so many are cut always. */
  due({ dispatches, flops, bytes }: Work): boolean {
    return dispatches >= MOST.dispatches || (this.byWork && (flops >= MOST.flops || bytes >= MOST.bytes));
  }

  /** @param milliseconds that a whole run took, from its first submit until the GPU was done: what was ahead of it in the queue counts */
  took(milliseconds: number): void {
    if (milliseconds <= SHORT) this.#short = true;
  }
}
