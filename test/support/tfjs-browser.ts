/**
 * A backend of TensorFlow.js that computes on the GPU of a browser: ops, random programs, training, the contract of a device.
 *
 * Consumed by the tests in a browser. SwiftShader compiles a shader for almost every shape, so there is less of everything than in Node.
 */
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportTfjs } from "../../src/compiler/tfjs/export/export.ts";
import { f32, fn, mul } from "../../src/dsl/index.ts";
import { openTfjs } from "../../src/runtime/tfjs/open.ts";
import { testContract } from "./device-contract.ts";
import { FUSES, testFusion } from "./tfjs-fused.ts";
import { testGpu } from "./tfjs-gpu.ts";
import { testEnding, testMemory, testTrainingMemory } from "./tfjs-memory.ts";
import { imported, testModules } from "./tfjs-module.ts";
import { testOps } from "./tfjs-ops.ts";
import { testRandomPrograms } from "./tfjs-random-programs.ts";
import { ONE_BLOCK, testTraining } from "./webgpu-training.ts";

/** Declares the tests. */
export async function testBackend(name: "webgl" | "webgpu"): Promise<void> {
  const open = () => openTfjs(name);
  const device = await open();
  const unfused = await openTfjs(name, { fusion: false });
  // Small tensors too go to the GPU: these are tests of its kernels.
  tf.env().set(`${name.toUpperCase()}_CPU_FORWARD`, false);
  afterAll(() => Promise.all([device.dispose(), unfused.dispose()]));

  it("says what it is", () => {
    expect(device.name).toBe(`tfjs:${name}`);
    expect(device.describe()).toMatch(/^TensorFlow\.js 4\.\d+\.\d+, Web(GL|GPU)$/);
  });

  describe(`lowering to ${device.name}`, () => testOps(device, 1));
  describe(`random programs on ${device.name}`, () =>
    testRandomPrograms(device, tf, { share: 0.04, flushes: true }));
  describe(`fusion on ${device.name}`, () =>
    testFusion({ device, unfused }, tf, { fuses: FUSES[name], runs: 12, factors: false }));
  describe(`modules on ${device.name}`, () => {
    beforeAll(() => tf.setBackend(name));
    testModules(tf, 4);
    it("read a computed tensor that is disposed of at once", async () => {
      const double = fn({ x: f32(3) }, ({ x }) => mul(x, 2));
      const model = await (await imported(exportTfjs(double))).load(tf);
      const before = tf.memory().numTensors;
      const x = tf.tidy(() => tf.exp(tf.tensor([0, 1, 2])));
      const running = model.run({ x });
      x.dispose();
      const { output } = await running;
      const data = [...((await output?.data()) ?? [])];
      [0, 1, 2].forEach((y, i) => expect(data[i]).toBeCloseTo(2 * Math.exp(y), 3));
      output?.dispose();
      expect(tf.memory().numTensors).toBe(before);
      model.dispose();
    });
  });
  testContract(device, open);
  testMemory(device, tf, 20);
  testTrainingMemory(device, tf);
  testEnding(open, tf);
  testTraining(device, 20, { model: ONE_BLOCK, weights: "almost all" });
  testGpu(name, open);
}
