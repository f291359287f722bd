/** Into how many submits a run is cut. The work is claimed, not done, and the clock is a pretended one. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { Plan, Step } from "../../../src/compiler/kernel/plan.ts";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import type { WebGpuExecutable } from "../../../src/runtime/webgpu/executable.ts";
import { openNodeGpu } from "../../../src/runtime/webgpu/node.ts";
import { f32s, INCREMENT, PlanBuilder, SMALL } from "./plans.ts";

vi.setConfig({ testTimeout: 60_000 });

let device: WebGpuDevice;
beforeAll(async () => {
  device = new WebGpuDevice(await openNodeGpu({ limits: "minimum" }));
});
afterAll(() => device.dispose());
afterEach(() => vi.restoreAllMocks());

/** Milliseconds between the first submit of a run and its end. */
function pretend(milliseconds: number): void {
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => (now += milliseconds));
}

/** Adds 1 three times, with claims of so much work each. */
function threefold(claim: { readonly flops?: number; readonly bytes?: number }, looped = false): Plan {
  const builder = new PlanBuilder();
  const x = builder.input([2]);
  const [a, b, y] = [builder.temporary([2]), builder.temporary([2]), builder.output([2])];
  const flag = builder.temporary([1], "bool");
  const step = (from: number, to: number): Step => ({ ...builder.map(INCREMENT, [from, to]), ...claim });
  const steps = [step(x, a), step(a, b), step(b, y)];
  if (!looped) return builder.plan([y], ...steps);
  const branch: Step = { kind: "branch", flag, onTrue: steps, onFalse: [step(x, y)] };
  return builder.plan([y], builder.map(SMALL, [x, flag]), branch);
}

async function submitsOf(executable: WebGpuExecutable): Promise<number> {
  const submit = vi.spyOn(device.context.gpu.device.queue, "submit");
  const x = device.upload(f32s(1, 2));
  const [y] = await executable.run([x]);
  const submits = submit.mock.calls.length;
  submit.mockRestore();
  expect(await y?.read()).toEqual(f32s(4, 5));
  await device.context.gpu.device.queue.onSubmittedWorkDone(); // and the executable has heard of it before
  for (const value of [x, y]) value?.dispose();
  return submits;
}

describe("a run", () => {
  it("of little work is one submit", async () => {
    const executable = await device.load(threefold({}));
    expect(await submitsOf(executable)).toBe(1);
  });

  it.each([{ flops: 3e11 }, { bytes: 6e10 }])(
    "of much work is cut while it takes long: %o",
    async (claim) => {
      const executable = await device.load(threefold(claim));
      pretend(900);
      for (let run = 0; run < 3; run++) expect(await submitsOf(executable)).toBe(3);
    },
  );

  it.each([{ flops: 3e11 }, { bytes: 6e10 }])(
    "that took a short time becomes one submit: %o",
    async (claim) => {
      const executable = await device.load(threefold(claim));
      pretend(100);
      expect(await submitsOf(executable)).toBe(3);
      for (let run = 0; run < 3; run++) expect(await submitsOf(executable)).toBe(1);
    },
  );

  it("whose work depends on a flag is cut always, for another branch may take longer", async () => {
    const executable = await device.load(threefold({ flops: 3e11 }, true));
    pretend(100);
    for (let run = 0; run < 3; run++) expect(await submitsOf(executable)).toBe(5); // one reads the flag
  });
});
