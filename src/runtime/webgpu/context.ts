/**
 * What the parts of an open WebGPU device share. Consumed by the device, which makes it, by values and by executables.
 */
import type { Kernel } from "../../compiler/kernel/ir.ts";
import type { TargetLimits } from "../../compiler/kernel/plan.ts";
import { storageBytes } from "../../compiler/wgsl/storage.ts";
import { sizeOf } from "../../dsl/program/program.ts";
import type { TensorType } from "../../dsl/program/program.ts";
import { Failures } from "./failures.ts";
import type { Gpu } from "./gpu.ts";
import { BlockPool, Memory } from "./memory.ts";
import { Pipelines } from "./pipelines.ts";
import { Readback } from "./readback.ts";
import { Throttle } from "./throttle.ts";

export interface Context {
  readonly gpu: Gpu;
  /** What kernels may need. */
  readonly limits: TargetLimits;
  /** Whether f16 is stored as such. */
  readonly f16: boolean;
  /** Whether dispatches are timed. */
  readonly profile: boolean;
  readonly failures: Failures;
  readonly memory: Memory;
  readonly pool: BlockPool;
  readonly readback: Readback;
  readonly pipelines: Pipelines;
  readonly throttle: Throttle;
}

export function createContext(gpu: Gpu, print: (kernel: Kernel) => string, profile: boolean): Context {
  const { device, limits } = gpu;
  const failures = new Failures(device, () => {
    pool.clear();
    readback.clear();
  });
  const memory = new Memory(device);
  const pool = new BlockPool(memory, limits.maxBufferSize);
  const readback = new Readback(device, memory, failures);
  const f16 = gpu.features.has("shader-f16");
  return {
    gpu,
    limits: {
      buffers: limits.maxStorageBuffersPerShaderStage,
      lanes: Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX),
      sharedBytes: limits.maxComputeWorkgroupStorageSize,
      workgroups: limits.maxComputeWorkgroupsPerDimension,
      alignment: limits.minStorageBufferOffsetAlignment / (f16 ? 2 : 4), // bytes of the smallest element
      software: gpu.software,
      f16,
      subgroups: gpu.subgroups,
      matrices: gpu.matrices,
    },
    f16,
    profile,
    failures,
    memory,
    pool,
    readback,
    pipelines: new Pipelines(gpu, failures, print),
    throttle: new Throttle(device.queue, failures),
  };
}

/** Bytes of a tensor's elements on the GPU, in whole words. */
export const dataBytes = ({ f16 }: Pick<Context, "f16">, { shape, dtype }: TensorType): number =>
  Math.ceil((sizeOf(shape) * storageBytes(dtype, { f16 })) / 4) * 4;

/** Bytes of a tensor as it is bound: at least one vector of four words, also when it has no elements, and whole vectors. */
export const boundBytes = (context: Pick<Context, "f16">, type: TensorType): number =>
  Math.max(16, Math.ceil(dataBytes(context, type) / 16) * 16);
