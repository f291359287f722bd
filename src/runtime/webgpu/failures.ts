/**
 * What goes wrong on a GPU is said later, and not by the call that caused it. This collects it: error scopes around calls say what
 * the calls were for, and the next thing that waits for the device throws. A lost device ends all that waits.
 *
 * Consumed by everything here that calls WebGPU.
 */
import { closedMessage } from "../device.ts";
import { DeviceLostError, OutOfMemoryError } from "./errors.ts";
import { messageOf } from "./gpu.ts";

/** GPU calls between `open` and `close`, which must not have a wait between them. */
export interface Scope {
  /**
   * Ends the scope; doing it again does nothing. The promise has what the calls got wrong, or undefined; it is thrown elsewhere too
   * unless it is `expected`.
   */
  close(expected?: "expected"): Promise<Error | undefined>;
}

/** Innermost first: out of memory explains the invalid buffer that is reported as well. */
const FILTERS = ["out-of-memory", "internal", "validation"] as const satisfies readonly GPUErrorFilter[];

const CLOSED = closedMessage("webgpu");

/**
 * Milliseconds from a refusal to the news that the device is lost. In Chromium a pending `mapAsync` is refused within `destroy`, and `lost`
 * comes tens of milliseconds later, through other processes; this is many times that.
 */
const NEWS_TAKES = 5000;

export class Failures {
  readonly #device: GPUDevice;
  readonly #relieve: () => void;
  #lost: DeviceLostError | undefined;
  #closed = false;
  /** The first error that was not thrown yet. */
  #pending: Error | undefined;
  readonly #scopes = new Set<Promise<unknown>>();
  readonly #waiting = new Set<(error: Error) => void>();

  /** @param relieve frees what can be spared, when the GPU is out of memory */
  constructor(device: GPUDevice, relieve: () => void) {
    this.#device = device;
    this.#relieve = relieve;
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault(); // it is thrown, so it need not be printed
      this.#pending ??= new Error(`webgpu: ${messageOf(event.error)}`);
    });
    void this.#mourn();
  }

  async #mourn(): Promise<void> {
    const { reason, message } = await this.#device.lost;
    if (this.#closed) return;
    this.#lost = new DeviceLostError(reason, message);
    this.#end(this.#lost);
  }

  /** From here on a lost device is no failure, but what was asked for. One that was lost before stays lost. */
  close(): void {
    this.#closed = true;
    this.#end(new Error(CLOSED));
  }

  #end(error: Error): void {
    for (const reject of this.#waiting) reject(error);
    this.#waiting.clear();
  }

  /** @throws DeviceLostError when the device is lost, also when it was closed since */
  checkLost(): void {
    if (this.#lost !== undefined) throw this.#lost;
  }

  /** @throws DeviceLostError when the device is lost; Error when it is closed */
  checkAlive(): void {
    this.checkLost();
    if (this.#closed) throw new Error(CLOSED);
  }

  /** @throws DeviceLostError when the device is lost, or the first error that is not thrown yet */
  check(): void {
    this.checkAlive();
    const error = this.#pending;
    this.#pending = undefined;
    if (error !== undefined) throw error;
  }

  /** What `work` gives, unless the device is lost or closed before. */
  async until<T>(work: Promise<T>): Promise<T> {
    const { promise, reject } = deferred<never>();
    if (this.#lost !== undefined) reject(this.#lost);
    else if (this.#closed) reject(new Error(CLOSED));
    else this.#waiting.add(reject);
    try {
      return await Promise.race([work, promise]);
    } catch (error) {
      throw await this.reasonOf(error);
    } finally {
      this.#waiting.delete(reject);
    }
  }

  /**
   * Why the GPU refused something: that the device is lost or closed, else the refusal itself. A lost device may break off what is under
   * way before it says that it is lost, so this waits for that a while. Not to be asked where another reason is known.
   */
  async reasonOf(refusal: unknown): Promise<unknown> {
    if (this.#lost === undefined && !this.#closed)
      await new Promise<void>((resolve) => {
        const end = (): void => {
          clearTimeout(timer);
          this.#waiting.delete(end);
          resolve();
        };
        const timer = setTimeout(end, NEWS_TAKES);
        this.#waiting.add(end);
      });
    return this.#lost ?? (this.#closed ? new Error(CLOSED) : refusal);
  }

  /** Waits until it is known what went wrong in the scopes that are closed, and throws nothing of it. */
  async known(): Promise<void> {
    await this.until(Promise.all(this.#scopes));
  }

  /** @param what what the calls do, for messages: "sampler: a run" */
  open(what: string | (() => string)): Scope {
    for (const filter of FILTERS.toReversed()) this.#device.pushErrorScope(filter);
    let closed: Promise<Error | undefined> | undefined;
    return { close: (expected) => (closed ??= this.#close(what, expected === "expected")) };
  }

  #close(what: string | (() => string), expected: boolean): Promise<Error | undefined> {
    const outcome = Promise.all(FILTERS.map(() => this.#device.popErrorScope())).then(
      (found) => {
        const at = found.findIndex((error) => error !== null);
        if (at < 0) return undefined;
        const message = messageOf(found[at]?.message ?? "");
        const calls = typeof what === "string" ? what : what();
        const scarce = FILTERS[at] === "out-of-memory";
        const error = scarce
          ? new OutOfMemoryError(calls, message)
          : new Error(`webgpu: ${calls} failed: ${message}`);
        if (scarce) this.#relieve();
        if (!expected) this.#pending ??= error;
        return error;
      },
      // A scope cannot be asked when its device is lost, which is said elsewhere.
      () => undefined,
    );
    this.#scopes.add(outcome);
    void outcome.then(() => this.#scopes.delete(outcome));
    return outcome;
  }
}

/** A promise and the function that rejects it. */
function deferred<T>(): { readonly promise: Promise<T>; readonly reject: (error: Error) => void } {
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((_, no) => {
    reject = no;
  });
  return { promise, reject };
}
