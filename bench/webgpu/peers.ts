/**
 * All that take part on webgpu, on one adapter and in one process: Fluxion, jax-js and tfjs on Dawn, and ONNX Runtime, which has an
 * engine of its own inside and finds the adapter by itself.
 *
 * Consumed by run.ts, its test and through `Peers` by the cases.
 */
import { createRequire } from "node:module";
import { defaultDevice, init } from "@jax-js/jax";
import * as tf from "@tensorflow/tfjs";
import { hostTensor } from "../../src/compiler/host-tensor.ts";
import { openWebGpu } from "../../src/runtime/webgpu/device.ts";
import { namedLike } from "../../src/runtime/webgpu/gpu.ts";
import { dawnSource } from "../../src/runtime/webgpu/node.ts";
import { softwareVulkan } from "../../src/runtime/webgpu/software.ts";
import { chosenDrivers } from "../../src/runtime/webgpu/vulkan.ts";
import { lineOf } from "../contenders.ts";
import { FLUXION } from "../fluxion.ts";
import type { Peers } from "../peers.ts";
import { countCalls, submitMs } from "./calls.ts";
import { provideNavigator } from "./navigator.ts";
import { OnnxWebGpu } from "./onnx.ts";

/** What we need of tfjs's backend. Its own types bring an older copy of WebGPU's, which do not fit beside ours. */
interface TfBackend {
  readonly queue: GPUQueue;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

/** Waits until a queue has done all that it was given. */
async function done(queue: GPUQueue): Promise<void> {
  await queue.onSubmittedWorkDone();
}

const JAX = "jax-js webgpu";
const TFJS = "tfjs webgpu";

/**
 * Starts all of them; who does not start is absent.
 * @param adapter part of the wanted adapter's name
 * @throws Error when Fluxion does not start
 */
export async function startWebGpuPeers(adapter?: string): Promise<Peers> {
  const device = await openWebGpu(adapter === undefined ? {} : { adapter }, dawnSource);
  const { gpu } = device.context;
  provideNavigator(adapter);

  const absent = new Map<string, string>();
  const start = async (name: string, work: () => Promise<void>): Promise<void> => {
    await work().catch((error: unknown) => absent.set(name, lineOf(error)));
  };
  await start(JAX, startJax);
  await start(TFJS, async () => {
    const require = createRequire(import.meta.url);
    require("@tensorflow/tfjs-backend-webgpu"); // registers itself where it finds navigator.gpu
    tf.enableProdMode();
    if (!(await tf.setBackend("webgpu"))) throw new Error("It did not start its webgpu backend.");
  });
  const onnx = new OnnxWebGpu();
  await start(onnx.name, () => startOnnx(onnx, gpu.adapter.name));
  return {
    target: "webgpu",
    ours: [{ name: FLUXION, device, finished: () => done(gpu.device.queue) }],
    engines: absent.has(onnx.name)
      ? []
      : [{ name: onnx.name, device: onnx, finished: () => onnx.finished() }],
    jax: JAX,
    tfjs: {
      name: TFJS,
      finished: async () => {
        const backend = tf.backend() as unknown as TfBackend; // the one chosen above
        // It keeps up to 15 dispatches back.
        backend.ensureCommandEncoderReady();
        backend.endComputePassEncoder();
        backend.submitQueue();
        await done(backend.queue);
      },
    },
    gpu: { gpu, device, count: countCalls, submitMs },
    absent,
    stop: async () => {
      await onnx.dispose();
      await device.dispose();
    },
  };
}

/** Has jax-js use the adapter of `navigator.gpu`. */
export async function startJax(): Promise<void> {
  const devices = await init("webgpu");
  if (!devices.includes("webgpu")) throw new Error("It did not start its webgpu device.");
  defaultDevice("webgpu");
}

/** @throws Error when the package has no such provider for this platform, or it finds no adapter */
async function startOnnx(device: OnnxWebGpu, adapter: string): Promise<void> {
  // Its engine looks for drivers by itself: it must see the one that Fluxion unpacked for itself alone.
  if (chosenDrivers() === undefined && namedLike([adapter], "swiftshader")) {
    const unpacked = await softwareVulkan();
    if (typeof unpacked !== "string") process.env["VK_ICD_FILENAMES"] = unpacked.driver;
  }
  await device.upload(hostTensor("f32", [64], new Float32Array(64))).read();
}
