/**
 * TensorFlow.js's WebGPU backend in Node, on Dawn: on the adapter that the device `webgpu` is on too. The backend is made for browsers. It
 * wants WebGPU's classes and constants on `globalThis`, where they stay, and `navigator.gpu`, which it sees only for the moment in which it
 * is made: nobody else in the process takes Node for a browser because of it.
 *
 * Consumed by `devices.ts`, which loads this file only for this device. Node only.
 */
import { TARGETS } from "../../compiler/tfjs/targets.ts";
import { UserError } from "../files/errors.ts";
import { isSoftware, messageOf, nameOf } from "../webgpu/gpu.ts";
import { guardedDawnSource } from "../webgpu/node.ts";
import type { Host, Tfjs } from "./engine.ts";
import { loadBackend } from "./engine.ts";
import { openOn } from "./open.ts";
import { TfjsDevice } from "./tfjs-device.ts";

/** What is used of the backend's module. */
interface Module {
  readonly WebGPUBackend: new (device: GPUDevice, info: GPUAdapterInfo) => unknown;
}

/** Limits that the backend uses as high as there are. */
const LIMITS = [
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeWorkgroupSizeX",
  "maxComputeInvocationsPerWorkgroup",
] as const;

/** Below the other backends: what TensorFlow.js chooses when nobody says stays what it was. */
const PRIORITY = 0;

/** What the adapter says of itself, once there is one. */
let adapterName: string | undefined;

async function makeBackend({ WebGPUBackend }: Module): Promise<unknown> {
  const adapter = await guardedDawnSource.find(undefined);
  const { globals } = await import("webgpu"); // it was loaded for the adapter
  for (const [name, value] of Object.entries(globals))
    if (!Object.hasOwn(globalThis, name))
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  const requiredLimits = Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit]]));
  const device = await adapter
    .requestDevice({ label: "fluxion: TensorFlow.js", requiredLimits })
    .catch((error: unknown) => {
      throw new UserError(`the adapter refused a device: ${messageOf(error)}`, { cause: error });
    });
  adapterName = `${nameOf(adapter.info)}${isSoftware(adapter) ? ", a software adapter that computes on the CPU: right, but slow" : ""}`;
  return withNavigator(() => new WebGPUBackend(device, adapter.info));
}

/** Does work that looks for `navigator.gpu`, and asks it nothing. */
function withNavigator<T>(work: () => T): T {
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator"); // of a newer Node, or the user's
  Object.defineProperty(globalThis, "navigator", { value: { gpu: {} }, configurable: true });
  try {
    return work();
  } finally {
    if (before === undefined) Reflect.deleteProperty(globalThis, "navigator");
    else Object.defineProperty(globalThis, "navigator", before);
  }
}

const dawn: Host = {
  register(tf: Tfjs, module: unknown): void {
    // It has registered itself where the process has a `navigator.gpu`.
    if (tf.engine().registryFactory["webgpu"] === undefined)
      tf.registerBackend("webgpu", () => makeBackend(module as Module), PRIORITY); // of the package
  },
  how: () => (adapterName === undefined ? undefined : `WebGPU on ${adapterName}`),
  instead: "cpu", // without an adapter there is no "webgpu" either
};

/**
 * Opens the device, after the examination that it has in a page too.
 * @throws UserError when a package is missing, there is no adapter, or the backend is wrong in what matters
 */
export const openTfjsOnDawn = (): Promise<TfjsDevice> => openOn("webgpu", {}, dawn);

/** Opens it without the examination, for whoever wants to know what there is. @throws UserError as above */
export async function listTfjsOnDawn(): Promise<TfjsDevice> {
  return new TfjsDevice(await loadBackend("webgpu", {}, dawn), "webgpu", TARGETS.webgpu);
}
