/** Random programs on the least that WebGPU guarantees. */
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { openTestGpu } from "../../support/webgpu.ts";
import { testRandomPrograms } from "../../support/webgpu-random-programs.ts";

testRandomPrograms(new WebGpuDevice(await openTestGpu()), Number(process.env["FLUXION_RUNS"] ?? 40));
