/**
 * What runs on the GPU for one step of a training, as plain data for the page: kernels with what they move, compute and take, and the
 * memory. Where the training runs on another device, it is what WebGPU would run for the same step.
 *
 * Called by the engine's worker for `Engine.explain`; shown by explain-view.tsx.
 */
import type { Explanation } from "../../../src/compiler/explain/explanation.ts";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import { inlineCalls } from "../../../src/compiler/passes/inline.ts";
import { optimize } from "../../../src/compiler/passes/pipeline.ts";
import { opsText } from "../../../src/runtime/explain/words.ts";
import { summary } from "../../../src/runtime/explain/summary.ts";
import { trace } from "../../../src/dsl/index.ts";
import type { Fn } from "../../../src/dsl/index.ts";
import { inputTypes } from "../../../src/dsl/program/program.ts";
import type { Device } from "../../../src/runtime/device.ts";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { DeviceLostError } from "../../../src/runtime/webgpu/errors.ts";
import { explainWebGpu, timeExplained } from "../../../src/runtime/webgpu/explain.ts";
import type {
  ExplainWebGpuOptions,
  TimedExplanation,
  TimeOptions,
} from "../../../src/runtime/webgpu/explain.ts";
import { randomInputs } from "../../../src/runtime/webgpu/random-inputs.ts";
import { moment } from "../engine/moment.ts";
import type { ExplainedKernel, ExplainProgress, ModelName, StepExplanation } from "../engine/protocol.ts";

export interface ExplainedStep {
  readonly phase: ModelName;
  /** The program of the step, as the training compiles it: what is donated are its inputs under `state`. */
  readonly program: Fn<never, unknown>;
  /** Tokens of the vocabulary: the whole numbers that the step is fed are below it. */
  readonly vocabulary: number;
  /** What the training runs on. */
  readonly device: Device;
}

export interface ExplainHooks {
  readonly onProgress?: (progress: ExplainProgress) => void;
  /** Ends it at the next place where that is possible. */
  readonly signal?: AbortSignal;
}

/** Each kernel's time is the median of as many runs, or of those that began within so many milliseconds: software takes seconds for one. */
const [RUNS, WITHIN] = [3, 2000];

/**
 * Explains a step. On a WebGPU device with timestamps its kernels are timed: on the device of the training, which has them compiled, and
 * with random inputs, so the training's state stays as it is.
 * @throws Error where an op has no kernel within the device's limits, naming it; the signal's reason when it is aborted
 */
export async function explainStep(
  { phase, program: step, vocabulary, device }: ExplainedStep,
  { onProgress = () => undefined, signal }: ExplainHooks = {},
): Promise<StepExplanation> {
  /** Planning keeps the worker busy: between its parts it listens. */
  const listen = async (): Promise<void> => {
    await moment();
    signal?.throwIfAborted();
  };
  onProgress({ stage: "planning" });
  await listen();
  const { program: traced, inputNames, outputNames } = trace(step);
  const program = optimize(inlineCalls(traced));
  await listen();
  const gpu = device instanceof WebGpuDevice ? device : undefined;
  const options: ExplainWebGpuOptions = {
    inputNames,
    outputNames,
    donated: inputNames.flatMap((name, position) => (name.startsWith("state.") ? [position] : [])),
    ...(gpu === undefined ? {} : { limits: gpu.limits, f16: gpu.context.f16, dots: gpu.dots }),
  };
  const plan = explainWebGpu(program, options);
  await listen();
  const timed =
    gpu === undefined
      ? undefined
      : await unlessRefused(() => {
          const inputs = randomInputs(inputTypes(program), (position) =>
            inputNames[position] === "tokens" ? vocabulary : undefined,
          );
          const hooks: Partial<TimeOptions> = { onProgress, ...(signal === undefined ? {} : { signal }) };
          return timeExplained(gpu, plan, inputs, { runs: RUNS, within: WITHIN, name: "the step", ...hooks });
        }, signal);
  const explanation = typeof timed === "object" ? timed.explanation : plan.explanation;
  const kernels = kernelsOf(explanation);
  const limits = gpu?.limits ?? MINIMUM_LIMITS;
  return {
    phase,
    kernels,
    dispatches: explanation.totals.dispatchesPerRun,
    bytes: bytesOf(explanation),
    about: aboutText(gpu, device, timed),
    summary: summary({
      name: "The step",
      limits,
      limitsOf: gpu === undefined ? "what every GPU offers" : "what this GPU offers",
      gpu: null, // `about` says it
      timedRuns: typeof timed === "object" ? timed.runs : null,
      explanation,
    }),
    memory: {
      memory: explanation.memory,
      temporaries: explanation.temporaries,
      control: explanation.control,
      dispatches: explanation.dispatches.map(({ position, index, name }) => ({ position, index, name })),
      copies: explanation.copies.map(({ position }) => ({ position })),
    },
  };
}

/** The explanation with times, or why there are none. @throws what is no matter of timing: it was stopped, or the device is lost */
async function unlessRefused(
  time: () => Promise<TimedExplanation>,
  signal: AbortSignal | undefined,
): Promise<TimedExplanation | string> {
  try {
    return await time();
  } catch (error) {
    if (error instanceof DeviceLostError || signal?.aborted === true) throw error;
    // No timestamps, or no room for a second state: what is known without them is shown.
    return error instanceof Error ? error.message : String(error);
  }
}

function aboutText(
  gpu: WebGpuDevice | undefined,
  device: Device,
  timed: TimedExplanation | string | undefined,
): string {
  if (gpu === undefined)
    return `The training runs on the device ${device.name}, which has no kernels of this project. This is what WebGPU would run for the same step, within the limits that every GPU offers.`;
  const runs = `This runs on ${gpu.describe()}.`;
  if (typeof timed !== "object") return timed === undefined ? runs : `${runs} There are no times: ${timed}`;
  const of = timed.runs === 1 ? "of one run" : `the median of ${timed.runs} runs`;
  return `${runs} Times are each kernel's alone, ${of} with random inputs.`;
}

/** Dispatches that share their code as one kernel. */
function kernelsOf({ pipelines, dispatches, totals }: Explanation): readonly ExplainedKernel[] {
  return pipelines.map(({ name, dispatches: indices, code }) => {
    const own = indices.flatMap((index) => dispatches[index] ?? []);
    const sum = (of: (dispatch: (typeof own)[number]) => number): number =>
      own.reduce((all, dispatch) => all + of(dispatch), 0);
    const [first] = own;
    return {
      name,
      dispatches: sum(({ runs }) => runs),
      bytesRead: sum(({ bytesRead }) => bytesRead),
      bytesWritten: sum(({ bytesWritten }) => bytesWritten),
      flops: sum(({ flops }) => flops),
      ...(totals.nanoseconds === null
        ? {}
        : { milliseconds: sum(({ nanoseconds }) => nanoseconds ?? 0) / 1e6 }),
      wgsl: code,
      ...(first === undefined ? {} : { ops: opsText(first) }),
    };
  });
}

const bytesOf = ({ memory }: Explanation): number =>
  memory.peakBytes + memory.inputBytes + memory.outputBytes + memory.constantBytes;
