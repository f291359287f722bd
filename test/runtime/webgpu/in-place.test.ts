/** Outputs that take the place of donated inputs, on the device: bits, memory, values that others hold, and runs that fail. */
import { afterAll, describe, expect, it, vi } from "vitest";
import { toNumbers, toStorage } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import { sizeOf } from "../../../src/dsl/program/program.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import { emit } from "../../../src/dsl/trace/builder.ts";
import type { TracedTensor } from "../../../src/dsl/trace/builder.ts";
import * as prim from "../../../src/dsl/trace/prim.ts";
import type { DeviceValue } from "../../../src/runtime/device.ts";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { explainWebGpu } from "../../../src/runtime/webgpu/explain.ts";
import { flatUpdate } from "../../support/flat-update.ts";
import { countingInputs, directed, dispatchesOf, vectors } from "../../support/scheduled.ts";
import { difference } from "../../support/programs.ts";
import { openTestGpu } from "../../support/webgpu.ts";
import { f32s } from "./plans.ts";

vi.setConfig({ testTimeout: 120_000 });

const opened: WebGpuDevice[] = [];
const open = async (): Promise<WebGpuDevice> => {
  const device = new WebGpuDevice(await openTestGpu());
  opened.push(device);
  return device;
};
afterAll(async () => {
  await Promise.all(opened.map((device) => device.dispose()));
});

const numbers = async (value: DeviceValue | undefined): Promise<readonly number[]> =>
  value === undefined ? [] : toNumbers(await value.read());

/** (x, y) -> (x + y, x − y) */
const both: Program = directed(
  (x, y) => [prim.add(x as TracedTensor, y as TracedTensor), prim.sub(x as TracedTensor, y as TracedTensor)],
  vectors(2, [3]),
);

/** (x, y, c) -> (x + y, c doubled while it is less than 9): the host asks whether it is. */
function stopping(): Program {
  const condition = directed((c) => [prim.less(c as TracedTensor, prim.fill(9, { shape: [], dtype: "f32" }))], vectors(1, [])); // prettier-ignore
  const body = directed((c) => [prim.add(c as TracedTensor, c as TracedTensor)], vectors(1, []));
  const params = { condition, body, conditionConsts: 0, bodyConsts: 0 };
  return directed((x, y, c) => [prim.add(x as TracedTensor, y as TracedTensor), ...emit("while", [c as TracedTensor], params)], [...vectors(2, [3]), ...vectors(1, [])]); // prettier-ignore
}
const toStop = (device: WebGpuDevice): readonly DeviceValue[] =>
  [f32s(1, 2, 3), f32s(1, 1, 1), { ...f32s(1), shape: [] }].map((x) => device.upload(x));

