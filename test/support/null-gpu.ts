/**
 * A device of Dawn's null backend: it has every feature, compiles WGSL to the end of Dawn's own checks, and computes nothing. So text
 * that no adapter of this machine takes is checked all the same. Its largest subgroup is of 128 lanes, and it lists no matrices, which it
 * does not mind. Consumed by tests of WGSL.
 */
import { messageOf } from "../../src/runtime/webgpu/gpu.ts";

export interface NullGpu {
  /** What Dawn has against a piece of WGSL with an entry point `main`: warnings too. */
  problems(code: string): Promise<readonly string[]>;
}

let instance: GPU | undefined;

/** The device, or why there is none. */
export async function openNullGpu(features: readonly string[]): Promise<NullGpu | string> {
  try {
    const { create } = await import("webgpu");
    // Kept for the life of the process: Dawn minds its being collected.
    instance ??= create(["enable-dawn-features=allow_unsafe_apis", "backend=null"]);
    const adapter = await instance.requestAdapter();
    if (adapter === null) return "Dawn has no null backend here";
    const missing = features.filter((feature) => !adapter.features.has(feature));
    if (missing.length > 0) return `Dawn's null backend has no ${missing.join(" and no ")}`;
    // Not all names of features are in the types yet.
    const device = await adapter.requestDevice({ requiredFeatures: features as readonly GPUFeatureName[] });
    return { problems: (code) => problemsOf(device, code) };
  } catch (error) {
    return `Dawn's null backend cannot be opened: ${messageOf(error)}`;
  }
}

async function problemsOf(device: GPUDevice, code: string): Promise<readonly string[]> {
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code });
  device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main" } });
  const error = await device.popErrorScope();
  const { messages } = await module.getCompilationInfo();
  return [
    ...messages.map(({ type, lineNum, message }) => `${type} in line ${lineNum}: ${message}`),
    ...(error === null ? [] : [error.message]),
  ];
}
