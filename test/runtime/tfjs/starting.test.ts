/** Backends that take a while to start: meanwhile other devices compute, and what the user starts goes on starting. */
import * as tf from "@tensorflow/tfjs";
import { expect, it } from "vitest";
import { toNumbers } from "../../../src/compiler/host-tensor.ts";
import type { Device } from "../../../src/runtime/device.ts";
import { openTfjs } from "../../../src/runtime/tfjs/open.ts";
import { program, tensor } from "../../support/programs.ts";

const twice = program(["f32[2]"], (w, x) => [w.one("add", [x, x], {})]);

/** Runs a program until something has happened. @returns how often */
async function runUntil(device: Device, over: Promise<unknown>): Promise<number> {
  const state = { going: true };
  void over.then(() => (state.going = false));
  const executable = await device.compile(twice);
  let runs = 0;
  while (state.going) {
    const [output] = await executable.run([device.upload(tensor("f32[2]", [1, 2]))]);
    expect(toNumbers((await output?.read()) as never)).toEqual([2, 4]);
    runs++;
    await new Promise((resolve) => setTimeout(resolve, 0)); // a backend starts between tasks
  }
  return runs;
}

it("a device computes while another one is opened, and the selection is the user's", async () => {
  const device = await openTfjs("cpu");
  expect(tf.getBackend()).toBe("cpu");
  const opening = openTfjs("wasm");
  expect(await runUntil(device, opening)).toBeGreaterThan(0);
  expect((await opening).name).toBe("tfjs:wasm");
  expect(tf.getBackend()).toBe("cpu");
});

it("a device computes while the user starts a backend, which is selected and works afterwards", async () => {
  const device = await openTfjs("cpu");
  let ready = (): void => {};
  const starts = new Promise<void>((resolve) => (ready = resolve));
  const slow = new tf.KernelBackend();
  tf.registerBackend("slow", async () => {
    await starts;
    return slow;
  });
  const selecting = tf.setBackend("slow");
  await runUntil(device, new Promise((resolve) => setTimeout(resolve, 10)));
  expect(tf.getBackend()).toBe("slow");
  ready();
  expect(await selecting).toBe(true);
  expect(tf.getBackend()).toBe("slow");
  expect(tf.backend()).toBe(slow);
});

it("a backend that cannot be started is named with the reason", async () => {
  tf.removeBackend("wasm");
  await expect(openTfjs("wasm")).rejects.toThrow(
    /^The tfjs:wasm device did not start \(no backend wasm is registered here\); in a page, give openTfjs the folder/,
  );
});

it("a backend on a GPU is refused where the one on the CPU is not registered", async () => {
  const engine = { registry: {}, registryFactory: { webgl: { factory: () => new tf.KernelBackend() } } };
  const core = { version_core: tf.version_core, engine: () => engine };
  await expect(openTfjs("webgl", { tf: core })).rejects.toThrow(
    'The tfjs:webgl device computes integers on TensorFlow.js\'s backend "cpu", which is not registered: import "@tensorflow/tfjs-backend-cpu" too.',
  );
});
