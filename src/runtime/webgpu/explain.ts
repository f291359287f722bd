/**
 * What the WebGPU device would run for a program, and how long each part takes on a GPU. Explaining needs no GPU; timing does.
 *
 * Consumed by `fluxion explain` and `fluxion inspect --wgsl`.
 */
import { dispatchesOf, explain, withTimes } from "../../compiler/explain/explain.ts";
import type { Explanation } from "../../compiler/explain/explanation.ts";
import type { HostTensor } from "../../compiler/host-tensor.ts";
import { MINIMUM_LIMITS } from "../../compiler/kernel/plan.ts";
import type { Dispatch, Plan, TargetLimits } from "../../compiler/kernel/plan.ts";
import type { DotChoice } from "../../compiler/schedule/dot-kernel.ts";
import { bufferOf } from "../../compiler/kernel/verify-plan.ts";
import { schedule } from "../../compiler/schedule/schedule.ts";
import { printWgsl } from "../../compiler/wgsl/print.ts";
import type { Program, TensorType } from "../../dsl/program/program.ts";
import type { DeviceValue } from "../device.ts";
import { boundBytes, dataBytes } from "./context.ts";
import type { WebGpuDevice } from "./device.ts";

export interface ExplainWebGpuOptions {
  /** What kernels are made for. Default: the least that any adapter offers. */
  readonly limits?: TargetLimits;
  /** Whether f16 is stored as such. Default: it is not, since not every adapter can. */
  readonly f16?: boolean;
  /** false: a kernel for every equation. */
  readonly fusion?: boolean;
  /** How dots are computed. Default: as the heuristic says. */
  readonly dots?: DotChoice | undefined;
  /** Positions of inputs that are donated. */
  readonly donated?: readonly number[];
  readonly inputNames?: readonly string[];
  readonly outputNames?: readonly string[];
}

/** A program's plan with its explanation. */
export interface ExplainedPlan {
  readonly plan: Plan;
  readonly explanation: Explanation;
}

/** Explains what the device would run for a program. @throws Error when an op has no kernel within the limits, naming it */
export function explainWebGpu(program: Program, options: ExplainWebGpuOptions = {}): ExplainedPlan {
  const { limits = MINIMUM_LIMITS, f16 = false, fusion = true, dots, donated = [], ...names } = options;
  const plan = schedule(program, { limits, fusion, dots, donated });
  const target = {
    print: (kernel: Dispatch["kernel"]) => printWgsl(kernel, { f16 }),
    dataBytes: (type: TensorType) => dataBytes({ f16 }, type),
    heldBytes: (type: TensorType) => boundBytes({ f16 }, type),
  };
  const unfused = fusion ? schedule(program, { limits, fusion: false, dots, donated }) : plan;
  return { plan, explanation: explain(plan, target, { ...names, fusion, program, unfused }) };
}

/**
 * The middle of what each run added to a total; of an even number of runs, the mean of the two in the middle.
 * @param totals before the first run and after each
 */
export function medianOfRuns(totals: readonly number[]): number {
  const runs = totals.slice(1).map((total, i) => total - (totals[i] as number)); // one before each
  const sorted = runs.sort((a, b) => a - b);
  const [low = 0, high = 0] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return (low + high) / 2;
}

/** Where the timing of a plan has come to. */
export interface TimingProgress {
  readonly stage: "compiling" | "timing";
  /** Kernels that are compiled, or runs that are done, of `total`. */
  readonly done: number;
  readonly total: number;
}

export interface TimeOptions {
  /** How often the plan runs, after a run that is not counted. */
  readonly runs: number;
  /** Name of the program, for messages. */
  readonly name: string;
  /** Milliseconds after which no further run begins; where the first one takes as long, it is counted. Default: all of them run. */
  readonly within?: number;
  /** Ends it before the next kernels are compiled, or before the next run. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TimingProgress) => void;
}

/** An explanation with times. */
export interface TimedExplanation {
  readonly explanation: Explanation;
  /** Runs that the times are the median of. */
  readonly runs: number;
}

/** Kernels that are compiled at a time: enough to keep a driver's threads busy, few enough to stop soon. */
const TOGETHER = 8;

/**
 * The explanation with the time of each dispatch: the median of some runs. A dispatch that never runs takes no time. What the device has
 * compiled already, for a training of the same step for instance, is not compiled again.
 * @param device one whose GPU has timestamps
 * @param inputs one for each of the program's
 * @throws UserError when the GPU has no timestamps; the signal's reason when it is aborted
 */
export async function timeExplained(
  device: WebGpuDevice,
  { plan, explanation }: ExplainedPlan,
  inputs: readonly HostTensor[],
  { runs, name, within = Infinity, signal, onProgress = () => undefined }: TimeOptions,
): Promise<TimedExplanation> {
  // An output that takes the place of an input is that input of the next run.
  const overwritten = plan.inputs.map((id) => {
    const { role } = bufferOf(plan, id);
    return role.kind === "input" && role.written === true ? plan.outputs.indexOf(id) : undefined;
  });
  const donate = overwritten.flatMap((output, position) => (output === undefined ? [] : [position]));
  device.checkTimestamps();
  const dispatches = dispatchesOf(plan);
  // The first dispatch of each kernel.
  const kernels = [...new Map(dispatches.toReversed().map((one) => [one.kernel, one])).values()];
  for (let done = 0; done < kernels.length; done += TOGETHER) {
    signal?.throwIfAborted();
    onProgress({ stage: "compiling", done, total: kernels.length });
    await device.context.pipelines.of(kernels.slice(done, done + TOGETHER), name);
  }
  const executable = await device.load(plan, { name, donate, profile: true });
  const values: DeviceValue[] = [];
  const totals = new Map<Dispatch, number[]>();
  let done = 0;
  try {
    for (const input of inputs) values.push(device.upload(input));
    const begin = performance.now();
    for (; done <= runs && (done === 0 || performance.now() - begin < within); done++) {
      signal?.throwIfAborted();
      onProgress({ stage: "timing", done, total: runs + 1 });
      const outputs = await executable.run(values);
      overwritten.forEach((output, position) => {
        if (output !== undefined) values[position] = outputs[output] as DeviceValue; // positions are of outputs
      });
      for (const output of outputs) if (!values.includes(output)) output.dispose();
      for (const { dispatch, nanoseconds } of executable.timings())
        totals.set(dispatch, [...(totals.get(dispatch) ?? []), nanoseconds]);
    }
  } finally {
    for (const value of values) value.dispose();
    await executable.dispose();
  }
  const before = done === 1 ? [0] : []; // a run that was the only one
  return {
    explanation: withTimes(
      explanation,
      dispatches.map((dispatch) => medianOfRuns([...before, ...(totals.get(dispatch) ?? [])])),
    ),
    runs: Math.max(1, done - 1),
  };
}
