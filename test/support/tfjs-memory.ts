/**
 * That runs on TensorFlow.js leave no tensor behind.
 *
 * Consumed by the tests of the devices in Node and in a browser, so nothing of Node is imported here.
 */
import { expect, it } from "vitest";
import { toNumbers } from "../../src/compiler/host-tensor.ts";
import { add, f32, fn, grad, mul, square, sub, sum } from "../../src/dsl/index.ts";
import { compile, readTree } from "../../src/runtime/compile.ts";
import type { Device, Executable } from "../../src/runtime/device.ts";
import { openInterpreter } from "../../src/runtime/interpreter-device.ts";
import { program, tensor } from "./programs.ts";

const none = {};

/** TensorFlow.js, as far as it tells of its memory. */
export interface Memory {
  memory(): {
    readonly numTensors: number;
    readonly numDataBuffers: number;
    readonly numBytes: number;
    /** What WebGL and WebGPU have of the GPU's memory, for values and for later use. */
    readonly numBytesInGPUAllocated?: number;
    readonly numBytesAllocatedInGPU?: number;
  };
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

/** Of the GPU's memory, with what is kept for reuse; 0 without a GPU. */
function allocatedOnGpu(tf: Memory): number {
  const { numBytesInGPUAllocated, numBytesAllocatedInGPU } = tf.memory();
  return numBytesInGPUAllocated ?? numBytesAllocatedInGPU ?? 0;
}

const miss = fn({ params: { w: f32(4), b: f32() }, x: f32(4), y: f32() }, ({ params: { w, b }, x, y }) =>
  square(sub(add(sum(mul(w, x)), b), y)),
);

/** One step of gradient descent for a weight per input and a shift. */
const descent = fn({ params: { w: f32(4), b: f32() }, x: f32(4), y: f32() }, (input) => {
  const { w, b } = grad(miss, "params")(input);
  const { params } = input;
  return {
    params: { w: sub(params.w, mul(w, 0.05)), b: sub(params.b, mul(b, 0.05)) },
    loss: miss(input),
  };
});

const STEPS = 1000;

/** The shift and the weights that are looked for. */
const LINE = [0.5, -1, 0, 1, 2] as const;

/** Inputs of a step, and what the line makes of them. */
function sample(step: number): { readonly x: Float32Array; readonly y: number } {
  const x = Float32Array.from({ length: 4 }, (_, i) => Math.sin(step * (i + 1) + i));
  const [shift, ...weights] = LINE;
  return { x, y: weights.reduce<number>((total, weight, i) => total + weight * (x[i] as number), shift) };
}

/**
 * Trains a line.
 * @param watch is called after each step
 * @returns every tenth loss, then the shift and the weights
 */
async function trainLine(device: Device, watch: (step: number) => void): Promise<number[]> {
  const step = await compile(descent, { device, donate: ["params"] });
  const first = await step.run({ params: { w: new Float32Array(4), b: 0 }, ...sample(0) });
  let { params } = first;
  const losses: number[] = [];
  first.loss.dispose();
  for (let i = 1; i < STEPS; i++) {
    const out = await step.run({ params, ...sample(i) });
    ({ params } = out);
    if (i % 10 === 0) losses.push(toNumbers(await out.loss.read())[0] as number); // it is one number
    out.loss.dispose();
    watch(i);
  }
  losses.push(...(await readTree(params)).flatMap(toNumbers));
  params.w.dispose();
  params.b.dispose();
  await step.dispose();
  return losses;
}

/** Declares the test of a training, which is tiny: on a software adapter a step takes milliseconds. */
export function testTrainingMemory(device: Device, tf: Memory): void {
  it(`leaves no tensor behind in ${STEPS} steps of a training`, async () => {
    const before = memoryOf(tf);
    let [ready, allocated]: [object, number] = [{}, 0];
    const counts = new Set<number>();
    const found = await trainLine(device, (step) => {
      counts.add(tf.memory().numTensors);
      if (step === 1) ready = memoryOf(tf);
      // Until then a GPU's buffers for reuse have become as many as ever are in flight.
      if (step === STEPS / 2) allocated = allocatedOnGpu(tf);
      if (step === STEPS - 1) expect(memoryOf(tf)).toEqual(ready);
    });
    expect(counts.size).toBe(1);
    expect(allocated > 0).toBe(/webgl|webgpu/.test(device.name));
    expect(allocatedOnGpu(tf)).toBeLessThanOrEqual(allocated);
    expect(memoryOf(tf)).toEqual(before);
    const expected = await trainLine(openInterpreter(), () => undefined);
    expect(Math.max(...found.map((x, i) => Math.abs(x - (expected[i] as number))))).toBeLessThan(1e-4);
    const line = expected.slice(-5);
    expect(Math.max(...LINE.map((x, i) => Math.abs(x - (line[i] as number))))).toBeLessThan(1e-2); // it trains
  });
}

/** Declares the test of everything that keeps tensors. */
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

/** Declares the tests of what comes when a device is closed. @param open opens a device of its own */
export function testEnding(open: () => Promise<Device>, tf: Memory): void {
  /** A device with a run under way, which takes it a while where it has to read. */
  const working = async (): Promise<{
    device: Device;
    executable: Executable;
    running: Promise<unknown>;
  }> => {
    const device = await open();
    const executable = await device.compile(busy);
    const inputs = [tensor("f32[4]", 1), tensor("f32[3,4]", 0.5), tensor("bool[]", 1)];
    return { device, executable, running: executable.run(inputs.map((input) => device.upload(input))) };
  };

  it("makes nothing more once it is being closed, and lets the run end that is under way", async () => {
    await (await open()).dispose(); // the examination is over
    const before = memoryOf(tf);
    const { device, running } = await working();
    const closing = device.dispose();
    await expect(device.compile(busy)).rejects.toThrow(
      `The ${device.name} device was closed; open it again.`,
    );
    expect(() => device.upload(tensor("f32[4]", 0))).toThrow("was closed");
    await closing;
    await running;
    expect(memoryOf(tf)).toEqual(before);
  });

  it("waits for a run of an executable that is being disposed of", async () => {
    const before = memoryOf(tf);
    const { device, executable, running } = await working();
    const disposing = executable.dispose();
    await device.dispose();
    expect(memoryOf(tf)).toEqual(before);
    await Promise.all([disposing, running]);
  });
}