describe("donated inputs that outputs replace", () => {
  it("are overwritten, run after run", async () => {
    const device = await open();
    const executable = await device.compile(both, { donate: [0, 1] });
    let values: readonly DeviceValue[] = [device.upload(f32s(1, 2, 3)), device.upload(f32s(10, 20, 30))];
    const before = device.memoryStats();
    for (let run = 0; run < 4; run++) values = await executable.run(values);
    // (x, y) becomes (2x, 2y) in two runs.
    expect(await Promise.all(values.map(numbers))).toEqual([
      [4, 8, 12],
      [40, 80, 120],
    ]);
    expect(device.memoryStats().values).toBe(before.values);
    for (const value of values) value.dispose();
    expect(device.memoryStats().values).toBe(0);
    await executable.dispose();
  });

  it("are copied first where somebody else holds them", async () => {
    const device = await open();
    const executable = await device.compile(both, { donate: [0] });
    const pass = await device.compile(directed((x) => [x as TracedTensor], vectors(1, [3])));
    const x = device.upload(f32s(1, 2, 3));
    const [shared] = await pass.run([x]);
    const y = device.upload(f32s(1, 1, 1));
    const reading = numbers(x);
    const outputs = await executable.run([x, y]);
    expect(await Promise.all(outputs.map(numbers))).toEqual([[2, 3, 4], [0, 1, 2]]); // prettier-ignore
    expect([await reading, await numbers(shared), await numbers(y), x.disposed]).toEqual([[1, 2, 3], [1, 2, 3], [1, 1, 1], true]); // prettier-ignore
    // The same value twice, once donated.
    const twice = await executable.run([y, y]);
    expect(await Promise.all(twice.map(numbers))).toEqual([[2, 2, 2], [0, 0, 0]]); // prettier-ignore
    for (const value of [shared, ...outputs, ...twice]) value?.dispose();
    expect(device.memoryStats().values).toBe(0);
  });

  it("come back from a run that fails before anything was submitted", async () => {
    const device = await open();
    const executable = await device.compile(both, { donate: [0, 1], name: "step" });
    const values = [device.upload(f32s(1, 2, 3)), device.upload(f32s(1, 1, 1))];
    const gpu = device.context.gpu.device;
    const create = gpu.createCommandEncoder.bind(gpu);
    gpu.createCommandEncoder = () => {
      throw new Error("no encoder");
    };
    await expect(executable.run(values)).rejects.toThrow("webgpu: step failed to run: no encoder");
    gpu.createCommandEncoder = create;
    expect(await Promise.all(values.map(numbers))).toEqual([[1, 2, 3], [1, 1, 1]]); // prettier-ignore
    expect(await Promise.all((await executable.run(values)).map(numbers))).toEqual([[2, 3, 4], [0, 1, 2]]); // prettier-ignore
  });

  /** Has the GPU refuse what it is given, until the returned function is called. */
  const refusing = ({ context }: WebGpuDevice): (() => void) => {
    const gpu = context.gpu.device;
    const create = gpu.createBindGroup.bind(gpu);
    gpu.createBindGroup = (descriptor) => create({ ...descriptor, entries: [] });
    return () => {
      gpu.createBindGroup = create;
    };
  };

  it("come back from a first run that the GPU refuses: it has written nothing", async () => {
    const device = await open();
    const executable = await device.compile(both, { donate: [0, 1], name: "step" });
    const values = [device.upload(f32s(1, 2, 3)), device.upload(f32s(1, 1, 1))];
    const accept = refusing(device);
    await expect(executable.run(values)).rejects.toThrow(/^webgpu: step: a run failed: /);
    accept();
    expect(await Promise.all(values.map(numbers))).toEqual([[1, 2, 3], [1, 1, 1]]); // prettier-ignore
    // Also where nothing but the submit is wrong: a command buffer serves once.
    const { queue } = device.context.gpu.device;
    const submit = queue.submit.bind(queue);
    queue.submit = (buffers) => submit([...buffers, ...buffers]);
    const other = await device.compile(both, { donate: [0, 1], name: "other" });
    await expect(other.run(values)).rejects.toThrow(/^webgpu: other: a run failed: /);
    queue.submit = submit;
    const outputs = await other.run(values);
    expect(await Promise.all(outputs.map(numbers))).toEqual([[2, 3, 4], [0, 1, 2]]); // prettier-ignore
  });

  it("are marked as failed by a first run of which the GPU took a part", async () => {
    const device = await open();
    const executable = await device.compile(stopping(), { donate: [0], name: "step" });
    const inputs = toStop(device);
    const { queue } = device.context.gpu.device;
    const submit = queue.submit.bind(queue);
    let count = 0; // between the first two submits of the run is that of a read
    queue.submit = (buffers) => submit(++count === 3 ? [...buffers, ...buffers] : buffers);
    await expect(executable.run(inputs)).rejects.toThrow(/^webgpu: step: a run failed: /);
    queue.submit = submit;
    expect(count).toBeGreaterThan(3);
    await expect(inputs[0]?.read()).rejects.toThrow(/^webgpu: step/);
    for (const value of inputs) value.dispose();
    expect(device.memoryStats().values).toBe(0);
  });

  it("are marked as failed when the host stops a run in the middle", async () => {
    const device = await open();
    const executable = await device.compile(stopping(), { donate: [0], name: "step" });
    const outputs = await executable.run(toStop(device));
    expect(await Promise.all(outputs.map(numbers))).toEqual([[2, 3, 4], [16]]);
    const { readback } = device.context;
    const read = readback.read.bind(readback);
    readback.read = () => Promise.reject(new Error("no answer"));
    const values = toStop(device);
    await expect(executable.run(values)).rejects.toThrow("webgpu: step failed to run: no answer");
    readback.read = read;
    await expect(values[0]?.read()).rejects.toThrow("webgpu: step failed to run: no answer");
    expect(await numbers(values[1])).toEqual([1, 1, 1]);
  });

  it("must be donated", async () => {
    const device = await open();
    await expect(device.load(schedule(both, { donated: [1] }))).rejects.toThrow(
      "the plan overwrites input 1, which is not donated",
    );
  });

  it("are named by an explanation", () => {
    const { memory } = explainWebGpu(both, { donated: [1], inputNames: ["x", "y"], outputNames: ["sum"] }).explanation; // prettier-ignore
    expect(memory.inPlace).toEqual([
      { buffer: 1, input: { position: 1, name: "y" }, output: { position: 0, name: "sum" }, bytes: 16 },
    ]);
    expect(memory.outputBytes).toBe(16);
  });
});

