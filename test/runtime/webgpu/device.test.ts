import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { hostTensor, toNumbers } from "../../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../../src/compiler/host-tensor.ts";
import { openInterpreter } from "../../../src/runtime/interpreter-device.ts";
import type { DeviceValue } from "../../../src/runtime/device.ts";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { openNodeGpu } from "../../../src/runtime/webgpu/node.ts";
import { ADD, f32s, HASH, INCREMENT, IOTA, PlanBuilder, SMALL } from "./plans.ts";

// A software adapter on a busy machine is slow.
vi.setConfig({ testTimeout: 60_000 });

const open = async (): Promise<WebGpuDevice> => new WebGpuDevice(await openNodeGpu({ limits: "minimum" }));

let device: WebGpuDevice;
beforeAll(async () => {
  device = await open();
});
afterAll(() => device.dispose());

const numbers = async (value: DeviceValue | undefined): Promise<number[]> =>
  toNumbers(await (value as DeviceValue).read());

/** 31 x + 7 p + q, in u32. */
const hash = (x: number, p: number, q: number): number => (Math.imul(x, 31) + 7 * p + q) >>> 0;
const u32s = (...values: readonly number[]): HostTensor => hostTensor("u32", [values.length], values);

describe("values on the GPU", () => {
  it("come back as they were, of every dtype and size", async () => {
    const tensors = [
      hostTensor("f32", [3], [1.5, -0.25, 1e30]),
      hostTensor("f16", [3], [1.5, -0.25, 65504]),
      hostTensor("i32", [2, 2], [-1, 2 ** 31 - 1, -(2 ** 31), 0]),
      hostTensor("u32", [2], [2 ** 32 - 1, 7]),
      hostTensor("bool", [5], [1, 0, 0, 1, 1]),
      hostTensor("f32", [], [42]),
      hostTensor("f16", [0, 3], []),
      hostTensor(
        "f32",
        [100, 1000],
        Array.from({ length: 1e5 }, (_, i) => i),
      ),
    ];
    const values = tensors.map((tensor) => device.upload(tensor));
    expect(await Promise.all(values.map((value) => value.read()))).toEqual(tensors);
    for (const value of values) value.dispose();
    const doubles = device.upload({ shape: [2], dtype: "f32", data: Float64Array.of(0.1, 3) });
    expect((await doubles.read()).data).toEqual(Float32Array.of(0.1, 3));
    doubles.dispose();
    expect(device.memoryStats().values).toBe(0);
  });

  it("refuse data that do not fit their type", () => {
    expect(() => device.upload({ shape: [3], dtype: "f32", data: new Float32Array(2) })).toThrow(
      "upload: 2 values for shape [3].",
    );
    expect(() => device.upload({ shape: [2], dtype: "i32", data: new Float32Array(2) })).toThrow(
      "i32[2] is not stored in a Float32Array.",
    );
    expect(() => device.upload({ shape: [2], dtype: "f16", data: new Int32Array(2) })).toThrow(TypeError);
    expect(() => device.upload({ shape: [2 ** 26], dtype: "f32", data: { length: 2 ** 26 } as Float32Array })).toThrow(
      "webgpu: an upload: f32[67108864] takes 268,435,456 bytes, and this GPU binds 134,217,728 at most.",
    ); // prettier-ignore
  });

  it("share a submit when they are read together, and stay what they were when their storage is used again", async () => {
    const { queue } = device.context.gpu.device;
    const submit = queue.submit.bind(queue);
    let submits = 0;
    queue.submit = (buffers) => {
      submits++;
      submit(buffers);
    };
    try {
      const values = [1, 2, 3].map((x) => device.upload(f32s(x, x)));
      const reads = values.map((value) => value.read());
      for (const value of values) value.dispose();
      const others = [4, 5, 6].map((x) => device.upload(f32s(x, x)));
      expect((await Promise.all(reads)).map(toNumbers)).toEqual([[1, 1], [2, 2], [3, 3]]); // prettier-ignore
      expect(submits).toBe(1);
      for (const value of others) value.dispose();
    } finally {
      queue.submit = submit;
    }
  });

  it("cannot be used after their end", async () => {
    const value = device.upload(f32s(1));
    value.dispose();
    value.dispose();
    expect(value.disposed).toBe(true);
    await expect(value.read()).rejects.toThrow("This f32[1] was disposed of; keep it until its last use.");
  });
});

