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
import { opsText } from "../../../src/cli/explain/subject.ts";
import { summary } from "../../../src/cli/explain/text.ts";
import { trace } from "../../../src/dsl/index.ts";
import type { Fn } from "../../../src/dsl/index.ts";
import { inputTypes } from "../../../src/dsl/program/program.ts";
import type { Device } from "../../../src/runtime/device.ts";
import { openWebGpu, WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { explainWebGpu, timeExplained } from "../../../src/runtime/webgpu/explain.ts";
import type { ExplainedPlan, ExplainWebGpuOptions } from "../../../src/runtime/webgpu/explain.ts";
import { randomInputs } from "../../../src/runtime/webgpu/random-inputs.ts";
import type { ExplainedKernel, ModelName, StepExplanation } from "../engine/protocol.ts";

export interface ExplainedStep {
  readonly phase: ModelName;
  /** The program of the step, as the training compiles it: what is donated are its inputs under `state`. */
  readonly program: Fn<never, unknown>;
  /** Tokens of the vocabulary: the whole numbers that the step is fed are below it. */
  readonly vocabulary: number;
  /** What the training runs on. */
  readonly device: Device;
}

/** Each kernel's time is the median of as many runs. */
const RUNS = 3;

/**
 * Explains a step. On a WebGPU device with timestamps its kernels are timed, on a second device beside the training's and with random
 * inputs, so the training's state stays as it is.
 * @throws Error where an op has no kernel within the device's limits, naming it
 */
export async function explainStep({
  phase,
  program: step,
  vocabulary,
  device,
}: ExplainedStep): Promise<StepExplanation> {
  const { program: traced, inputNames, outputNames } = trace(step);
  const program = optimize(inlineCalls(traced));
  const gpu = device instanceof WebGpuDevice ? device : undefined;
  const options: ExplainWebGpuOptions = {
    inputNames,
    outputNames,
    donated: inputNames.flatMap((name, position) => (name.startsWith("state.") ? [position] : [])),
    ...(gpu === undefined ? {} : { limits: gpu.limits, f16: gpu.context.f16, dots: gpu.dots }),
  };
  const plan = explainWebGpu(program, options);
  const inputs = () =>
    randomInputs(inputTypes(program), (position) =>
      inputNames[position] === "tokens" ? vocabulary : undefined,
    );
  const timed = gpu === undefined ? undefined : await timesOf(plan, inputs);
  const explanation = typeof timed === "object" ? timed : plan.explanation;
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
      timedRuns: typeof timed === "object" ? RUNS : null,
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

/** The explanation with times, or why there are none. */
async function timesOf(
  plan: ExplainedPlan,
  inputs: () => Parameters<typeof timeExplained>[2],
): Promise<Explanation | string> {
  let profiler: WebGpuDevice | undefined;
  try {
    profiler = await openWebGpu({ profile: true });
    return await timeExplained(profiler, plan, inputs(), { runs: RUNS, name: "the step" });
  } catch (error) {
    // No timestamps, or no room for a second device: what is known without them is shown.
    return error instanceof Error ? error.message : String(error);
  } finally {
    await profiler?.dispose();
  }
}

function aboutText(
  gpu: WebGpuDevice | undefined,
  device: Device,
  timed: Explanation | string | undefined,
): string {
  if (gpu === undefined)
    return `The training runs on the device ${device.name}, which has no kernels of this project. This is what WebGPU would run for the same step, within the limits that every GPU offers.`;
  const runs = `This runs on ${gpu.describe()}.`;
  return typeof timed === "string"
    ? `${runs} There are no times: ${timed}`
    : `${runs} Times are each kernel's alone, the median of ${RUNS} runs with random inputs.`;
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
