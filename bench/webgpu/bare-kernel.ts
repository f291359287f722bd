/**
 * A kernel written by hand, with nothing of Fluxion around it. Consumed by what measures an adapter instead of a library.
 */
import { BufferUsage, MapMode } from "../../src/runtime/webgpu/constants.ts";
import type { Gpu } from "../../src/runtime/webgpu/gpu.ts";

export interface BareKernel {
  /** Submits it so many times, by default once, and waits until all is done. */
  run(times?: number): Promise<void>;
  /** The first bytes of what it has written. */
  read(bytes: number): Promise<ArrayBuffer>;
  dispose(): void;
}

/**
 * Loads WGSL code whose entry point is the only one: its inputs are bindings 0, 1, …, its output is the next.
 * @param outputBytes the output's size
 * @param workgroups how many, by one or two axes
 * @throws Error with the adapter's message when it refuses the code
 */
export async function loadBareKernel(
  { device }: Gpu,
  code: string,
  inputs: readonly (Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>)[],
  outputBytes: number,
  workgroups: readonly [x: number, y?: number],
): Promise<BareKernel> {
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = BufferUsage;
  device.pushErrorScope("validation");
  const buffers = inputs.map((data) => {
    const buffer = device.createBuffer({ size: data.byteLength, usage: STORAGE | COPY_DST });
    device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  });
  const output = device.createBuffer({ size: outputBytes, usage: STORAGE | COPY_SRC });
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: { module: device.createShaderModule({ code }) },
  });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [...buffers, output].map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const dispose = (): void => {
    for (const buffer of [...buffers, output]) buffer.destroy();
  };
  const refused = await device.popErrorScope();
  if (refused !== null) {
    dispose();
    throw new Error(refused.message);
  }
  const submit = (record: (encoder: GPUCommandEncoder) => void): void => {
    const encoder = device.createCommandEncoder();
    record(encoder);
    device.queue.submit([encoder.finish()]);
  };
  return {
    run: async (times = 1) => {
      for (let i = 0; i < times; i++) {
        submit((encoder) => {
          const pass = encoder.beginComputePass();
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, group);
          pass.dispatchWorkgroups(...workgroups);
          pass.end();
        });
      }
      await device.queue.onSubmittedWorkDone();
    },
    read: async (bytes) => {
      const copy = device.createBuffer({ size: bytes, usage: MAP_READ | COPY_DST });
      submit((encoder) => encoder.copyBufferToBuffer(output, 0, copy, 0, bytes));
      await copy.mapAsync(MapMode.READ);
      const data = copy.getMappedRange().slice(0);
      copy.destroy();
      return data;
    },
    dispose,
  };
}
