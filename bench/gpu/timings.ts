/**
 * What is timed on a GPU: products of growing size, attention, training steps, and what a dispatch costs the host. No other library takes
 * part; work that is too short to be timed alone is asked for several times in a run.
 *
 * Consumed by the benchmark of hardware. To add a timing: a function that gives a `Timing`, called in `timings`.
 */
import { hostTensor, toNumbers } from "../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../src/compiler/host-tensor.ts";
import { attention, f16, f32, fn, matmul, mul, sum, trace, valueAndGrad } from "../../src/dsl/index.ts";
import type { Fn, Tensor } from "../../src/dsl/index.ts";
import { inlineCalls } from "../../src/compiler/passes/inline.ts";
import { optimize } from "../../src/compiler/passes/pipeline.ts";
import { sizeOf } from "../../src/dsl/program/program.ts";
import type { ModelOptions } from "../../src/models/training/programs.ts";
import type { DeviceValue } from "../../src/runtime/device.ts";
import { configName } from "../../src/compiler/schedule/dot/candidates.ts";
import { adapterKey, EMPTY_TABLE, withResults } from "../../src/runtime/webgpu/tune-table.ts";
import { resultsOf, tuneProgram } from "../../src/runtime/webgpu/tune.ts";
import type { WebGpuDevice } from "../../src/runtime/webgpu/device.ts";
import { agree, DisagreementError } from "../case.ts";
import type { Comparison, Phase } from "../case.ts";
import { compare } from "../contenders.ts";
import { normal } from "../numbers.ts";
import { timed } from "../phases.ts";
import { FLUXION } from "../fluxion.ts";
import { sampledProduct } from "../sampled-product.ts";
import { BARE, bareProduct } from "../webgpu/bare-matmul.ts";
import type { Float } from "../webgpu/bare-matmul.ts";
import { submitMs } from "../webgpu/calls.ts";
import { CHAIN_SIZE, chainOf, ROTATION } from "../webgpu/chain.ts";
import { initialState, loadStep, rowsOf, sizesOf, traceStep, trainingOf } from "../webgpu/flm-step.ts";
import type { TracedStep } from "../webgpu/flm-step.ts";

const SPECS = { f32, f16 } as const;

/** Nobody else takes part. */
export const NOBODY = { absent: new Map<string, string>() };

/** A run takes at least this long, in milliseconds: a GPU's clock rises, and the wait for it ends late by some tenths. */
const LEAST_RUN = 20;

/** Normal numbers, the same ones over and over: drawing tens of millions takes longer than all the rest. */
function numbers(seed: number, size: number): Float32Array {
  const few = normal(seed, Math.min(size, 65_521)); // a prime: no row repeats another
  return Float32Array.from({ length: size }, (_, i) => few[i % few.length] as number);
}

const tensorOf = (seed: number, shape: readonly number[], dtype: Float): HostTensor =>
  hostTensor(dtype, shape, numbers(seed, sizeOf(shape)));

/** A program on inputs of its own, to be run again and again. */
async function loaded(
  device: WebGpuDevice,
  name: string,
  f: unknown,
  inputs: readonly HostTensor[],
): Promise<{
  once(): Promise<readonly DeviceValue[]>;
  repeat(times: number): Promise<void>;
  dispose(): Promise<void>;
}> {
  const { program } = trace(f as Fn<never, unknown>); // it is only traced
  const executable = await device.compile(optimize(inlineCalls(program)), { name });
  const values = inputs.map((input) => device.upload(input));
  const once = (): Promise<readonly DeviceValue[]> => executable.run(values);
  return {
    once,
    repeat: async (times) => {
      for (let i = 0; i < times; i++) for (const value of await once()) value.dispose();
      await device.context.gpu.device.queue.onSubmittedWorkDone();
    },
    dispose: async () => {
      for (const value of values) value.dispose();
      await executable.dispose();
    },
  };
}

/** Milliseconds of work before anything is timed: an NVIDIA H200 was a fifth as fast for the first 300. */
const WARM_UP = 500;

/** How often something has to be done in a run, from how long it takes once on a GPU that is busy. */
export async function timesOf(
  { context }: WebGpuDevice,
  repeat: (times: number) => Promise<void>,
): Promise<{ times: number; onceMs: number }> {
  const until = performance.now() + (context.gpu.software ? 0 : WARM_UP);
  do await repeat(1);
  while (performance.now() < until);
  const { phase } = await timed("once", () => repeat(1));
  return { times: Math.min(1000, Math.max(1, Math.ceil(LEAST_RUN / phase.wallMs))), onceMs: phase.wallMs };
}

/** Something to be timed. `onceMs` says whether there is time for it. */
export interface Timing {
  readonly comparison: Comparison;
  readonly onceMs: number;
}