describe("a plan on the GPU", () => {
  it("gives the same at the first, second and third run, through slots that are shared", async () => {
    const b = new PlanBuilder();
    const x = b.input([5]);
    const t = Array.from({ length: 5 }, () => b.temporary([5]));
    const y = b.output([5]);
    const chain = [x, ...t, y];
    const plan = b.plan([y], ...chain.slice(1).map((to, i) => b.map(INCREMENT, [chain[i] as number, to])));
    const executable = await device.load(plan);
    const input = device.upload(f32s(1, 2, 3, 4, 5));
    for (let run = 0; run < 3; run++) {
      const [output] = await executable.run([input]);
      expect(await numbers(output)).toEqual([7, 8, 9, 10, 11]);
      output?.dispose();
    }
    expect([executable.inputTypes, executable.outputTypes]).toEqual([[plan.buffers[x]?.type], [plan.buffers[y]?.type]]); // prettier-ignore
    input.dispose();
    await executable.dispose();
    expect(device.memoryStats()).toMatchObject({ values: 0, plans: 0 });
  });

  it("alternates between two sets of buffers when its state is donated", async () => {
    const b = new PlanBuilder();
    const state = [b.input([1000]), b.input([1000]), b.input([1000])];
    const data = b.input([1000]);
    const next = state.map(() => b.output([1000]));
    const plan = b.plan(next, ...state.map((from, i) => b.map(ADD, [from, data, next[i] as number])));
    const executable = await device.load(plan, { donate: [0, 1, 2] });
    const gpu = device.context.gpu.device;
    const createBindGroup = gpu.createBindGroup.bind(gpu);
    let groups = 0;
    gpu.createBindGroup = (descriptor) => {
      groups++;
      return createBindGroup(descriptor);
    };
    try {
      const constant = (x: number): HostTensor =>
        hostTensor(
          "f32",
          [1000],
          Array.from({ length: 1000 }, () => x),
        );
      let values: readonly DeviceValue[] = [1, 2, 3].map((x) => device.upload(constant(x)));
      const totals = new Set<number>();
      for (let step = 0; step < 100; step++) {
        const batch = device.upload(constant(step));
        const before = values;
        values = await executable.run([...values, batch]);
        expect(before.map(({ disposed }) => disposed)).toEqual([true, true, true]);
        batch.dispose();
        if (step >= 2) totals.add(device.memoryStats().total);
      }
      expect(totals.size).toBe(1);
      expect(groups).toBeLessThanOrEqual(12);
      const ends = await Promise.all(values.map(numbers));
      expect(ends.map(([one]) => one)).toEqual([4951, 4952, 4953]);
      for (const value of values) value.dispose();
    } finally {
      gpu.createBindGroup = createBindGroup;
    }
    await executable.dispose();
  });

  it("keeps donated values when a run is refused, and refuses them afterwards when it is not", async () => {
    const b = new PlanBuilder();
    const [x, y, z] = [b.input([1]), b.input([1]), b.output([1])];
    const executable = await device.load(b.plan([z], b.map(ADD, [x, y, z])), {
      donate: [0],
      inputNames: ["state.w", "g"],
      name: "step",
    });
    const [one, wrong] = [device.upload(f32s(1)), device.upload(f32s(1, 2))];
    await expect(executable.run([one, wrong])).rejects.toThrow(
      "step: input 1 (g) is f32[2], expected f32[1].",
    );
    expect(await numbers(one)).toEqual([1]);
    // The same value donated and not: it is read before its storage goes.
    const [two] = await executable.run([one, one]);
    expect(await numbers(two)).toEqual([2]);
    await expect(executable.run([one, one])).rejects.toThrow("This f32[1] was donated to an earlier run");
    for (const value of [one, wrong, two]) value?.dispose();
    await executable.dispose();
  });

  it("tells loops their iterations, nested ones too", async () => {
    const b = new PlanBuilder();
    const [x, a, t, y] = [b.input([3], "u32"), b.temporary([3], "u32"), b.temporary([3], "u32"), b.output([3], "u32")]; // prettier-ignore
    const apply = (p: number | { loop: number }, q: number | { loop: number }) => [
      b.map(HASH, [a, t], [p, q]),
      { kind: "copy", from: t, to: a } as const,
    ];
    const plan = b.plan(
      [y],
      { kind: "copy", from: x, to: a },
      { kind: "loop", length: 3, steps: [
        ...apply({ loop: 0 }, 5),
        { kind: "loop", length: 4, steps: [
          ...apply({ loop: 1 }, { loop: 0 }),
          { kind: "loop", length: 2, steps: apply({ loop: 0 }, { loop: 2 }) },
        ] },
        { kind: "loop", length: 0, steps: apply(1, 1) },
        { kind: "loop", length: 2, steps: apply({ loop: 1 }, 1) },
      ] },
      { kind: "copy", from: a, to: y },
    ); // prettier-ignore
    const expected = (start: number): number => {
      let x = start;
      for (let i = 0; i < 3; i++) {
        x = hash(x, i, 5);
        for (let j = 0; j < 4; j++) {
          x = hash(x, j, i);
          for (let k = 0; k < 2; k++) x = hash(x, i, k);
        }
        for (let j = 0; j < 2; j++) x = hash(x, j, 1);
      }
      return x;
    };
    const executable = await device.load(plan);
    const input = device.upload(u32s(1, 2, 99));
    for (let run = 0; run < 3; run++) {
      const [output] = await executable.run([input]);
      expect(await numbers(output)).toEqual([1, 2, 99].map(expected));
      output?.dispose();
    }
    await executable.dispose();
    input.dispose();
  });

  it("runs loops that are too long for a table of their parameters", async () => {
    const b = new PlanBuilder();
    const [x, a, t, y] = [b.input([2], "u32"), b.temporary([2], "u32"), b.temporary([2], "u32"), b.output([2], "u32")]; // prettier-ignore
    const plan = b.plan(
      [y],
      { kind: "copy", from: x, to: a },
      {
        kind: "loop",
        length: 71,
        steps: [
          {
            kind: "loop",
            length: 70,
            steps: [
              b.map(HASH, [a, t], [{ loop: 1 }, { loop: 0 }]),
              b.map(HASH, [t, a], [{ loop: 0 }, { loop: 1 }]),
            ],
          },
        ],
      },
      { kind: "copy", from: a, to: y },
    );
    const executable = await device.load(plan);
    const input = device.upload(u32s(1, 2));
    const expected = (start: number): number => {
      let x = start;
      for (let i = 0; i < 71; i++) for (let j = 0; j < 70; j++) x = hash(hash(x, j, i), i, j);
      return x;
    };
    for (let run = 0; run < 2; run++) {
      const [output] = await executable.run([input]);
      expect(await numbers(output)).toEqual([1, 2].map(expected));
      output?.dispose();
    }
    expect(device.memoryStats().plans).toBeLessThan(2 ** 20);
    await executable.dispose();
    input.dispose();
  });

  it("repeats while a flag says so, and takes the branch that it says", async () => {
    const b = new PlanBuilder();
    const [x, a, t, y, flag, last] = [b.input([1]), b.temporary([1]), b.temporary([1]), b.output([1]), b.temporary([], "bool"), b.output([], "bool")]; // prettier-ignore
    const test = b.map(SMALL, [a, flag]);
    const plan = b.plan(
      [y, last],
      { kind: "copy", from: x, to: a },
      { kind: "while", condition: [test], flag, body: [
        b.map(INCREMENT, [a, t]),
        { kind: "copy", from: t, to: a },
      ] },
      b.map(SMALL, [x, flag]),
      { kind: "branch", flag, onTrue: [{ kind: "copy", from: a, to: y }], onFalse: [b.map(ADD, [a, x, y])] },
      { kind: "copy", from: flag, to: last },
    ); // prettier-ignore
    const executable = await device.load(plan);
    const inputs = [17.5, 30, 20, 3].map((x) => device.upload(f32s(x)));
    // All at once: runs that wait for flags must not touch each other's temporaries.
    const outputs = await Promise.all(inputs.map((input) => executable.run([input])));
    expect(await Promise.all(outputs.map(([y]) => numbers(y)))).toEqual([[20.5], [60], [40], [20]]);
    expect(await Promise.all(outputs.map(([, last]) => numbers(last)))).toEqual([[1], [0], [0], [1]]);
    for (const value of [...inputs, ...outputs.flat()]) value.dispose();
    await executable.dispose();
    expect(device.memoryStats()).toMatchObject({ values: 0, plans: 0 });
  });

  it("has tensors without elements, and dispatches without workgroups", async () => {
    const b = new PlanBuilder();
    const [x, t, u, y, z] = [
      b.input([0]),
      b.temporary([0]),
      b.temporary([0]),
      b.output([0, 2]),
      b.output([1]),
    ];
    const one = b.constant(f32s(1));
    const none = { ...b.map(ADD, [x, t, z]), workgroups: 0 };
    const executable = await device.load(
      b.plan([y, z, x], b.map(INCREMENT, [x, t]), none, { kind: "copy", from: t, to: u }, { ...b.map(INCREMENT, [t, y]), workgroups: 1 }, b.map(INCREMENT, [one, z])),
    ); // prettier-ignore
    const input = device.upload(f32s());
    const outputs = await executable.run([input]);
    expect(await Promise.all(outputs.map((output) => output.read()))).toEqual([
      hostTensor("f32", [0, 2], []),
      f32s(2),
      f32s(),
    ]);
    for (const value of [input, ...outputs]) value.dispose();
    await executable.dispose();
  });

  it("dispatches more workgroups than fit in one dimension", async () => {
    const size = 65536 * 64 + 100;
    const b = new PlanBuilder();
    const y = b.output([size], "u32");
    const executable = await device.load(b.plan([y], b.map(IOTA, [y])));
    const [output] = await executable.run([]);
    const { data } = await (output as DeviceValue).read();
    let wrong = 0;
    for (let i = 0; i < size; i++) if (data[i] !== i) wrong++;
    expect(wrong).toBe(0);
    output?.dispose();
    await executable.dispose();
  });

  it("passes inputs and constants on, and returns one buffer twice", async () => {
    const b = new PlanBuilder();
    const [x, y] = [b.input([2]), b.output([2])];
    const c = b.constant(f32s(5, 6));
    const executable = await device.load(b.plan([x, c, y, y, x], b.map(ADD, [x, c, y])), { donate: [0] });
    const input = device.upload(f32s(1, 2));
    const first = await executable.run([input]);
    expect(await Promise.all(first.map(numbers))).toEqual([[1, 2], [5, 6], [6, 8], [6, 8], [1, 2]]); // prettier-ignore
    // The donated input lives on as an output; what is shared stays until its last owner lets go.
    const second = await executable.run([first[0] as DeviceValue]);
    for (const value of first) value.dispose();
    await executable.dispose();
    expect(await Promise.all(second.map(numbers))).toEqual([[1, 2], [5, 6], [6, 8], [6, 8], [1, 2]]); // prettier-ignore
    for (const value of second.slice(0, 3)) value.dispose();
    const other = device.upload(f32s(0, 0));
    expect(await numbers(second[3])).toEqual([6, 8]);
    for (const value of [other, ...second]) value.dispose();
    expect(device.memoryStats()).toMatchObject({ values: 0, plans: 0 });
  });

  it("keeps no more memory than was in use at once", async () => {
    const own = await open();
    const sizes = [100, 5000, 70, 100_000, 3000];
    for (let round = 0; round < 20; round++) {
      const values = sizes.map((size) => own.upload(hostTensor("f32", [size + round * 64], new Float32Array(size + round * 64)))); // prettier-ignore
      for (const value of values) value.dispose();
    }
    const { values, pooled, total, peak } = own.memoryStats();
    expect([values, pooled]).toEqual([0, total]);
    expect(peak).toBeLessThan(1.1 * 4 * (sizes.reduce((a, b) => a + b) + 5 * 20 * 64));
    await own.dispose();
  });
});

