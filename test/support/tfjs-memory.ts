/**
 * That runs on TensorFlow.js leave no tensor behind.
 *
 * Consumed by the tests of the devices in Node and in a browser, so nothing of Node is imported here.
 */
import { expect, it } from "vitest";
import type { Device } from "../../src/runtime/device.ts";
import { program, tensor } from "./programs.ts";

const none = {};

/** TensorFlow.js, as far as it tells of its memory. */
export interface Memory {
  memory(): { readonly numTensors: number; readonly numDataBuffers: number; readonly numBytes: number };
  engine(): { readonly registry: Readonly<Record<string, unknown>> };
}

/** Tensors that TensorFlow's own library holds for its addon; undefined without it. */
function handlesOfLibrary(tf: Memory): number | undefined {
  const backend = tf.engine().registry["tensorflow"] as
    | { readonly binding?: { getNumOfTensors(): number } }
    | undefined; // the class of another package
  return backend?.binding?.getNumOfTensors();
}

/** What is alive. Textures and buffers that a backend keeps for reuse are not. */
export function memoryOf(tf: Memory): object {
  const { numTensors, numDataBuffers, numBytes } = tf.memory();
  return { numTensors, numDataBuffers, numBytes, handles: handlesOfLibrary(tf) };
}

/** Everything that keeps tensors: a loop, a branch, a host op, constants, unused and repeated values. */
const busy = program(["f32[4]", "f32[3,4]", "bool[]"], (w, x, rows, flag) => {
  const body = program(["f32[4]", "f32[4]", "f32[4]"], (v, carry, unused, row) => {
    const next = v.one("add", [carry, row], none);
    return [next, unused, v.one("erf", [next], none), row];
  });
  const scanned = w.all("scan", [x, x, rows], { body, length: 3, consts: 0, carry: 2, reverse: true });
  const [last, kept, curves] = scanned as [number, number, number, number];
  const onTrue = program(["f32[4]"], (v, y) => [v.one("neg", [y], none), y, y]);
  const onFalse = program(["f32[4]"], (_v, y) => [y, y, y]);
  const chosen = w.all("cond", [flag, last], { onTrue, onFalse });
  const condition = program(["f32[4]"], (v, y) => {
    const top = v.one("reduceMax", [y], { axes: [0] });
    return [v.one("less", [top, v.one("constant", [], { shape: [], dtype: "f32", values: 50 })], none)];
  });
  const doubled = program(["f32[4]"], (v, y) => [v.one("add", [y, y], none)]);
  const grown = w.all("while", [kept], { condition, body: doubled, conditionConsts: 0, bodyConsts: 0 });
  return [...chosen, ...grown, curves, x, x];
});

/** Declares the test. */
export function testMemory(device: Device, tf: Memory, runs: number): void {
  it(`leaves no tensor behind in ${runs} runs`, async () => {
    const memory = (): object => memoryOf(tf);
    const before = memory();
    const executable = await device.compile(busy);
    const inputs = [tensor("f32[4]", [1, 2, 3, 4]), tensor("f32[3,4]", 0.5), tensor("bool[]", 1)].map(
      (given) => device.upload(given),
    );
    const run = async (): Promise<void> => {
      for (const output of await executable.run(inputs)) output.dispose();
    };
    await run(); // a library or a GPU is given inputs and constants when they are first used
    const ready = memory();
    for (let i = 0; i < runs; i++) await run();
    expect(memory()).toEqual(ready);
    await executable.dispose();
    for (const input of inputs) input.dispose();
    expect(memory()).toEqual(before);
  });
}