async function timingOf(
  device: WebGpuDevice,
  program: Awaited<ReturnType<typeof loaded>>,
  { name, what, flops }: { readonly name: string; readonly what: string; readonly flops: number },
  agreements: Comparison["agreements"],
): Promise<Timing> {
  const { times, onceMs } = await timesOf(device, program.repeat);
  return {
    onceMs,
    comparison: {
      name,
      what: times === 1 ? what : `${what}, ${times} times`,
      flops: flops * times,
      contenders: [{ name: FLUXION, run: () => program.repeat(times) }],
      ratios: [],
      agreements,
      dispose: program.dispose,
    },
  };
}

/** A square product, and the same by a kernel written by hand: what the adapter reaches. Whole rows of both are checked. */
export async function product(device: WebGpuDevice, size: number, dtype: Float): Promise<Timing> {
  const spec = SPECS[dtype](size, size);
  const [a, b] = [tensorOf(1, [size, size], dtype), tensorOf(2, [size, size], dtype)];
  const { expected, sample } = sampledProduct(size, toNumbers(a), toNumbers(b));
  const name = `matmul ${size} ${dtype}`;
  const f = fn({ a: spec, b: spec }, ({ a, b }) => matmul(a as Tensor, b as Tensor));
  const program = await loaded(device, name, f, [a, b]);
  const { times, onceMs } = await timesOf(device, program.repeat);
  const comparison = await compare(NOBODY, {
    name,
    what: `[${size},${size}] by [${size},${size}], ${dtype}, sums in f32${times === 1 ? "" : `, ${times} times`}`,
    flops: 2 * size ** 3 * times,
    candidates: [
      {
        name: FLUXION,
        prepare: async () => ({
          run: () => program.repeat(times),
          values: async () => {
            const [result] = await program.once();
            const values = toNumbers(await (result as DeviceValue).read()); // it has one
            result?.dispose();
            return [sample(values)];
          },
          dispose: program.dispose,
        }),
      },
      {
        name: BARE,
        prepare: async () => {
          const stored = [a.data, b.data] as [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>]; // or both as bits
          const bare = await bareProduct(device.context.gpu, size, dtype, stored);
          return {
            note: bare.note,
            run: () => bare.run(times),
            values: async () => [sample(toNumbers({ ...a, ...(await bare.product()) }))],
            dispose: async () => bare.dispose(),
          };
        },
      },
    ],
    checks: [{ what: "the product", tolerance: dtype === "f32" ? 4e-6 * Math.sqrt(size) : 4e-3 }],
    expected: { from: "sums in float64", values: [expected] },
    ratios: [{ of: FLUXION, to: BARE, note: "how far from what the adapter reaches" }],
  });
  return { comparison, onceMs };
}

export interface AttentionSizes {
  readonly batch: number;
  readonly heads: number;
  readonly length: number;
  readonly depth: number;
}

/** Attention: forward, or forward and backward, whose values checks.ts looks at, on sizes that the interpreter can do. */
export async function attentionTiming(
  device: WebGpuDevice,
  { batch, heads, length, depth }: AttentionSizes,
  dtype: Float,
  backward: boolean,
): Promise<Timing> {
  const shape = [batch, heads, length, depth];
  const spec = SPECS[dtype](...shape);
  const attend = (x: Record<"q" | "k" | "v", Tensor>): Tensor => attention(x.q, x.k, x.v);
  const f = backward
    ? fn({ x: { q: spec, k: spec, v: spec }, w: spec }, ({ x, w }) =>
        valueAndGrad((x: Record<"q" | "k" | "v", Tensor>): Tensor<[]> => sum(mul(attend(x), w as Tensor)) as Tensor<[]>)(x as never),
      ) // prettier-ignore
    : fn({ x: { q: spec, k: spec, v: spec } }, ({ x }) => attend(x as never));
  const inputs = Array.from({ length: backward ? 4 : 3 }, (_, i) => tensorOf(i + 1, shape, dtype));
  const name = `attention ${dtype} ${backward ? "forward and backward" : "forward"}`;
  const program = await loaded(device, name, f, inputs);
  const products = backward ? 7 : 2; // two forward; five more, the scores once again among them
  return timingOf(
    device,
    program,
    {
      name,
      what: `batch ${batch}, heads ${heads}, length ${length}, depth ${depth}, ${dtype}`,
      flops: 2 * products * batch * heads * length ** 2 * depth,
    },
    [],
  );
}

