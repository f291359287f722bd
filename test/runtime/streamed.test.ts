/** Models with a streamed vocabulary on every device, as on the interpreter. */
import { expect, it } from "vitest";
import { openDevice } from "../../src/runtime/devices.ts";
import { openInterpreter } from "../../src/runtime/interpreter-device.ts";
import { WebGpuDevice } from "../../src/runtime/webgpu/device.ts";
import { distance } from "../support/evaluate.ts";
import { runModels, streamedOptions } from "../support/streamed-runs.ts";
import { openTestGpu } from "../support/webgpu.ts";

// The last part of the vocabulary is filled up.
const options = streamedOptions(23, 5);
const STEPS = 20;
const reference = await runModels(openInterpreter(), options, STEPS);

it.each([
  ["cpu", () => openDevice("cpu")],
  ["webgpu", async () => new WebGpuDevice(await openTestGpu())],
] as const)(
  "trains, distils, samples and draws on %s",
  async (_name, open) => {
    const device = await open();
    const run = await runModels(device, options, STEPS);
    expect(distance(run.flmLosses, reference.flmLosses)).toBeLessThan(1e-4);
    expect(distance(run.fmlmLosses, reference.fmlmLosses)).toBeLessThan(1e-4);
    expect(Math.abs(run.validation - reference.validation)).toBeLessThan(1e-4);
    expect(distance(run.weights, reference.weights)).toBeLessThan(1e-3);
    expect(distance(run.samples, reference.samples)).toBeLessThan(1e-3);
    // Rounding may decide a token where two are about as probable.
    const other = run.tokens.filter((token, i) => token !== reference.tokens[i]).length;
    expect(other / run.tokens.length).toBeLessThan(0.02);
    await device.dispose();
  },
  300_000,
);
