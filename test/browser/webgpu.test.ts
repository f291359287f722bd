/** The WebGPU device on the adapter of a real browser, opened as a page opens it. */
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { compile, DeviceLostError, f32, fn, grad, hostTensor, matmul, openInterpreter, openWebGpu, readTree, square, sum } from "fluxion"; // prettier-ignore
import type { Device, HostTensor, WebGpu } from "fluxion";
import { binary } from "../../src/compiler/kernel/builder.ts";
import type { Expr } from "../../src/compiler/kernel/ir.ts";
import { WebGpuDevice } from "../../src/runtime/webgpu/device.ts";
import { f32s, INCREMENT, mapKernel, PlanBuilder } from "../runtime/webgpu/plans.ts";
import { testContract } from "../support/device-contract.ts";

const opened: WebGpu[] = [];
const open = async (): Promise<WebGpuDevice> => {
  const device = await openWebGpu();
  opened.push(device);
  expect(device).toBeInstanceOf(WebGpuDevice);
  return device as WebGpuDevice; // as was just checked: what is not public can be looked at
};
afterEach(async () => {
  await Promise.all(opened.splice(0).map((device) => device.dispose()));
});

const loss = fn({ w: f32("in", "out"), x: f32("batch", "in") }, ({ w, x }) => sum(square(matmul(x, w))));

const ramp = (length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => ((i * 7) % 11) / 5 - 1);

describe("a page", () => {
  it("is a browser, and no Node", () => {
    const { process, navigator } = globalThis as { process?: { versions?: unknown }; navigator?: { userAgent: string } }; // prettier-ignore
    expect(process?.versions).toBeUndefined();
    expect(navigator?.userAgent).toMatch(/Chrome\/\d+/);
  });

  it("opens the adapter, which says what it is", async () => {
    const device = await open();
    expect(device.name).toBe("webgpu");
    expect(device.describe()).toMatch(/swiftshader.*, a software adapter that computes on the CPU/);
    expect(device.context.gpu.software).toBe(true);
  });

  it("computes gradients as the interpreter does, on edge sizes", async () => {
    const device = await open();
    for (const [batch, inputs, out] of [
      [1, 1, 1],
      [3, 7, 9],
      [33, 65, 31],
      [64, 64, 64],
    ] as const) {
      const sizes = { batch, in: inputs, out };
      const given = { w: ramp(inputs * out), x: ramp(batch * inputs) };
      const gradient = async (on: Device): Promise<HostTensor> => {
        const compiled = await compile(grad(loss, "w"), { device: on, sizes });
        const [read] = await readTree(await compiled.run(given));
        await compiled.dispose();
        return read as HostTensor; // one tensor
      };
      const [actual, expected] = [await gradient(device), await gradient(openInterpreter())];
      const size = Math.max(...expected.data.map(Math.abs));
      const worst = Math.max(...actual.data.map((x, i) => Math.abs(x - (expected.data[i] as number))));
      expect(worst / size, JSON.stringify(sizes)).toBeLessThan(1e-5);
    }
  });
});

describe("pipelines", () => {
  it("are made asynchronously, all at the same time", async () => {
    const device = await open();
    const gpu = device.context.gpu.device;
    const create = gpu.createComputePipelineAsync.bind(gpu);
    let [waiting, most] = [0, 0];
    vi.spyOn(gpu, "createComputePipelineAsync").mockImplementation(async (descriptor) => {
      most = Math.max(most, ++waiting);
      const pipeline = await create(descriptor);
      waiting--;
      return pipeline;
    });
    const synchronously = vi.spyOn(gpu, "createComputePipeline");
    const twice = mapKernel("twice", ["f32"], "f32", ([x]) => binary("add", x as Expr, x as Expr));
    const b = new PlanBuilder();
    const [x, t, y] = [b.input([2]), b.temporary([2]), b.output([2])];
    const executable = await device.load(b.plan([y], b.map(INCREMENT, [x, t]), b.map(twice, [t, y])));
    expect([most, waiting]).toEqual([2, 0]);
    expect(synchronously).not.toHaveBeenCalled();
    const [output] = await executable.run([device.upload(f32s(1, 2))]);
    expect([...((await output?.read())?.data ?? [])]).toEqual([4, 6]);
  });

  it("that the browser refuses are named, with the ops and the user's line", async () => {
    const device = await open();
    const b = new PlanBuilder();
    const [x, y] = [b.input([2]), b.output([2])];
    const body = [{ kind: "assign", name: "nowhere0", value: { kind: "lane", type: "u32" } }] as const;
    const broken = b.map({ ...INCREMENT, name: "broken", body }, [x, y]);
    await expect(device.load(b.plan([y], broken), { name: "step" })).rejects.toThrow(
      /^webgpu: step: compiling the kernel broken \(broken; at model\.ts:12\) failed: .*nowhere0/s,
    );
  });
});