it("binds parts of buffers from where they begin", async () => {
  const device = await open();
  const product = (x: TracedTensor, y: TracedTensor): TracedTensor =>
    prim.dot(x, y, { lhsBatch: [], rhsBatch: [], lhsContract: [1], rhsContract: [0] });
  const program = directed((all, x) => {
    const flat = all as TracedTensor;
    const weight = prim.reshape(prim.sliceAxis(flat, 0, 128, 152), [6, 4]);
    const sorted = emit("sort", [prim.reshape(prim.sliceAxis(flat, 0, 256, 384), [16, 8])], { axis: 1 })[0];
    const parts = [product(x as TracedTensor, weight), sorted, prim.reduceSum(x as TracedTensor, [0]), flat];
    return [prim.concat(parts.map((part) => prim.reshape(part as TracedTensor, [sizeOf((part as TracedTensor).shape)])), 0)]; // prettier-ignore
  }, [{ shape: [400], dtype: "f32" }, { shape: [64, 6], dtype: "f32" }]); // prettier-ignore
  const plan = schedule(program, { limits: device.limits });
  const parts = dispatchesOf(plan).flatMap((dispatch) => dispatch.parts?.map((part) => part?.offset) ?? []);
  expect(parts).toEqual(expect.arrayContaining([128, 256]));
  const inputs = countingInputs(program);
  const executable = await device.load(plan);
  const outputs = await executable.run(inputs.map((input) => device.upload(toStorage(input))));
  const [expected] = interpret(program, inputs.map(toStorage));
  expect(await numbers(outputs[0])).toEqual([...(expected?.data ?? [])]);
});

it("keeps the state of a flat update once, with the same bits as twice", async () => {
  const { program, donated, inputs } = flatUpdate();
  const train = async (inPlace: boolean) => {
    const device = await open();
    const options = { limits: { ...MINIMUM_LIMITS, ...device.limits }, dots: device.dots };
    const plan = schedule(program, inPlace ? { ...options, donated } : options);
    const executable = await device.load(plan, { donate: donated });
    let values = inputs.map((input) => device.upload(toStorage(input)));
    // Outputs are in the order of their names, as the inputs are: the state without the loss and the norm.
    const names = ["ema", "loss", "mean", "norm", "params", "step", "variance"];
    for (let step = 0; step < 3; step++) {
      const outputs = await executable.run(values);
      const state = outputs.filter((_, i) => !["loss", "norm"].includes(names[i] as string));
      values = values.map((value, i) => (donated.includes(i) ? (state[donated.indexOf(i)] as DeviceValue) : value)); // prettier-ignore
      for (const output of outputs) if (!values.includes(output)) output.dispose();
    }
    return {
      state: await Promise.all(values.map((value) => value.read())),
      stats: device.memoryStats(),
    };
  };
  const [once, twice] = [await train(true), await train(false)];
  // Compilers on hardware fuse a multiplication with an addition in one kernel, and not in another.
  const { software } = await openTestGpu();
  expect(difference(once.state, twice.state, software ? 0 : 1e-6)).toBeUndefined();
  const vector = 4 * (inputs[donated[0] as number]?.data.length ?? 0);
  expect(twice.stats.peak - once.stats.peak).toBeGreaterThan(3 * vector);
});
