/**
 * The autotuner of dots: times the ways to compute each dot of a program on the GPU, and keeps what clearly beats the heuristic. Each
 * dot is timed alone, on operands that are stored as the program's are; what the program fuses with it is left out.
 *
 * Operands are such (`dot-alone.ts`) that every order of summation gives the same result to the last bit: a way
 * whose result differs from that of most others is wrong on this adapter, and is dropped and reported before any is timed. Matrix units
 * are new to drivers: ways that use them are compared with the others, and have no say in what is right.
 *
 * Consumed by `fluxion tune`. Safe in a browser.
 */
import type { HostTensor } from "../../compiler/host-tensor.ts";
import type { TargetLimits } from "../../compiler/kernel/plan.ts";
import { configName, dotCandidates, rungName } from "../../compiler/schedule/dot/candidates.ts";
import type { DotConfig } from "../../compiler/schedule/dot/dot.ts";
import type { DotLayout, DotShape } from "../../compiler/schedule/dot/problem.ts";
import { schedule } from "../../compiler/schedule/schedule.ts";
import { sizeOf } from "../../dsl/program/program.ts";
import type { Program, TensorType } from "../../dsl/program/program.ts";
import type { DeviceValue } from "../device.ts";
import type { WebGpuDevice } from "./device.ts";
import { dotProgram, exactOperand } from "./dot-alone.ts";
import { DeviceLostError } from "./errors.ts";
import type { WebGpuExecutable } from "./executable.ts";
import { messageOf } from "./gpu.ts";
import { dotKey } from "./tune-table.ts";
import type { TunedDot } from "./tune-table.ts";

/** A dot of a program, for all whose key is the same: the one with most products. */
export interface ProgramDot {
  readonly key: string;
  readonly shape: DotShape;
  readonly layout: DotLayout;
}

/** A way to compute a dot, as it was measured. */
export interface Measured {
  readonly config: DotConfig;
  /** Of one run; undefined where there is a problem. */
  readonly nanoseconds: number | undefined;
  /** Why it does not count. */
  readonly problem: string | undefined;
}

/** What was found for a dot. */
export interface DotReport extends ProgramDot {
  /** The heuristic's way first. Empty when the dot could not be measured. */
  readonly measured: readonly Measured[];
  /** Why the dot could not be measured. */
  readonly problem: string | undefined;
  /** The fastest, if it is kept; undefined: the heuristic's stays. */
  readonly kept: Measured | undefined;
}

export interface TuneOptions {
  /** Called before each dot, and after the last. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Measures a run in nanoseconds. Default: by timestamps on a device with `profile`, else by the clock. */
  readonly time?: (
    executable: WebGpuExecutable,
    inputs: readonly DeviceValue[],
    config: DotConfig,
  ) => Promise<number>;
  /**
   * Milliseconds for which the first way that is right runs before any is timed: a GPU that has waited, for operands or for a compiler, is slower at
   * first. Default 500, and 0 on a software adapter.
   */
  readonly warmUp?: number;
}

/** What is kept must beat the heuristic by so much: less may be chance. */
const GAIN = 1.05;
const ROUNDS = 7;
/** No round begins after so many milliseconds on one dot. */
const BUDGET = 3000;
/** Milliseconds in which the clock of a GPU rises: an NVIDIA H200 was a fifth as fast for the first 300. */
const WARM_UP = 500;
/** Runs that the clock times together. */
const TOGETHER = 8;

/** The dots of a program as a device would compute it, one for each key, the largest first. */
export function dotsOf(program: Program, limits: TargetLimits): readonly ProgramDot[] {
  const found = new Map<string, ProgramDot>();
  schedule(program, {
    limits,
    dots: (shape, layout) => {
      const key = dotKey(shape, layout);
      const known = found.get(key);
      if (known === undefined || products(known.shape) < products(shape))
        found.set(key, { key, shape, layout });
      return undefined;
    },
  });
  return [...found.values()].sort((a, b) => products(b.shape) - products(a.shape));
}

const products = ({ batch, rows, columns, inner }: DotShape): number => batch * rows * columns * inner;

