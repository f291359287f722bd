/** Random programs in a browser: the same property as in Node, on fewer of them. */
import { afterAll } from "vitest";
import { openWebGpu } from "fluxion";
import type { WebGpuDevice } from "../../src/runtime/webgpu/device.ts";
import { testRandomPrograms } from "../support/webgpu-random-programs.ts";

// Plans without fusion are loaded as such, which is not public.
const device = (await openWebGpu()) as WebGpuDevice;
afterAll(() => device.dispose());

testRandomPrograms(device, 5);
