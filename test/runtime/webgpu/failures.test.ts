/** What a GPU says late, or not at all: failures after the call, a lost device, a queue that grows. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { hostTensor, toNumbers } from "../../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../../src/compiler/host-tensor.ts";
import type { Plan } from "../../../src/compiler/kernel/plan.ts";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { DeviceLostError } from "../../../src/runtime/webgpu/errors.ts";
import type { Gpu } from "../../../src/runtime/webgpu/gpu.ts";
import { openNodeGpu } from "../../../src/runtime/webgpu/node.ts";
import { f32s, INCREMENT, PlanBuilder, SMALL } from "./plans.ts";

// A software adapter on a busy machine is slow.
vi.setConfig({ testTimeout: 60_000 });

const opened: WebGpuDevice[] = [];
const open = async (): Promise<WebGpuDevice> => {
  const device = new WebGpuDevice(await openNodeGpu());
  opened.push(device);
  return device;
};
afterEach(async () => {
  await Promise.all(opened.splice(0).map((device) => device.dispose()));
});

const increment = (size = 2): Plan => {
  const b = new PlanBuilder();
  const [x, y] = [b.input([size]), b.output([size])];
  return b.plan([y], b.map(INCREMENT, [x, y]));
};

/** Counts up to 20 from the input, asking the host each time. */
const counting = (): Plan => {
  const b = new PlanBuilder();
  const [x, a, t, y, flag] = [b.input([1]), b.temporary([1]), b.temporary([1]), b.output([1]), b.temporary([], "bool")]; // prettier-ignore
  const body = [b.map(INCREMENT, [a, t]), { kind: "copy", from: t, to: a } as const];
  return b.plan(
    [y],
    { kind: "copy", from: x, to: a },
    { kind: "while", condition: [b.map(SMALL, [a, flag])], flag, body },
    { kind: "copy", from: a, to: y },
  );
};

/** Lets the GPU have room for so many bytes; readback does not count. More is refused as a GPU refuses it: later. */
function limitMemory({ context }: WebGpuDevice, bytes: number): void {
  const { device } = context.gpu;
  const create = device.createBuffer.bind(device);
  let [used, short] = [0, false];
  device.createBuffer = (descriptor) => {
    const { size, label } = descriptor;
    const buffer = create(descriptor);
    if (label === "readback") return buffer;
    used += size;
    short ||= used > bytes;
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      used -= size;
      destroy();
    };
    return buffer;
  };
  const filters: GPUErrorFilter[] = [];
  const push = device.pushErrorScope.bind(device);
  device.pushErrorScope = (filter) => {
    filters.push(filter);
    push(filter);
  };
  const pop = device.popErrorScope.bind(device);
  device.popErrorScope = async () => {
    const scarce = filters.pop() === "out-of-memory";
    const refused = short && scarce;
    if (refused) short = false;
    const error = await pop();
    return refused ? ({ message: "no room" } as GPUError) : error;
  };
}

