/** The device tfjs:wasm in a browser, whose files are where the page says. */
import * as tf from "@tensorflow/tfjs";
import { afterAll, expect, it } from "vitest";
import { openTfjs } from "fluxion/tfjs";
import { testContract } from "../support/device-contract.ts";
import { testMemory, testTrainingMemory } from "../support/tfjs-memory.ts";
import { testTraining } from "../support/webgpu-training.ts";
import { WASM_PATHS } from "./wasm-paths.ts";

const open = () => openTfjs("wasm", { wasmPaths: WASM_PATHS });
const device = await open();
afterAll(() => device.dispose());

it("says what it is", () => {
  expect(device.name).toBe("tfjs:wasm");
  expect(device.describe()).toMatch(/^TensorFlow\.js 4\.\d+\.\d+, WebAssembly on one thread$/);
});

testContract(device, open);
testMemory(device, tf, 1000);
testTrainingMemory(device, tf);
testTraining(device, 5);
