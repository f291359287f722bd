/**
 * The device tfjs:webgpu in Node: TensorFlow.js's backend on the adapter of the device webgpu, against the interpreter. FLM and FMLM
 * are trained on it in a page.
 */
import * as tf from "@tensorflow/tfjs";
import { afterAll, describe, expect, it } from "vitest";
import { toNumbers } from "../../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../../src/compiler/host-tensor.ts";
import type { Device, DeviceValue } from "../../../src/runtime/device.ts";
import { listDevices, openDevice } from "../../../src/runtime/devices.ts";
import { ReopenableDevice, surviving } from "../../../src/runtime/reopenable.ts";
import { DeviceLostError } from "../../../src/runtime/webgpu/errors.ts";
import { testContract } from "../../support/device-contract.ts";
import { program, tensor } from "../../support/programs.ts";
import { testEnding, testTrainingMemory } from "../../support/tfjs-memory.ts";
import { testOps } from "../../support/tfjs-ops.ts";
import { testRandomPrograms } from "../../support/tfjs-random-programs.ts";

const open = () => openDevice("tfjs:webgpu");
const navigatorBefore = Object.getOwnPropertyDescriptor(globalThis, "navigator");
const device = await open();
// Small tensors too go to the GPU: these are tests of its kernels.
tf.env().set("WEBGPU_CPU_FORWARD", false);
afterAll(() => device.dispose());

it("says what it is, without a browser", async () => {
  expect(device.describe()).toMatch(/^TensorFlow\.js 4\.\d+\.\d+, WebGPU on .+/);
  const listing = (await listDevices()).find(({ name }) => name === "tfjs:webgpu");
  expect(listing).toEqual({ name: "tfjs:webgpu", available: true, detail: device.describe() });
});

it("leaves navigator and the choice of backend as they were", () => {
  expect(Object.getOwnPropertyDescriptor(globalThis, "navigator")).toEqual(navigatorBefore);
  expect(tf.engine().registryFactory["webgpu"]?.priority).toBe(0);
});

describe("lowering to tfjs:webgpu in Node", () => testOps(device, 1));
describe("random programs on tfjs:webgpu in Node", () =>
  testRandomPrograms(device, tf, { share: 0.1, flushes: true }));
testContract(device, open);
testTrainingMemory(device, tf);
testEnding(open, tf);

it("guards kernels that reach beyond what they are given", async () => {
  const { device: gpu } = tf.engine().registry["webgpu"] as unknown as { device: GPUDevice }; // the backend's
  const code = `
    @group(0) @binding(0) var<storage, read> given: array<u32>;
    @group(0) @binding(1) var<storage, read_write> result: array<u32>;
    @group(0) @binding(2) var<uniform> at: u32;
    @compute @workgroup_size(1) fn main() { result[0] = given[at]; }
  `;
  const { COPY_DST, COPY_SRC, MAP_READ, STORAGE, UNIFORM } = GPUBufferUsage;
  const buffer = (usage: number, values: Uint32Array<ArrayBuffer>): GPUBuffer => {
    const made = gpu.createBuffer({ size: values.byteLength, usage: usage | COPY_DST });
    if ((usage & MAP_READ) === 0) gpu.queue.writeBuffer(made, 0, values);
    return made;
  };
  // Of 128 words the kernel is given the first 64, which are 0. The others are 7.
  const given = buffer(
    STORAGE,
    Uint32Array.from({ length: 128 }, (_, i) => (i < 64 ? 0 : 7)),
  );
  const result = buffer(STORAGE | COPY_SRC, Uint32Array.of(1));
  const at = buffer(UNIFORM, Uint32Array.of(100, 0, 0, 0));
  const read = buffer(MAP_READ, Uint32Array.of(0));
  const pipeline = gpu.createComputePipeline({
    layout: "auto",
    compute: { module: gpu.createShaderModule({ code }) },
  });
  const resources = [{ buffer: given, size: 256 }, { buffer: result }, { buffer: at }];
  const entries = resources.map((resource, binding) => ({ binding, resource }));
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(result, 0, read, 0, 4);
  gpu.queue.submit([encoder.finish()]);
  await read.mapAsync(GPUMapMode.READ);
  expect(new Uint32Array(read.getMappedRange())[0]).toBe(0);
  for (const used of [given, result, at, read]) used.destroy();
});

it("says that the GPU was lost, and work that can begin again goes on after it", async () => {
  const doubled = program(["f32[3]"], (w, x) => [w.one("add", [x, x], {})]);
  const backends: GPUDevice[] = [];
  const work = async (own: Device): Promise<unknown> => {
    const executable = await own.compile(doubled);
    const { device: gpu } = tf.engine().registry["webgpu"] as unknown as { device: GPUDevice }; // the backend's
    if (backends.push(gpu) === 1) gpu.destroy();
    const [output] = await executable.run([own.upload(tensor("f32[3]", 4))]);
    const read = await (output as DeviceValue).read().catch((error: unknown) => error);
    if (read instanceof Error) {
      expect(read).toBeInstanceOf(DeviceLostError);
      expect(read.message).toMatch(/^The tfjs:webgpu device was lost \(.+\): its values are gone\./);
      throw read;
    }
    return toNumbers(read as HostTensor); // else it is what was read
  };
  const devices = await ReopenableDevice.open(open, { pause: 0 });
  expect(await surviving(devices, { work, achieved: () => 0, remedy: "" })).toEqual([8, 8, 8]);
  expect(new Set(backends).size).toBe(2);
  await devices.dispose();
});