describe("a failure that is known late", () => {
  it("is thrown by the first run, which gives back what was donated to it", async () => {
    const device = await open();
    const executable = await device.load(increment(), { name: "step", donate: [0] });
    const value = device.upload(f32s(1, 2));
    const gpu = device.context.gpu.device;
    const createBindGroup = gpu.createBindGroup.bind(gpu);
    gpu.createBindGroup = (descriptor) => createBindGroup({ ...descriptor, entries: [] });
    await expect(executable.run([value])).rejects.toThrow(/^webgpu: step: a run failed: /);
    expect(value.disposed).toBe(false);
    expect(toNumbers(await value.read())).toEqual([1, 2]);
    expect(device.memoryStats().values).toBe(256);
  });

  it("is thrown by what waits next when the run was not the first, and by its outputs", async () => {
    const device = await open();
    const executable = await device.load(increment(), { name: "step" });
    const value = device.upload(f32s(1, 2));
    const [fine] = await executable.run([value]);
    const { queue } = device.context.gpu.device;
    const submit = queue.submit.bind(queue);
    queue.submit = (buffers) => submit([...buffers, ...buffers]); // a command buffer serves once
    const [failed] = await executable.run([value]);
    queue.submit = submit;
    await expect(fine?.read()).rejects.toThrow(/^webgpu: step: a run failed: /);
    expect(toNumbers((await fine?.read()) ?? f32s())).toEqual([2, 3]); // said once
    await expect(failed?.read()).rejects.toThrow(/^webgpu: step: a run failed: /);
    if (failed !== undefined) await expect(executable.run([failed])).rejects.toThrow("step: a run failed");
    const [again] = await executable.run([value]);
    expect(toNumbers((await again?.read()) ?? f32s())).toEqual([2, 3]);
    for (const used of [value, fine, failed, again]) used?.dispose();
    expect(device.memoryStats().values).toBe(0);
  });

  it("names the program or the upload that has no memory, and frees what was kept for reuse", async () => {
    const device = await open();
    limitMemory(device, 2 ** 20);
    const zeros = (size: number): HostTensor => hostTensor("f32", [size], new Float32Array(size));

    const executable = await device.load(increment(150_000), { name: "step", donate: [0] });
    const value = device.upload(zeros(150_000));
    await expect(executable.run([value])).rejects.toThrow("webgpu: step: a run: the GPU is out of memory");
    expect(value.disposed).toBe(false);
    const large = device.upload(zeros(200_000));
    await expect(large.read()).rejects.toThrow("webgpu: the upload of f32[200000]: the GPU is out of memory");
    large.dispose();
    await executable.dispose();

    // There is room, once the storage of the value that ended is given back: at the second try, which is made for the caller.
    value.dispose();
    expect(device.memoryStats().pooled).toBeGreaterThan(600_000);
    const b = new PlanBuilder();
    const [x, t, y] = [b.input([1]), b.temporary([150_000]), b.output([1])];
    const plan = b.plan([y], b.map(INCREMENT, [x, t]), b.map(INCREMENT, [t, y]));
    const sampler = await device.load(plan, { name: "sampler" });
    const { total } = device.memoryStats();
    await expect(device.load(plan, { name: "another" })).rejects.toThrow(
      "webgpu: another: making its buffers: the GPU is out of memory",
    );
    expect(device.memoryStats()).toMatchObject({ total, pooled: 0, values: 0 });
    await sampler.dispose();
  });

  it("is out of memory where the GPU says so", async () => {
    const device = await open();
    const { limits, adapter } = device.context.gpu;
    if (!adapter.name.toLowerCase().includes("swiftshader")) {
      // Others give memory that they do not have, or have a lot of it.
      console.log(`Not tested: ${adapter.name} may have room for anything.`);
      return;
    }
    const size = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize) / 4;
    const b = new PlanBuilder();
    const [x, y] = [b.input([1]), b.output([1])];
    const large = Array.from({ length: 64 }, () => b.temporary([size]));
    const chain = [x, ...large, y];
    // All alive at once: each is read again at the end.
    const steps = chain
      .slice(1)
      .map((to, i) => ({ ...b.map(INCREMENT, [chain[i] as number, to]), workgroups: 1 }));
    const again = large.map((from) => ({ ...b.map(INCREMENT, [from, y]), workgroups: 1 }));
    await expect(device.load(b.plan([y], ...steps, ...again), { name: "huge" })).rejects.toThrow(
      "webgpu: huge: making its buffers: the GPU is out of memory",
    );
    expect(device.memoryStats().total).toBe(0);
  });
});

