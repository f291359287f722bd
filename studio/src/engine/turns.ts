/**
 * Who has the device when: requests come one after the other, at once where nothing is trained, and else between two steps of the training.
 *
 * Consumed by engine.ts, and by training.ts, which lets requests in.
 */
import type { Device } from "../../../src/runtime/device.ts";
import { surviving } from "../../../src/runtime/reopenable.ts";
import type { ReopenableDevice } from "../../../src/runtime/reopenable.ts";
import type { Lend } from "../../../src/runtime/training/trainer.ts";
import { DeviceLostError } from "../../../src/runtime/webgpu/errors.ts";
import { Models } from "./models.ts";
import type { ModelName } from "./protocol.ts";

/** A training between two steps, as requests see it. */
export interface Live {
  readonly device: Device;
  /** The present weights of a model, if that is what is being trained. */
  lendOf(run: string, model: ModelName): Lend | undefined;
}

type Work<T> = (models: Models, live: Live | undefined) => Promise<T>;

interface Waiting {
  readonly work: Work<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Whether its device was lost once. */
  again?: true;
}

export class Turns {
  readonly #devices: ReopenableDevice;
  readonly #waiting: Waiting[] = [];
  #models: Models;
  #of: Device;
  /** Whether a training lets requests in. */
  #training = false;
  #draining: Promise<void> | undefined;

  constructor(devices: ReopenableDevice) {
    this.#devices = devices;
    this.#of = devices.device;
    this.#models = new Models(this.#of);
  }

  /** Does some work when its turn comes. */
  take<T>(work: Work<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      // What is resolved with is what the work gives.
      this.#waiting.push({ work, resolve: resolve as (value: unknown) => void, reject });
      this.#drain();
    });
  }

  /** Waits for the requests of the moment. From then on a training lets them in, until {@link free}. */
  async idle(): Promise<void> {
    // As long as it takes: while one lot was waited for, another may have begun.
    while (this.#draining !== undefined) await this.#draining;
    this.#training = true;
  }

  /** The training is over. */
  free(): void {
    this.#training = false;
    this.#drain();
  }

  /** Serves all that wait, between two steps. */
  async serve(live: Live): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      try {
        next.resolve(await next.work(this.#modelsOn(live.device), live));
      } catch (error) {
        if (!(error instanceof DeviceLostError) || next.again === true) next.reject(error);
        else {
          // The training will find out too, and go on with another device; so does this.
          this.#waiting.unshift({ ...next, again: true });
          return;
        }
      }
    }
  }

  #drain(): void {
    if (this.#training || this.#draining !== undefined) return;
    this.#draining = this.#drained().finally(() => {
      this.#draining = undefined;
      if (this.#waiting.length > 0) this.#drain();
    });
  }

  async #drained(): Promise<void> {
    while (!this.#training) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      await surviving(this.#devices, {
        work: (device) => next.work(this.#modelsOn(device), undefined),
        achieved: () => 0,
        remedy: "Nothing that was saved is lost: try again, perhaps after reloading the page.",
      }).then(next.resolve, next.reject);
    }
  }

  /** What lies on a lost device is gone with it. */
  #modelsOn(device: Device): Models {
    if (this.#of !== device) {
      this.#of = device;
      this.#models = new Models(device);
    }
    return this.#models;
  }
}
