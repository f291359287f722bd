/** Times of an explained plan: one for each dispatch, of all its runs in one run of the plan. */
import { expect, it, vi } from "vitest";
import { explain } from "../../../src/compiler/explain/explain.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { medianOfRuns, timeExplained } from "../../../src/runtime/webgpu/explain.ts";
import type { TimedExplanation, TimeOptions, TimingProgress } from "../../../src/runtime/webgpu/explain.ts";
import { openNodeGpu } from "../../../src/runtime/webgpu/node.ts";
import { f32s, INCREMENT, PlanBuilder } from "./plans.ts";

// A software adapter on a busy machine is slow.
vi.setConfig({ testTimeout: 60_000 });

it("takes the median of what runs add", () => {
  expect(medianOfRuns([100, 107, 109, 112])).toBe(3);
  expect(medianOfRuns([100, 107, 109])).toBe(4.5);
  expect(medianOfRuns([100])).toBe(0);
});

it("times every dispatch, in loops too, and leaves nothing behind", async () => {
  const b = new PlanBuilder();
  const [x, a, t, y, none] = [b.input([4]), b.temporary([4]), b.temporary([4]), b.output([4]), b.output([0])];
  const plan = b.plan(
    [y, none],
    b.map(INCREMENT, [x, a]),
    { kind: "loop", length: 50, steps: [b.map(INCREMENT, [a, t]), b.map(INCREMENT, [t, a])] },
    b.map(INCREMENT, [a, y]),
    { ...b.map(INCREMENT, [a, none]), workgroups: 0 },
  );
  const bytes = (): number => 16;
  const explanation = explain(plan, { print: ({ name }) => name, dataBytes: bytes, heldBytes: bytes });

  const gpu = await openNodeGpu({ limits: "minimum" });
  if (!gpu.features.has("timestamp-query")) {
    console.log(`Not tested: ${gpu.adapter.name} has no timestamps.`);
    expect(() => new WebGpuDevice(gpu, { profile: true })).toThrow(UserError);
    return;
  }
  // One whose other programs are not timed, and which has compiled the kernels before.
  const device = new WebGpuDevice(gpu);
  await (await device.load(plan)).dispose();
  const compiled = vi.spyOn(gpu.device, "createComputePipeline");
  const told: TimingProgress[] = [];
  const time = (options: Partial<TimeOptions>, inputs = [f32s(1, 2, 3, 4)]): Promise<TimedExplanation> =>
    timeExplained(device, { plan, explanation }, inputs, { runs: 3, name: "the plan", ...options });
  const { explanation: timed, runs } = await time({ onProgress: (progress) => told.push(progress) });
  expect(runs).toBe(3);
  expect(compiled).not.toHaveBeenCalled();
  expect(told).toEqual([
    { stage: "compiling", done: 0, total: 1 },
    ...[0, 1, 2, 3].map((done) => ({ stage: "timing", done, total: 4 })),
  ]);
  const times = timed.dispatches.map(({ nanoseconds }) => nanoseconds ?? NaN);
  expect(times).toHaveLength(5);
  for (const time of times.slice(0, 4)) expect(time).toBeGreaterThan(0);
  expect(times[4]).toBe(0); // it never runs
  expect(timed.totals.nanoseconds).toBe(times.reduce((sum, time) => sum + time, 0));
  expect(timed).toMatchObject({ pipelines: explanation.pipelines, memory: explanation.memory });

  // Where there is time for one run only, it counts.
  const short = await time({ within: 0 });
  expect(short.runs).toBe(1);
  expect(short.explanation.dispatches[0]?.nanoseconds).toBeGreaterThan(0);

  const stopped = new Error("stopped");
  const controller = new AbortController();
  const onProgress = ({ done }: TimingProgress): void => {
    if (done === 2) controller.abort(stopped);
  };
  await expect(time({ signal: controller.signal, onProgress })).rejects.toBe(stopped);
  await expect(time({ runs: 1 }, [f32s(1)])).rejects.toThrow("the plan: input 0 is f32[1], expected f32[4].");
  expect(device.memoryStats()).toMatchObject({ values: 0, plans: 0 });
  await device.dispose();
});