/** Tunes the dots of a program. @throws DeviceLostError when the device is lost meanwhile */
export async function tuneProgram(
  device: WebGpuDevice,
  program: Program,
  { onProgress, time, warmUp }: TuneOptions = {},
): Promise<readonly DotReport[]> {
  const dots = dotsOf(program, device.limits);
  const reports: DotReport[] = [];
  for (const dot of dots) {
    onProgress?.(reports.length, dots.length);
    reports.push(
      await tuneDot(device, dot, {
        time: time ?? timeRun(device),
        warmUp: warmUp ?? (device.limits.software === true ? 0 : WARM_UP),
      }),
    );
  }
  onProgress?.(dots.length, dots.length);
  return reports;
}

/** What a table is to have of the reports: undefined where the heuristic is to decide. Dots that could not be measured are left out. */
export function resultsOf(reports: readonly DotReport[]): ReadonlyMap<string, TunedDot | undefined> {
  const measured = reports.filter(({ problem }) => problem === undefined);
  return new Map(
    measured.map(({ key, kept }) => [
      key,
      kept === undefined
        ? undefined
        : { rung: rungName(kept.config.rung), slices: kept.config.split?.slices ?? 1 },
    ]),
  );
}

/** The fastest, if it beats the first by enough, or the first does not count. */
export function chooseMeasured(measured: readonly Measured[]): Measured | undefined {
  const timeOf = ({ nanoseconds }: Measured): number => nanoseconds ?? Infinity;
  const [heuristic, ...others] = measured as readonly [Measured, ...Measured[]]; // there is the heuristic's
  const best = others.reduce<Measured>((a, b) => (timeOf(b) < timeOf(a) ? b : a), heuristic);
  return timeOf(heuristic) > GAIN * timeOf(best) ? best : undefined;
}

type Timing = Required<Pick<TuneOptions, "time" | "warmUp">>;

async function tuneDot(device: WebGpuDevice, dot: ProgramDot, { time, warmUp }: Timing): Promise<DotReport> {
  const failed = (problem: string): DotReport => ({ ...dot, measured: [], problem, kept: undefined });
  const program = dotProgram(dot.shape, dot.layout);
  if (!sameDot(program, dot, device.limits))
    return failed("operands that are computed as they are read cannot be timed alone");
  const loaded: { readonly config: DotConfig; readonly executable: WebGpuExecutable }[] = [];
  const values: DeviceValue[] = [];
  try {
    for (const [seed, id] of program.inputs.entries())
      values.push(device.upload(exactOperand(program.types[id] as TensorType, seed, dot.shape.inner))); // inputs have types
    const problems = new Map<DotConfig, string>();
    const outcomes: { readonly config: DotConfig; readonly result: HostTensor["data"] }[] = [];
    const candidates = dotCandidates(dot.shape, dot.layout, device.limits);
    const garbage = garbageOf(program.types[2] as TensorType); // the result's
    for (const config of candidates) {
      try {
        const plan = schedule(program, { limits: device.limits, dots: () => config });
        const executable = await device.load(plan, { name: configName(config) });
        loaded.push({ config, executable });
        // The result may come where the one before was: a way that stores nothing must not pass for right.
        device.upload(garbage).dispose();
        outcomes.push({ config, result: await resultOf(executable, values) }); // also the warm-up
      } catch (error) {
        if (error instanceof DeviceLostError) throw error;
        problems.set(config, messageOf(error));
      }
    }
    for (const config of disagreeing(outcomes, ({ rung }) => rung.kind !== "matrix"))
      problems.set(config, "its result is not that of the other ways");
    const right = loaded.filter(({ config }) => !problems.has(config));
    if (right[0] !== undefined) await warm(device, right[0].executable, values, warmUp);
    const times = await timeAll(right, values, time);
    const measured = candidates.map((config): Measured => {
      const problem = problems.get(config);
      return { config, problem, nanoseconds: problem === undefined ? times.get(config) : undefined };
    });
    if (measured.every(({ problem }) => problem !== undefined)) return failed(measured[0]?.problem ?? "");
    return { ...dot, measured, problem: undefined, kept: chooseMeasured(measured) };
  } catch (error) {
    if (error instanceof DeviceLostError) throw error;
    return failed(messageOf(error));
  } finally {
    for (const value of values) value.dispose();
    for (const { executable } of loaded) await executable.dispose();
  }
}