describe("memory", () => {
  it("is accounted for, and given back", async () => {
    const device = await open();
    expect(device.memoryStats()).toEqual({ values: 0, plans: 0, pooled: 0, total: 0, peak: 0 });
    const compiled = await compile(grad(loss, "w"), { device, sizes: { batch: 8, in: 64, out: 64 } });
    const w = device.upload(hostTensor("f32", [64, 64], ramp(64 * 64)));
    const gradient = await compiled.run({ w, x: ramp(8 * 64) });
    const { values, plans, total, peak } = device.memoryStats();
    expect(values).toBe(2 * 4 * 64 * 64); // the weights and their gradient
    expect(plans).toBeGreaterThan(0);
    expect(total).toBeGreaterThanOrEqual(values + plans);
    expect(peak).toBeGreaterThanOrEqual(total);
    for (const value of [w, gradient]) value.dispose();
    await compiled.dispose();
    expect(device.memoryStats()).toMatchObject({ values: 0, plans: 0, peak });
  });
});

describe("a device that is lost", () => {
  it("ends what waits and what comes after with one error, and another one can be opened", async () => {
    const device = await open();
    const compiled = await compile(grad(loss, "w"), { device, sizes: { batch: 1, in: 1, out: 1 } });
    const w = device.upload(hostTensor("f32", [1, 1], [3]));
    const running = compiled.run({ w, x: [2] });
    const reading = w.read();
    device.context.gpu.device.destroy();
    const errors = await Promise.all(
      [running, reading, w.read(), compiled.run({ w, x: [2] })].map((work: Promise<unknown>) =>
        work.then(
          () => "it worked",
          (error: unknown) => error,
        ),
      ),
    );
    // What was on its way may have arrived.
    for (const error of errors.filter((outcome, i) => i > 1 || outcome !== "it worked")) {
      expect(error).toBeInstanceOf(DeviceLostError);
      expect(error).toMatchObject({ reason: "destroyed" });
    }
    const again = await open();
    const recompiled = await compile(grad(loss, "w"), { device: again, sizes: { batch: 1, in: 1, out: 1 } });
    expect([...(await (await recompiled.run({ w: [3], x: [2] })).read()).data]).toEqual([24]);
  });

  it("while the GPU works is the error of the read that waits, though the news of it comes later", async () => {
    const device = await open();
    const b = new PlanBuilder();
    const size = 1 << 18;
    const [x, t, y] = [b.input([size]), b.temporary([size]), b.output([size])];
    const steps = Array.from({ length: 100 }, () => [b.map(INCREMENT, [x, t]), b.map(INCREMENT, [t, y])]);
    const executable = await device.load(b.plan([y], ...steps.flat()));
    const [output] = await executable.run([device.upload(hostTensor("f32", [size], new Float32Array(size)))]);
    const reading = output?.read();
    setTimeout(() => device.context.gpu.device.destroy());
    await expect(reading).rejects.toBeInstanceOf(DeviceLostError);
  });
});

const target = await openWebGpu();
afterAll(() => target.dispose());
testContract(target, openWebGpu);
