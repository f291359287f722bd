/**
 * A WebGPU device for tests, and what it takes to run a kernel on it. The adapter is the best one there is: hardware, or Mesa's
 * software adapter if installed, or else SwiftShader from a development dependency, so that on linux-x64 there is always one.
 *
 * Consumed by every test that runs WGSL. Pipelines are slow to make on software adapters: share few of them, and put sizes into
 * uniforms or buffers.
 */
import { BufferUsage, MapMode } from "../../src/runtime/webgpu/constants.ts";
import type { Gpu, OpenGpuOptions } from "../../src/runtime/webgpu/gpu.ts";
import { openNodeGpu } from "../../src/runtime/webgpu/node.ts";

const opened = new Map<string, Promise<Gpu>>();

/**
 * The device of this process, one for each set of options; nobody needs to close it. By default with WebGPU's minimum limits, so
 * that what passes on it passes everywhere. It fails the run when the device reports an error that nobody waits for.
 */
export function openTestGpu(options: OpenGpuOptions = {}): Promise<Gpu> {
  const key = JSON.stringify(options);
  let gpu = opened.get(key);
  if (gpu === undefined) {
    gpu = open({ limits: "minimum", ...options });
    opened.set(key, gpu);
  }
  return gpu;
}

async function open(options: OpenGpuOptions): Promise<Gpu> {
  const gpu = await openNodeGpu(options);
  console.log(`WebGPU adapter of these tests: ${gpu.describe()}.`);
  gpu.device.addEventListener("uncapturederror", ({ error }) => {
    throw new Error(`WebGPU: ${error.message}`);
  });
  return gpu;
}

/** A buffer that holds the data. */
export function filled(device: GPUDevice, data: GPUAllowSharedBufferSource, usage: number): GPUBuffer {
  const buffer = device.createBuffer({ size: data.byteLength, usage: usage | BufferUsage.COPY_DST });
  device.queue.writeBuffer(buffer, 0, data);
  return buffer;
}

/**
 * Submits what was encoded within the error scope that is open, and destroys the buffers.
 * @param explain what to say of an error of WebGPU's
 * @returns what the buffers hold then
 * @throws Error when WebGPU refuses any of it
 */
export async function finish(
  device: GPUDevice,
  encoder: GPUCommandEncoder,
  held: readonly GPUBuffer[],
  explain = (message: string): string => message,
): Promise<readonly ArrayBuffer[]> {
  const copies = held.map((buffer) => {
    const usage = BufferUsage.MAP_READ | BufferUsage.COPY_DST;
    const copy = device.createBuffer({ size: buffer.size, usage });
    encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
    return copy;
  });
  device.queue.submit([encoder.finish()]);
  const error = await device.popErrorScope();
  if (error !== null) throw new Error(explain(error.message));
  const results = await Promise.all(
    copies.map(async (copy) => {
      await copy.mapAsync(MapMode.READ);
      return copy.getMappedRange().slice(0);
    }),
  );
  for (const buffer of [...held, ...copies]) buffer.destroy();
  return results;
}

export interface Dispatch {
  /** WGSL with an entry point `main`. */
  readonly code: string;
  /** What is bound to group 0 as storage, in the order of the bindings. Sizes are multiples of 4 bytes. */
  readonly buffers: readonly (Float32Array | Int32Array | Uint32Array)[];
  readonly workgroups: number;
}

/** Runs a kernel once and gives back what the buffers hold then, in bytes. @throws Error when WebGPU refuses any of it */
export async function dispatch(
  { device }: Gpu,
  { code, buffers, workgroups }: Dispatch,
): Promise<readonly ArrayBuffer[]> {
  device.pushErrorScope("validation");
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: { module: device.createShaderModule({ code }) },
  });
  const held = buffers.map((data) => filled(device, data, BufferUsage.STORAGE | BufferUsage.COPY_SRC));
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: held.map((buffer, binding) => ({ binding, resource: { buffer } })),
    }),
  );
  pass.dispatchWorkgroups(workgroups);
  pass.end();
  return finish(device, encoder, held);
}
