/**
 * A first call on webgpu, taken apart: all that a user waits for between a declared function and its first loss, except opening the device,
 * less what a step takes from then on. The driver's share is in the pipelines or, with drivers that put it off, in the first run.
 *
 * Consumed by cases/first-call.ts, in this process or in one of its own by first-call-process.ts.
 */
import type { DeviceValue } from "../../src/runtime/device.ts";
import { openCpu } from "../../src/runtime/onnx/cpu-device.ts";
import { openWebGpu } from "../../src/runtime/webgpu/device.ts";
import { dawnSource } from "../../src/runtime/webgpu/node.ts";
import type { Scale } from "../benchmark.ts";
import type { Phase } from "../case.ts";
import { mlpStep } from "../cases/mlp.ts";
import { beyond, timed } from "../phases.ts";
import { initialState, loadStep, rowsOf, stepOptions, traceStep, trainingOf } from "./flm-step.ts";
import { provideNavigator } from "./navigator.ts";
import { startJax } from "./peers.ts";

/** What is called for the first time. */
export type FirstCallOf = "flm" | "mlp" | "mlp by jax-js";

export interface FirstCall {
  readonly phases: readonly Phase[];
  readonly facts: Readonly<Record<string, number>>;
  readonly loss: number;
}

const SECOND = "ms of a second run";

/** @param adapter part of the wanted adapter's name */
export async function firstCall(of: FirstCallOf, scale: Scale, adapter?: string): Promise<FirstCall> {
  if (of === "flm") return firstFlm(scale, adapter);
  if (of === "mlp by jax-js") {
    provideNavigator(adapter);
    await startJax();
    return firstMlp(scale, "jax-js");
  }
  const device = await openWebGpu(adapter === undefined ? {} : { adapter }, dawnSource);
  const call = await firstMlp(scale, device);
  await device.dispose();
  return call;
}

async function firstFlm(scale: Scale, adapter: string | undefined): Promise<FirstCall> {
  const options = stepOptions(scale === "tiny" ? "tiny" : "quick");
  // The state is made by another device, so that the GPU has compiled nothing when the clock starts.
  const cpu = await openCpu();
  const state = [...(await initialState(cpu, options))];
  const device = await openWebGpu(adapter === undefined ? {} : { adapter }, dawnSource);
  const loaded = await loadStep(device, await traceStep(options), { donate: true });
  const start = new Map<string, DeviceValue>();
  for (const [name, value] of state) start.set(name, device.upload(await value.read()));
  await cpu.dispose();
  const training = trainingOf(device, loaded, start, rowsOf(options));
  const first = await timed("first", training.step);
  const second = await timed("second", training.step);
  await device.dispose();
  return {
    phases: [...loaded.phases, beyond("first run beyond a second", first.phase, second.phase)],
    facts: { ...loaded.facts, [SECOND]: Math.round(second.phase.wallMs) },
    loss: first.value,
  };
}

async function firstMlp(scale: Scale, on: Parameters<typeof mlpStep>[1]): Promise<FirstCall> {
  const made = await timed("trace, compile and upload", () => mlpStep(scale, on));
  const { step, dispose } = made.value;
  const first = await timed("first", step);
  const second = await timed("second", step);
  await dispose();
  return {
    phases: [made.phase, beyond("first run beyond a second", first.phase, second.phase)],
    facts: { [SECOND]: Math.round(second.phase.wallMs) },
    loss: first.value,
  };
}