/** Keeps a GPU busy for so many milliseconds. */
async function warm(
  device: WebGpuDevice,
  executable: WebGpuExecutable,
  values: readonly DeviceValue[],
  milliseconds: number,
): Promise<void> {
  const begin = performance.now();
  while (performance.now() - begin < milliseconds) {
    for (let i = 0; i < TOGETHER; i++) await run(executable, values);
    await device.context.gpu.device.queue.onSubmittedWorkDone();
  }
}

/** The medians, from rounds in which each has its turn, so that a slow moment hits all alike. */
async function timeAll(
  loaded: readonly { readonly config: DotConfig; readonly executable: WebGpuExecutable }[],
  values: readonly DeviceValue[],
  time: Timing["time"],
): Promise<ReadonlyMap<DotConfig, number>> {
  const times = new Map<DotConfig, number[]>(loaded.map(({ config }) => [config, []]));
  const begin = performance.now();
  for (let round = 0; round < ROUNDS && (round === 0 || performance.now() - begin < BUDGET); round++)
    for (const { config, executable } of loaded)
      times.get(config)?.push(await time(executable, values, config));
  const median = (samples: readonly number[]): number =>
    [...samples].sort((a, b) => a - b)[samples.length >> 1] as number; // there was a round
  return new Map([...times].map(([config, samples]) => [config, median(samples)]));
}

async function run(executable: WebGpuExecutable, values: readonly DeviceValue[]): Promise<void> {
  for (const output of await executable.run(values)) output.dispose();
}

/** How a run is measured on a device. */
function timeRun(device: WebGpuDevice): NonNullable<TuneOptions["time"]> {
  if (device.context.profile) {
    const total = (executable: WebGpuExecutable): number =>
      executable.timings().reduce((sum, { nanoseconds }) => sum + nanoseconds, 0);
    return async (executable, values) => {
      const before = total(executable);
      await run(executable, values);
      return total(executable) - before;
    };
  }
  const { gpu, failures } = device.context;
  const done = () => failures.until(gpu.device.queue.onSubmittedWorkDone());
  return async (executable, values) => {
    await done();
    const begin = performance.now();
    for (let i = 0; i < TOGETHER; i++) await run(executable, values);
    await done();
    return ((performance.now() - begin) / TOGETHER) * 1e6;
  };
}

/** What no dot of small numbers gives. */
const garbageOf = (type: TensorType): HostTensor => ({
  ...type,
  data: new Float32Array(sizeOf(type.shape)).fill(1e30),
});

async function resultOf(
  executable: WebGpuExecutable,
  values: readonly DeviceValue[],
): Promise<HostTensor["data"]> {
  const [output] = (await executable.run(values)) as readonly [DeviceValue]; // a dot has one result
  try {
    return (await output.read()).data;
  } finally {
    output.dispose();
  }
}

/**
 * Those whose result is not that of most. Where as many say otherwise, those that come first are believed.
 * @param counts whether a way has a say; where none has, none is believed
 */
export function disagreeing<C>(
  outcomes: readonly { readonly config: C; readonly result: ArrayLike<number> }[],
  counts: (config: C) => boolean = () => true,
): readonly C[] {
  const groups: { readonly result: ArrayLike<number>; readonly configs: C[] }[] = [];
  for (const { config, result } of outcomes) {
    const group = groups.find((known) => sameNumbers(known.result, result));
    if (group === undefined) groups.push({ result, configs: [config] });
    else group.configs.push(config);
  }
  const votes = groups.map(({ configs }) => configs.filter(counts).length);
  const most = Math.max(1, ...votes);
  const believed = groups[votes.indexOf(most)];
  return groups.filter((group) => group !== believed).flatMap(({ configs }) => configs);
}

function sameNumbers(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Whether the scheduler sees the dot in the program of its own as it did in the whole one. */
function sameDot(program: Program, { key }: ProgramDot, limits: TargetLimits): boolean {
  return dotsOf(program, limits).some((seen) => seen.key === key);
}
