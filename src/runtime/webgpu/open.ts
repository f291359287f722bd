/**
 * The WebGPU device as programs in a browser see it. Nothing here mentions a type of WebGPU, so whoever uses the package needs no
 * types of it.
 *
 * Consumed by the package's main entry. In Node, `openDevice("webgpu")` opens the same device on an adapter of Dawn.
 */
import type { Device } from "../device.ts";
import { openWebGpu as open } from "./device.ts";
import type { MemoryStats } from "./stats.ts";

/** A WebGPU device. It computes in f32 and, where the adapter can, in f16. */
export interface WebGpu extends Device {
  /** What it holds at the moment. */
  memoryStats(): MemoryStats;
}

/**
 * Opens the GPU of the browser, or of any runtime that has `navigator.gpu`.
 * @throws UserError when there is no WebGPU or no adapter, saying what to do
 */
export const openWebGpu = (): Promise<WebGpu> => open();
