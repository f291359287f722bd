/**
 * Plans of one routine, or of a few kernels written by hand, so that they run on the host (runPlan, which checks every access) and
 * on a GPU. Consumed by tests of kernel makers.
 */
import { toExact, toStorage } from "../../src/compiler/host-tensor.ts";
import type { ExactTensor, HostTensor } from "../../src/compiler/host-tensor.ts";
import type { BufferId, Plan, PlanBuffer } from "../../src/compiler/kernel/plan.ts";
import type { Routine, RoutineBuffer } from "../../src/compiler/schedule/routines/routine.ts";
import type { TensorType } from "../../src/dsl/program/program.ts";
import { WebGpuDevice } from "../../src/runtime/webgpu/device.ts";
import { runPlan } from "./run-plan.ts";
import { openTestGpu } from "./webgpu.ts";

/** A plan that runs a routine on tensors of the given types. */
export function planOf(
  { temporaries, stages }: Routine,
  inputs: readonly TensorType[],
  outputs: readonly TensorType[],
): Plan {
  const place = (buffer: RoutineBuffer): BufferId =>
    "input" in buffer
      ? buffer.input
      : inputs.length + ("output" in buffer ? buffer.output : outputs.length + buffer.temporary);
  return {
    buffers: [
      ...inputs.map((type, position): PlanBuffer => ({ type, role: { kind: "input", position } })),
      ...outputs.map((type): PlanBuffer => ({ type, role: { kind: "output" } })),
      ...temporaries.map((type): PlanBuffer => ({ type, role: { kind: "temporary" } })),
    ],
    steps: stages.map(({ kernel, buffers, params, workgroups, flops }) => ({
      kind: "dispatch",
      kernel,
      buffers: buffers.map(place),
      params,
      workgroups,
      flops,
      bytes: 0,
      ops: [],
    })),
    inputs: inputs.map((_, i) => i),
    outputs: outputs.map((_, i) => inputs.length + i),
  };
}

/** Where plans run: on the host, kernel by kernel, and on the GPU of these tests. Values in storage form in, as numbers out. */
export type RunPlan = (plan: Plan, inputs: readonly HostTensor[]) => Promise<readonly ExactTensor[]>;

const onHost: RunPlan = (plan, inputs) => Promise.resolve(runPlan(plan, inputs));

/** Runs plans on a device. */
export const planRunner =
  (gpu: WebGpuDevice): RunPlan =>
  async (plan, inputs) => {
    const executable = await gpu.load(plan);
    const given = inputs.map((tensor) => gpu.upload(toStorage(tensor)));
    const outputs = await executable.run(given);
    const results = await Promise.all(outputs.map(async (output) => toExact(await output.read())));
    for (const value of [...given, ...outputs]) value.dispose();
    await executable.dispose();
    return results;
  };

let device: Promise<WebGpuDevice> | undefined;

const onGpu: RunPlan = async (plan, inputs) => {
  device ??= openTestGpu().then((gpu) => new WebGpuDevice(gpu));
  return planRunner(await device)(plan, inputs);
};

export const PLAN_RUNNERS: readonly (readonly [name: string, run: RunPlan])[] = [
  ["on the host", onHost],
  ["on a GPU", onGpu],
];
