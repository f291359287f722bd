/**
 * What a page does for the benchmark: an FLM step of Fluxion on a device that needs a browser. Bundled and driven by browser.ts, which
 * finds it as a property of the global object.
 */
import { openTfjs } from "../../src/tfjs.ts";
import type { ModelOptions } from "../../src/models/training/programs.ts";
import { fluxion, problemOf } from "../cases/flm-step.ts";
import type { Report, Stepper } from "../cases/flm-step.ts";
import type { Device } from "../../src/runtime/device.ts";

/** Backends of TensorFlow.js that only a browser has. */
export type BrowserBackend = "webgl" | "webgpu";

/** A report, and the milliseconds that it took. */
export type Timed = Report & { readonly ms: number };

let [device, stepper]: [Device | undefined, Stepper | undefined] = [undefined, undefined];

const calls = {
  /** @returns what the device says of itself */
  async open(backend: BrowserBackend): Promise<string> {
    device = await openTfjs(backend);
    return device.describe();
  },
  async prepare(options: ModelOptions): Promise<void> {
    if (device === undefined) throw new Error("no device is open");
    stepper = await fluxion(problemOf(options), device, "noise given");
  },
  async step(): Promise<Timed> {
    if (stepper === undefined) throw new Error("no step is prepared");
    const start = performance.now();
    const report = await stepper.step();
    return { ...report, ms: performance.now() - start };
  },
  async end(): Promise<void> {
    await stepper?.dispose();
    stepper = undefined;
  },
};

/** The calls, where browser.ts finds them. */
export interface PageGlobal {
  fluxionBench: typeof calls;
}

(globalThis as unknown as PageGlobal).fluxionBench = calls; // a name that nobody else has
