/** FLM and FMLM on the least that WebGPU guarantees, as on the interpreter. */
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { openTestGpu } from "../../support/webgpu.ts";
import { testTraining } from "../../support/webgpu-training.ts";

const gpu = await openTestGpu();

testTraining(new WebGpuDevice(gpu), 20, { weights: gpu.software ? "all" : "almost all" });
