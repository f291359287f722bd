/**
 * A device on Dawn's null backend, which takes every call, checks it, and computes nothing: what is left is what calls cost the host.
 * Consumed by the timing of dispatches.
 */
import { create } from "webgpu";
import { WebGpuDevice } from "../../src/runtime/webgpu/device.ts";
import { openGpu } from "../../src/runtime/webgpu/gpu.ts";

/** Kept for the life of the process: Dawn ends badly when it is collected while its devices are in use. */
let instance: GPU | undefined;

export async function openNullDevice(): Promise<WebGpuDevice> {
  instance ??= create(["backend=null"]);
  const adapter = await instance.requestAdapter();
  if (adapter === null) throw new Error("Dawn has no null backend here.");
  return new WebGpuDevice(await openGpu({}, { find: async () => adapter }));
}
