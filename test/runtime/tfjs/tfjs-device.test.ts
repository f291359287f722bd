/** What the devices on TensorFlow.js promise beyond the contract: no tensor left behind, and the user's own backend as it was. */
import * as tf from "@tensorflow/tfjs";
import { describe, expect, it } from "vitest";
import { toNumbers } from "../../../src/compiler/host-tensor.ts";
import type { DeviceValue } from "../../../src/runtime/device.ts";
import { openInterpreter } from "../../../src/runtime/interpreter-device.ts";
import type { TfjsDevice } from "../../../src/runtime/tfjs/tfjs-device.ts";
import { step, testContract } from "../../support/device-contract.ts";
import { program, tensor } from "../../support/programs.ts";
import { openBackend, tfjsDevices } from "../../support/tfjs-devices.ts";
import { testEnding, testMemory, testTrainingMemory } from "../../support/tfjs-memory.ts";
import { testTraining } from "../../support/webgpu-training.ts";

const none = {};

for (const [, device, backend] of tfjsDevices) testContract(device, () => openBackend(backend));

describe.each(tfjsDevices)("the device %s", (_name, device: TfjsDevice, backend) => {
  testEnding(() => openBackend(backend), tf);
  testMemory(device, tf, 1000);
  testTrainingMemory(device, tf);

  it("holds a few tensors at a time, however long a loop is", async () => {
    const count = program(["f32[]", "f32[4]"], (w, start, x) => {
      const limit = program(["f32[]", "f32[4]"], (v, i) => [
        v.one("less", [i, v.one("constant", [], { shape: [], dtype: "f32", values: 200 })], none),
      ]);
      const next = program(["f32[]", "f32[4]"], (v, i, y) => {
        const one = v.one("constant", [], { shape: [], dtype: "f32", values: 1 });
        return [v.one("add", [i, one], none), v.one("erf", [v.one("tanh", [y], none)], none)];
      });
      const whiles = w.all("while", [start, x], {
        condition: limit,
        body: next,
        conditionConsts: 0,
        bodyConsts: 0,
      });
      const rows = w.one("broadcast", [x], { shape: [200, 4], dims: [1] });
      const body = program(["f32[]", "f32[4]", "f32[4]"], (v, i, y, row) => [
        i,
        v.one("add", [y, row], none),
      ]);
      return [
        ...whiles,
        ...w.all("scan", [start, x, rows], { body, length: 200, consts: 0, carry: 2, reverse: false }),
      ];
    });
    const executable = await device.compile(count);
    const inputs = [device.upload(tensor("f32[]", 0)), device.upload(tensor("f32[4]", 1))];
    const before = tf.memory().numTensors;
    const { runKernel } = tf.engine();
    let most = 0;
    tf.engine().runKernel = ((...args: Parameters<typeof runKernel>) => {
      most = Math.max(most, tf.memory().numTensors - before);
      return runKernel.apply(tf.engine(), args);
    }) as typeof runKernel; // generic in its result
    await executable.run(inputs);
    tf.engine().runKernel = runKernel;
    expect(most).toBeLessThan(12);
  });

  it("leaves no tensor behind when a kernel fails, and gives donated values back", async () => {
    const executable = await device.compile(step, { donate: [0] });
    const value = device.upload(tensor("f32[4]", 3));
    const before = tf.memory().numTensors;
    const { runKernel } = tf.engine();
    tf.engine().runKernel = ((...args: Parameters<typeof runKernel>) => {
      if (args[0] === "Sum") throw new Error("no memory left");
      return runKernel.apply(tf.engine(), args);
    }) as typeof runKernel; // generic in its result
    await expect(executable.run([value, device.upload(tensor("f32[4]", 1)), value])).rejects.toThrow(
      `${device.name}: the program failed to run: no memory left`,
    );
    tf.engine().runKernel = runKernel;
    expect(tf.memory().numTensors).toBe(before + 1); // the upload in between
    expect(toNumbers(await value.read())).toEqual([3, 3, 3, 3]);
  });

  it("draws the interpreter's random bits", async () => {
    const words = [1, 2, 3, 4].map((seed) =>
      tensor(
        "u32[300]",
        Array.from({ length: 300 }, (_, i) => Math.imul(i * 7 + seed, 0x9e3779b1) >>> 0),
      ),
    );
    const draw = program(["u32[300]", "u32[300]", "u32[300]", "u32[300]"], (w, ...ids) =>
      w.all("threefry", ids, none),
    );
    const bits: number[][][] = [];
    for (const target of [device, openInterpreter()]) {
      const outputs = await (await target.compile(draw)).run(words.map((word) => target.upload(word)));
      bits.push(await Promise.all(outputs.map(async (output) => toNumbers(await output.read()))));
    }
    expect(bits[0]).toEqual(bits[1]);
  });

  it("puts the user's backend back, and lets their tidy pass over its tensors", async () => {
    const mine = device.name === "tfjs:cpu" ? "wasm" : "cpu";
    await tf.setBackend(mine);
    const outputs: DeviceValue[] = [];
    const executable = await device.compile(step);
    const pending = tf.tidy(() => {
      const value = device.upload(tensor("f32[4]", 2));
      void executable.run([value, value, value]).then((results) => outputs.push(...results));
      return [];
    });
    expect(pending).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(tf.getBackend()).toBe(mine);
    expect(toNumbers(await (outputs[0] as DeviceValue).read())).toEqual([-1, -1, -1, -1]);
  });

  it("says what it is", () => {
    expect(device.describe()).toMatch(
      /^TensorFlow\.js 4\.\d+\.\d+, ((JavaScript|WebAssembly) on one thread|TensorFlow 2\.\d+\.\d+ on the CPU)$/,
    );
  });
});

describe.each(tfjsDevices)("training on %s", (_name, device) => testTraining(device, 20));