describe("a lost device", () => {
  it("ends what waits and what comes after with the reason", async () => {
    const device = await open();
    const executable = await device.load(increment(), { donate: [0] });
    const loop = await device.load(counting());
    const start = device.upload(f32s(0));
    const value = device.upload(f32s(1, 2));
    const running = loop.run([start]);
    const reading = value.read();
    device.context.gpu.device.destroy();
    const lost = (work: Promise<unknown>): Promise<unknown> =>
      work.then(
        () => "it worked",
        (error: unknown) => error,
      );
    const errors = await Promise.all([lost(running), lost(reading)]);
    errors.push(
      await lost(value.read()),
      await lost(executable.run([value])),
      await lost(device.load(increment())),
      await lost(Promise.resolve().then(() => device.upload(f32s(1)))),
    );
    for (const error of errors) {
      expect(error).toBeInstanceOf(DeviceLostError);
      expect((error as DeviceLostError).reason).toBe("destroyed");
      expect((error as Error).message).toMatch(
        /^The webgpu device was lost \(.+\): its values are gone\. Open the device again and upload them from the host\.$/,
      );
    }
    expect(value.disposed).toBe(false);
    await device.dispose();
  });

  it("is still the reason given for what outlived it once it was disposed of", async () => {
    const device = await open();
    const executable = await device.load(increment());
    const [value, other] = [device.upload(f32s(1, 2)), device.upload(f32s(1, 2))];
    device.context.gpu.device.destroy();
    await expect(value.read()).rejects.toBeInstanceOf(DeviceLostError);
    await device.dispose();
    await expect(executable.run([value])).rejects.toBeInstanceOf(DeviceLostError);
    await expect(other.read()).rejects.toBeInstanceOf(DeviceLostError);
    await expect(device.load(increment())).rejects.toBeInstanceOf(DeviceLostError);
    expect(() => device.upload(f32s(1))).toThrow(DeviceLostError);
  });
});

describe("a loss that is told later than what it breaks off", () => {
  /** A GPU that says that it is lost some time after it is; in browsers the news comes from another process. */
  const late = async (): Promise<Gpu> => {
    const gpu = await openNodeGpu();
    const { lost } = gpu.device;
    const news = lost.then(async (info) => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return info;
    });
    Object.defineProperty(gpu.device, "lost", { value: news });
    return gpu;
  };
  const opening = (gpu: Gpu): WebGpuDevice => {
    const device = new WebGpuDevice(gpu);
    opened.push(device);
    return device;
  };

  it("ends reads, those that wait and those whose copy is there", async () => {
    const waits = opening(await late());
    const reading = waits.upload(f32s(1, 2)).read();
    queueMicrotask(() => queueMicrotask(() => waits.context.gpu.device.destroy()));
    await expect(reading).rejects.toBeInstanceOf(DeviceLostError);

    const gpu = await late();
    const create = gpu.device.createBuffer.bind(gpu.device);
    gpu.device.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      const range = buffer.getMappedRange.bind(buffer);
      buffer.getMappedRange = (...bounds) => {
        gpu.device.destroy();
        return range(...bounds);
      };
      return buffer;
    };
    await expect(opening(gpu).upload(f32s(1, 2)).read()).rejects.toBeInstanceOf(DeviceLostError);
  });

  it("ends a compilation", async () => {
    const gpu = await late();
    gpu.device.createComputePipelineAsync = () => {
      gpu.device.destroy();
      return Promise.reject(Object.assign(new Error("The GPU's process has ended."), { reason: "internal" }));
    };
    const device = opening({ ...gpu, asyncPipelines: true });
    await expect(device.load(increment())).rejects.toBeInstanceOf(DeviceLostError);
  });
});

describe("runs that nobody reads", () => {
  it("wait for the GPU before they fill the queue", async () => {
    const device = await open();
    const executable = await device.load(increment());
    const value = device.upload(f32s(1, 2));
    const { queue } = device.context.gpu.device;
    const done: (() => void)[] = [];
    queue.onSubmittedWorkDone = () => new Promise((resolve) => done.push(() => resolve(undefined)));
    const progress = { runs: 0 };
    const loop = (async () => {
      for (; progress.runs < 100; progress.runs++)
        for (const output of await executable.run([value])) output.dispose();
    })();
    /** Waits until a second fence stands behind one that is not passed: then runs are waiting. */
    const stall = async (): Promise<number> => {
      while (done.length < 2) await new Promise((resolve) => setTimeout(resolve));
      return progress.runs;
    };
    const first = await stall();
    expect(first).toBeGreaterThan(0);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve));
    expect(progress.runs).toBeLessThan(16);
    done.shift()?.();
    expect(await stall()).toBeGreaterThan(first);
    queue.onSubmittedWorkDone = () => Promise.resolve(undefined);
    for (const resolve of done.splice(0)) resolve();
    await loop;
    expect(progress.runs).toBe(100);
  });
});
