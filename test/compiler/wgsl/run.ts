/**
 * Prints a kernel, runs one dispatch of it on a GPU, and reads its buffers back. Parameters come from a uniform buffer at an
 * offset, as they do in the runtime. Consumed by the tests of this folder.
 */
import type { HostTensor } from "../../../src/compiler/host-tensor.ts";
import type { Kernel } from "../../../src/compiler/kernel/ir.ts";
import { printWgsl } from "../../../src/compiler/wgsl/print.ts";
import { BufferUsage } from "../../../src/runtime/webgpu/constants.ts";
import type { Gpu } from "../../../src/runtime/webgpu/gpu.ts";
import { fromWords, toWords } from "../../../src/runtime/webgpu/words.ts";
import { filled, finish } from "../../support/webgpu.ts";

interface Run {
  /** One for each of the kernel's buffers. */
  readonly buffers: readonly HostTensor[];
  readonly params?: readonly number[];
  /** Along x, and along y. */
  readonly workgroups: readonly [number, number?];
  /** Whether f16 is stored as such. By default where the device can. */
  readonly f16?: boolean;
}

const { STORAGE, UNIFORM, COPY_SRC } = BufferUsage;
const COMPUTE = 4;

/** What the buffers hold afterwards. @throws Error when WebGPU refuses any of it */
export async function runOnGpu(gpu: Gpu, kernel: Kernel, run: Run): Promise<readonly HostTensor[]> {
  const { device } = gpu;
  const f16 = run.f16 ?? gpu.features.has("shader-f16");
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code: printWgsl(kernel, { f16 }) });
  const messages = (await module.getCompilationInfo()).messages.map(
    ({ message, lineNum }) => `line ${lineNum}: ${message}`,
  );
  const hasParams = kernel.params > 0;
  const kinds: GPUBufferBindingLayout[] = kernel.buffers.map(({ access }) => ({
    type: access === "read" ? "read-only-storage" : "storage",
  }));
  if (hasParams) kinds.push({ type: "uniform" });
  const group = device.createBindGroupLayout({
    entries: kinds.map((buffer, binding) => ({ binding, visibility: COMPUTE, buffer })),
  });
  const pipeline = device.createComputePipeline({
    layout: device.createPipelineLayout({ bindGroupLayouts: [group] }),
    compute: { module },
  });
  const held = run.buffers.map((tensor) => filled(device, toWords(tensor, f16), STORAGE | COPY_SRC));

  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  const bound: GPUBufferBinding[] = held.map((buffer) => ({ buffer }));
  if (hasParams) {
    const size = Math.ceil(kernel.params / 4) * 16;
    const words = new Uint32Array((256 + size) / 4).fill(0xdead);
    words.set(run.params ?? [], 64);
    bound.push({ buffer: filled(device, words, UNIFORM), offset: 256, size });
  }
  const entries = bound.map((resource, binding) => ({ binding, resource }));
  pass.setBindGroup(0, device.createBindGroup({ layout: group, entries }));
  pass.dispatchWorkgroups(...run.workgroups);
  pass.end();
  const explain = (error: string): string => `${kernel.name}: ${error}\n${messages.join("\n")}`;
  const results = await finish(device, encoder, held, explain);
  return results.map((words, i) => fromWords(run.buffers[i] as HostTensor, words, f16)); // one for each
}