describe("what does not work", () => {
  const increment = () => {
    const b = new PlanBuilder();
    const [x, y] = [b.input([2]), b.output([2])];
    return b.plan([y], b.map(INCREMENT, [x, y]));
  };

  it("names the kernel that the GPU refuses, its ops and the user's line", async () => {
    const b = new PlanBuilder();
    const [x, y] = [b.input([2]), b.output([2])];
    const step = b.map({ ...INCREMENT, name: "broken", body: [{ kind: "assign", name: "nowhere0", value: { kind: "lane", type: "u32" } }] }, [x, y]); // prettier-ignore
    await expect(device.load(b.plan([y], { ...step, ops: ["increment"] }), { name: "step" })).rejects.toThrow(
      /^webgpu: step: compiling the kernel broken \(increment; at model\.ts:12\) failed: .*nowhere0/s,
    );
    // The device goes on.
    const executable = await device.load(increment());
    const input = device.upload(f32s(1, 2));
    const [output] = await executable.run([input]);
    expect(await numbers(output)).toEqual([2, 3]);
    for (const value of [input, output]) value?.dispose();
    await executable.dispose();
  });

  it("says the same where pipelines are made asynchronously", async () => {
    const gpu = await openNodeGpu({ limits: "minimum" });
    // As the standard has it: refused by a rejection, and not by an error scope.
    gpu.device.createComputePipelineAsync = async (descriptor) => {
      gpu.device.pushErrorScope("validation");
      const pipeline = gpu.device.createComputePipeline(descriptor);
      const error = await gpu.device.popErrorScope();
      if (error !== null) throw new Error(error.message);
      return pipeline;
    };
    // The plan's own check is to let pass what the GPU refuses.
    const lanes = { maxComputeInvocationsPerWorkgroup: 4096, maxComputeWorkgroupSizeX: 4096 };
    const own = new WebGpuDevice({ ...gpu, limits: { ...gpu.limits, ...lanes }, asyncPipelines: true });
    const b = new PlanBuilder();
    const [x, y] = [b.input([2]), b.output([2])];
    const broken = { ...INCREMENT, name: "broken", body: [{ kind: "assign", name: "nowhere0", value: { kind: "lane", type: "u32" } }] } as const; // prettier-ignore
    await expect(own.load(b.plan([y], b.map(broken, [x, y])), { name: "step" })).rejects.toThrow(
      /^webgpu: step: compiling the kernel broken \(broken; at model\.ts:12\) failed: .*nowhere0/s,
    );
    const wide = b.plan([y], b.map({ ...INCREMENT, name: "wide", lanes: 4096 }, [x, y]));
    await expect(own.load(wide)).rejects.toThrow(
      /^webgpu: the program: compiling the kernel wide \(wide; at model\.ts:12\) failed: .*4096/s,
    );
    const executable = await own.load(increment());
    const [output] = await executable.run([own.upload(f32s(1, 2))]);
    expect(await numbers(output)).toEqual([2, 3]);
    await own.dispose();
  });

  it("refuses values of other devices, and what has ended", async () => {
    const executable = await device.load(increment(), { name: "f" });
    const stranger = openInterpreter().upload(f32s(1, 2));
    await expect(executable.run([stranger])).rejects.toThrow("input 0 is a value of another device; upload it to this one."); // prettier-ignore
    await expect(executable.run([])).rejects.toThrow("f takes 1 tensors, got 0.");
    await expect(device.load(increment(), { donate: [1] })).rejects.toThrow("donate: 1 is not the position");
    await executable.dispose();
    await executable.dispose();
    await expect(executable.run([stranger])).rejects.toThrow("This executable was disposed of; compile the program again."); // prettier-ignore

    const own = await open();
    const kept = await own.load(increment());
    const value = own.upload(f32s(1, 2));
    const reading = value.read();
    await own.dispose();
    await own.dispose();
    await expect(reading).rejects.toThrow("The webgpu device was closed; open it again.");
    expect(value.disposed).toBe(true);
    await expect(value.read()).rejects.toThrow("The device that holds this value was closed; read values before closing it."); // prettier-ignore
    await expect(kept.run([value])).rejects.toThrow("This executable was disposed of");
    expect(() => own.upload(f32s(1))).toThrow("The webgpu device was closed; open it again.");
    await expect(own.load(increment())).rejects.toThrow("The webgpu device was closed; open it again.");
  });
});
