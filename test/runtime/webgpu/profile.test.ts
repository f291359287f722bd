import { describe, expect, it, vi } from "vitest";
import { hostTensor, toNumbers } from "../../../src/compiler/host-tensor.ts";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { openNodeGpu } from "../../../src/runtime/webgpu/node.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";
import { f32s, INCREMENT, PlanBuilder } from "./plans.ts";

// A software adapter on a busy machine is slow.
vi.setConfig({ testTimeout: 60_000 });

const LONG = 1500;

/** A dispatch on many numbers, and two on one number in a loop: more than one set of timestamps holds. */
function plan() {
  const b = new PlanBuilder();
  const [x, many, a, t, y] = [
    b.input([1]),
    b.input([100_000]),
    b.temporary([1]),
    b.temporary([1]),
    b.output([1]),
  ];
  const result = b.output([100_000]);
  return b.plan(
    [y, result],
    b.map(INCREMENT, [many, result]),
    { kind: "copy", from: x, to: a },
    { kind: "loop", length: LONG, steps: [b.map(INCREMENT, [a, t]), b.map(INCREMENT, [t, a])] },
    { kind: "copy", from: a, to: y },
  );
}

describe("profiling", () => {
  it("times every dispatch, however often it runs", async () => {
    const gpu = await openNodeGpu({ limits: "minimum" });
    if (!gpu.features.has("timestamp-query")) {
      console.log(`Not tested: ${gpu.adapter.name} has no timestamps.`);
      expect(() => new WebGpuDevice(gpu, { profile: true })).toThrow(UserError);
      return;
    }
    const device = new WebGpuDevice(gpu, { profile: true });
    const executable = await device.load(plan());
    const [x, many] = [
      device.upload(f32s(1)),
      device.upload(hostTensor("f32", [100_000], new Float32Array(1e5))),
    ];
    expect(executable.timings().map(({ count, nanoseconds }) => [count, nanoseconds])).toEqual([[0, 0], [0, 0], [0, 0]]); // prettier-ignore
    for (let run = 1; run <= 2; run++) {
      const [y, result] = await executable.run([x, many]);
      expect(toNumbers((await y?.read()) ?? f32s())).toEqual([1 + 2 * LONG]);
      for (const value of [y, result]) value?.dispose();
      const timings = executable.timings();
      expect(timings.map(({ count }) => count)).toEqual([run, run * LONG, run * LONG]);
      expect(timings.map(({ dispatch }) => dispatch.kernel)).toEqual([INCREMENT, INCREMENT, INCREMENT]);
      for (const { nanoseconds } of timings) expect(nanoseconds).toBeGreaterThan(0);
    }
    const [large, small] = executable.timings().map(({ count, nanoseconds }) => nanoseconds / count / 1e3);
    console.log(`100,000 numbers: ${large?.toFixed(1)} µs; one number: ${small?.toFixed(1)} µs.`);
    for (const value of [x, many]) value.dispose();
    await executable.dispose();
    expect(device.memoryStats()).toMatchObject({ values: 0, plans: 0 });
    await device.dispose();
  });

  it("is refused where it is off, or the GPU has no timestamps", async () => {
    const gpu = await openNodeGpu({ features: [] });
    expect(() => new WebGpuDevice(gpu, { profile: true })).toThrow(
      `Kernels cannot be timed: ${gpu.adapter.name} has no timestamps.`,
    );
    const device = new WebGpuDevice(gpu);
    const executable = await device.load(plan());
    expect(() => executable.timings()).toThrow("webgpu: open the device with profile: true to time kernels.");
    await device.dispose();
  });
});
