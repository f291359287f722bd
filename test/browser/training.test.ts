/** FLM and FMLM trained in a browser, as on the interpreter. */
import { afterAll } from "vitest";
import { openWebGpu } from "fluxion";
import { testTraining } from "../support/webgpu-training.ts";

const device = await openWebGpu();
afterAll(() => device.dispose());

testTraining(device, 5);
