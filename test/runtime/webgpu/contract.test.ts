/** What every device promises, of the WebGPU device: on all that the adapter offers, and on the least that WebGPU guarantees. */
import { afterAll, describe, vi } from "vitest";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import type { OpenGpuOptions } from "../../../src/runtime/webgpu/gpu.ts";
import { openNodeGpu } from "../../../src/runtime/webgpu/node.ts";
import { testContract } from "../../support/device-contract.ts";

// A software adapter on a busy machine is slow.
vi.setConfig({ testTimeout: 60_000 });

const cases: readonly (readonly [name: string, options: OpenGpuOptions])[] = [
  ["with all that the adapter offers", {}],
  ["with the least that WebGPU guarantees", { limits: "minimum", features: [] }],
];
const targets = await Promise.all(
  cases.map(async ([name, options]) => {
    const open = async (): Promise<WebGpuDevice> => new WebGpuDevice(await openNodeGpu(options));
    return { name, open, device: await open() };
  }),
);
afterAll(() => Promise.all(targets.map(({ device }) => device.dispose())));

describe.each(targets)("$name", ({ device, open }) => testContract(device, open));
