/**
 * The devices on TensorFlow.js that a test file is about: those of every checkout, or those that FLUXION_TFJS names, as "node". Consumed
 * by the tests of TensorFlow.js in Node.
 */
import type { ExactTensor } from "../../src/compiler/host-tensor.ts";
import type { BackendName } from "../../src/runtime/tfjs/engine.ts";
import { openNative } from "../../src/runtime/tfjs/native.ts";
import { openTfjs } from "../../src/runtime/tfjs/tfjs-device.ts";
import type { TfjsDevice } from "../../src/runtime/tfjs/tfjs-device.ts";

const backends = (process.env["FLUXION_TFJS"] ?? "cpu,wasm").split(",") as BackendName[]; // a wrong name does not open

/** Opens the device of a backend. */
export const openBackend = (name: BackendName): Promise<TfjsDevice> =>
  name === "node" || name === "node-gpu" ? openNative(name) : openTfjs(name);

const opened: [name: string, device: TfjsDevice, backend: BackendName][] = [];
for (const backend of backends) opened.push([`tfjs:${backend}`, await openBackend(backend), backend]);

/** As `describe.each` takes them. */
export const tfjsDevices: readonly (readonly [name: string, device: TfjsDevice, backend: BackendName])[] =
  opened;

/**
 * Inputs that mean the same on the backend: TensorFlow's library takes subnormal numbers for 0, so there numbers that are one, or
 * become one in a product, are made 0.
 */
export const forBackend = (backend: BackendName, inputs: readonly ExactTensor[]): readonly ExactTensor[] =>
  backend === "cpu" || backend === "wasm" ? inputs : inputs.map(withoutTiny);

const withoutTiny = (tensor: ExactTensor): ExactTensor =>
  tensor.data instanceof Float64Array
    ? { ...tensor, data: tensor.data.map((x) => (Math.abs(x) < 1e-30 ? 0 : x)) }
    : tensor;