/** What a dispatch costs the host, as cases/dispatch.ts has it: without submits, or with them. */
export async function dispatchTiming(
  device: WebGpuDevice,
  length: number,
  submits: boolean,
): Promise<Comparison> {
  const executable = await device.compile(chainOf(length), { name: "the chain" });
  const rotation = device.upload(hostTensor("f32", [CHAIN_SIZE, CHAIN_SIZE], ROTATION));
  const results: DeviceValue[] = [];
  const ask = async (): Promise<void> => void results.push(...(await executable.run([rotation])));
  return {
    name: submits ? "dispatch and submit" : "dispatch",
    what: `asking for ${length} dispatches of one run${submits ? "" : ", without its submit"}`,
    contenders: [
      {
        name: FLUXION,
        run: submits ? ask : () => submitMs(ask),
        settle: async () => {
          await device.context.gpu.device.queue.onSubmittedWorkDone();
          for (const result of results.splice(0)) result.dispose();
        },
      },
    ],
    ratios: [],
    bounds: submits ? { submits: 1 } : { submits: 1, microsecondsPerDispatch: 3 },
    perDispatch: true,
    agreements: [],
    dispose: async () => {
      rotation.dispose();
      await executable.dispose();
    },
  };
}

/** What kernels of one kind take of a step, by the GPU's clock. */
export interface KernelTime {
  readonly kernel: string;
  readonly ops: string;
  readonly dispatches: number;
  readonly ms: number;
}

export interface StepTiming extends Timing {
  readonly phases: readonly Phase[];
  readonly facts: Readonly<Record<string, number>>;
  /** Losses of the first steps, all on one batch: they fall. */
  readonly losses: readonly number[];
}

/**
 * A training step with the loss read back.
 * @param traced the step, if it is at hand
 * @throws Error when the first loss is not ln(vocab), or it does not fall
 */
export async function stepTiming(
  device: WebGpuDevice,
  name: string,
  options: ModelOptions,
  traced?: TracedStep,
): Promise<StepTiming> {
  const { network, batch } = options;
  const state = await initialState(device, options);
  const step = await loadStep(device, traced ?? (await traceStep(options)), { donate: true });
  const training = trainingOf(device, step, state, rowsOf(options));
  const first = await timed("first run", training.step);
  const losses = [first.value];
  for (let i = 0; i < 4; i++) losses.push(await training.step());
  const agreement = agree("the first loss with ln(vocab)", [first.value], [Math.log(network.vocab)], 1e-4);
  if (!((losses.at(-1) ?? Number.NaN) < first.value))
    throw new DisagreementError(`The loss of the ${name} step does not fall: ${losses.join(", ")}.`);
  const { phase } = await timed("once", training.step);
  return {
    onceMs: phase.wallMs,
    phases: [...step.phases, first.phase],
    facts: step.facts,
    losses,
    comparison: {
      name: `flm ${name}`,
      what: `an FLM step, ${sizesOf(options)}, projected; the loss is read back`,
      tokens: batch * network.length,
      contenders: [{ name: FLUXION, run: async () => void (await training.step()) }],
      ratios: [],
      bounds: { submits: 1 },
      agreements: [agreement],
      dispose: training.dispose,
    },
  };
}

/**
 * Tunes the dots of a step, and has the device use what was found.
 * @returns by dot, what it is computed by now, and how much faster that is alone
 */
export async function tuneStep(
  device: WebGpuDevice,
  { program }: TracedStep,
): Promise<Readonly<Record<string, string>>> {
  const reports = await tuneProgram(device, program);
  const table = withResults(EMPTY_TABLE, adapterKey(device.context.gpu.adapter), resultsOf(reports));
  device.useTuned(table);
  return Object.fromEntries(
    reports.flatMap(({ key, measured, kept }) => {
      const before = measured[0]?.nanoseconds;
      if (kept?.nanoseconds === undefined || before === undefined) return [];
      return [[key, `${configName(kept.config)}, ${(before / kept.nanoseconds).toFixed(2)} times as fast`]];
    }),
  );
}

/** Where the time of a step goes: kernels by the GPU's own clock, the longest first. @param device opened with `profile` */
export async function profileStep(
  device: WebGpuDevice,
  options: ModelOptions,
  runs: number,
): Promise<{ readonly ms: number; readonly kernels: readonly KernelTime[] }> {
  const state = await initialState(device, options);
  const step = await loadStep(device, await traceStep(options), { donate: true });
  const training = trainingOf(device, step, state, rowsOf(options));
  await training.step();
  const before = step.executable.timings();
  for (let i = 0; i < runs; i++) await training.step();
  const kinds = new Map<string, KernelTime>();
  for (const [i, { dispatch, nanoseconds }] of step.executable.timings().entries()) {
    const [kernel, ops] = [dispatch.kernel.name, dispatch.ops.join(" ")];
    const key = `${kernel} ${ops} ${dispatch.flops}`;
    const known = kinds.get(key) ?? { kernel, ops, dispatches: 0, ms: 0 };
    const ms = (nanoseconds - (before[i]?.nanoseconds ?? 0)) / runs / 1e6;
    kinds.set(key, { ...known, dispatches: known.dispatches + 1, ms: known.ms + ms });
  }
  await training.dispose();
  const kernels = [...kinds.values()].sort((a, b) => b.ms - a.ms);
  return { ms: kernels.reduce((total, { ms }) => total + ms, 0), kernels: kernels.slice(0, 40) };
}
