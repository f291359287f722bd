/**
 * The FLM training step on webgpu, made ready phase by phase. Consumed by first-call.ts, the timing of dispatches and the timings
 * on a GPU.
 */
import { outputSpec, trace } from "../../src/dsl/index.ts";
import type { Fn } from "../../src/dsl/index.ts";
import type { Program } from "../../src/dsl/program/program.ts";
import { hostTensor } from "../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../src/compiler/host-tensor.ts";
import { dispatchesOf } from "../../src/compiler/explain/explain.ts";
import { inlineCalls } from "../../src/compiler/passes/inline.ts";
import { optimize } from "../../src/compiler/passes/pipeline.ts";
import { printWgsl } from "../../src/compiler/wgsl/print.ts";
import { schedule } from "../../src/compiler/schedule/schedule.ts";
import { key } from "../../src/models/flow/host-random.ts";
import { keyData } from "../../src/models/training/batches.ts";
import { flmStep, initFlm } from "../../src/models/training/programs.ts";
import type { ModelOptions } from "../../src/models/training/programs.ts";
import type { Device, DeviceValue } from "../../src/runtime/device.ts";
import type { WebGpuDevice } from "../../src/runtime/webgpu/device.ts";
import type { WebGpuExecutable } from "../../src/runtime/webgpu/executable.ts";
import { PRESETS } from "../../src/runtime/training/config.ts";
import { phaseOptions } from "../../src/runtime/training/phases.ts";
import type { Phase } from "../case.ts";
import { timed } from "../phases.ts";

type AnyFn = Fn<never, unknown>;

/** The demo's two, the small model of the publication (arXiv:2602.16813), and one for tests. */
export type StepName = "quick" | "default" | "small" | "tiny";

export function stepOptions(name: StepName): ModelOptions {
  const { quick, default: preset } = PRESETS;
  if (name === "default") return phaseOptions(preset, "flm", preset.data.vocabularySize);
  const options = phaseOptions(quick, "flm", quick.data.vocabularySize);
  const tiny = { vocab: 10, length: 4, width: 8, depth: 1, heads: 2, conditioning: 4 };
  const small = { vocab: 30_522, length: 128, width: 768, depth: 12, heads: 12, conditioning: 128 };
  if (name === "tiny") return { ...options, batch: 2, network: { ...options.network, ...tiny } };
  return name === "quick" ? options : { ...options, network: { ...options.network, ...small } };
}

/** "batch 64, length 12, …" */
export const sizesOf = ({ batch, network: { length, vocab, width, depth } }: ModelOptions): string =>
  `batch ${batch}, length ${length}, vocabulary ${vocab}, width ${width}, ${depth} blocks`;

const isState = (name: string): boolean => name.startsWith("state.");

/** The step as a device compiles it. */
export interface TracedStep {
  readonly phases: readonly Phase[];
  readonly program: Program;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
}

export interface LoadedStep extends TracedStep {
  readonly facts: Readonly<Record<string, number>>;
  readonly executable: WebGpuExecutable;
}

export async function traceStep(options: ModelOptions): Promise<TracedStep> {
  const traced = await timed("trace and differentiate", () =>
    trace(flmStep(options, outputSpec(initFlm(options) as AnyFn) as never) as AnyFn),
  );
  const { program, inputNames, outputNames } = traced.value;
  const optimized = await timed("passes", () => optimize(inlineCalls(program)));
  return { phases: [traced.phase, optimized.phase], program: optimized.value, inputNames, outputNames };
}

/** Schedules and loads a step. With `donate`, a run consumes the state. */
export async function loadStep(
  device: WebGpuDevice,
  traced: TracedStep,
  { donate }: { readonly donate: boolean },
): Promise<LoadedStep> {
  const { program, inputNames } = traced;
  const donated = donate ? inputNames.flatMap((name, i) => (isState(name) ? [i] : [])) : [];
  const scheduled = await timed("schedule kernels", () =>
    schedule(program, { limits: device.limits, dots: device.dots, donated }),
  );
  const loaded = await timed("write and make pipelines", () =>
    device.load(scheduled.value, { name: "the FLM step", donate: donated }),
  );
  const dispatches = dispatchesOf(scheduled.value);
  return {
    ...traced,
    phases: [...traced.phases, scheduled.phase, loaded.phase],
    facts: {
      "equations left": program.equations.length,
      dispatches: dispatches.length,
      "different kernels": new Set(dispatches.map(({ kernel }) => printWgsl(kernel, device.context))).size,
    },
    executable: loaded.value,
  };
}

/** The state that training starts from, made by a device, by the names that the step has for it. */
export async function initialState(
  device: Device,
  options: ModelOptions,
): Promise<ReadonlyMap<string, DeviceValue>> {
  const { program, outputNames } = trace(initFlm(options) as AnyFn);
  const init = await device.compile(optimize(inlineCalls(program)), { name: "the initial state" });
  const seed = device.upload(hostTensor("u32", [2], keyData(key(1))));
  const values = await init.run([seed]);
  seed.dispose();
  await init.dispose();
  return new Map(values.map((value, i) => [`state.${outputNames[i] ?? ""}`, value]));
}

/** The other inputs of a step. */
export function rowsOf({ network, batch }: ModelOptions): ReadonlyMap<string, HostTensor> {
  const rows = (value: number): HostTensor => hostTensor("f32", [batch], new Float32Array(batch).fill(value));
  const shape = [batch, network.length];
  const tokens = Int32Array.from({ length: batch * network.length }, (_, i) => (7 * i) % network.vocab);
  return new Map([
    ["tokens", hostTensor("i32", shape, tokens)],
    ["tau", rows(0.5)],
    ["t", rows(0.5)],
    ["key", hostTensor("u32", [2], keyData(key(2)))],
    ["learningRate", hostTensor("f32", [], [1e-3])],
  ]);
}

/** One training. It holds its state and its batch. */
export interface Training {
  /** Uploads the batch again. */
  upload(): void;
  /** Asks for a step on the state that the last one left. */
  replay(): Promise<void>;
  /** Asks for a step and reads its loss. */
  step(): Promise<number>;
  dispose(): Promise<void>;
}

/** Runs a step that was loaded with `donate` on its own state. */
export function trainingOf(
  device: WebGpuDevice,
  { executable, inputNames, outputNames }: LoadedStep,
  start: ReadonlyMap<string, DeviceValue>,
  rows: ReadonlyMap<string, HostTensor>,
): Training {
  const values = new Map(start);
  const upload = (): void => {
    for (const [name, tensor] of rows) {
      values.get(name)?.dispose();
      values.set(name, device.upload(tensor));
    }
  };
  upload();
  const run = async (): Promise<void> => {
    const inputs = inputNames.map((name) => {
      const value = values.get(name);
      if (value === undefined) throw new Error(`The FLM step has an input ${name} that is not given.`);
      return value;
    });
    const outputs = await executable.run(inputs);
    for (const [i, value] of outputs.entries()) {
      const name = outputNames[i] ?? "";
      // What the state was, the run has consumed.
      if (!isState(name)) values.get(name)?.dispose();
      values.set(name, value);
    }
  };
  return {
    upload,
    replay: run,
    step: async () => {
      await run();
      return (await values.get("loss")?.read())?.data[0] ?? Number.NaN;
    },
    dispose: async () => {
      for (const value of values.values()) value.dispose();
      await executable.dispose();
    },
  };
}
