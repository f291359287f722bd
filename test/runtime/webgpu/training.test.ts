/** FLM and FMLM on the least that WebGPU guarantees, as on the interpreter. */
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { openTestGpu } from "../../support/webgpu.ts";
import { testTraining } from "../../support/webgpu-training.ts";

testTraining(new WebGpuDevice(await openTestGpu()), 20);
