/**
 * The devices on TensorFlow.js that a test file is about: those of every checkout, or those that FLUXION_TFJS names, as "node" or
 * "webgpu". Consumed by the tests of TensorFlow.js in Node.
 */
import { env } from "@tensorflow/tfjs";
import type { BackendName } from "../../src/runtime/tfjs/engine.ts";
import { openTfjsOnDawn } from "../../src/runtime/tfjs/dawn.ts";
import { openNative } from "../../src/runtime/tfjs/native.ts";
import { openTfjs } from "../../src/runtime/tfjs/open.ts";
import type { TfjsDevice } from "../../src/runtime/tfjs/tfjs-device.ts";

const backends = (process.env["FLUXION_TFJS"] ?? "cpu,wasm").split(",") as BackendName[]; // a wrong name does not open

/** Opens the device of a backend. */
export function openBackend(name: BackendName): Promise<TfjsDevice> {
  if (name === "node" || name === "node-gpu") return openNative(name);
  return name === "webgpu" ? openTfjsOnDawn() : openTfjs(name);
}

const opened: [name: string, device: TfjsDevice, backend: BackendName][] = [];
for (const backend of backends) opened.push([`tfjs:${backend}`, await openBackend(backend), backend]);

/** As `describe.each` takes them. */
export const tfjsDevices: readonly (readonly [name: string, device: TfjsDevice, backend: BackendName])[] =
  opened;

// Small tensors too go to the GPU: these are tests of its kernels.
if (backends.includes("webgpu")) env().set("WEBGPU_CPU_FORWARD", false);

/** Whether the backend takes subnormal numbers for 0, as TensorFlow's library does. */
export const flushes = (backend: BackendName): boolean => backend !== "cpu" && backend !== "wasm";
