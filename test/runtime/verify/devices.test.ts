/** Verify in single precision, on a GPU and on the CPU: a variant of the project, and tokens with times of their own, whose α comes to 0. */
import { describe, expect, it } from "vitest";
import { flow } from "../../../src/models/flow/flow.ts";
import { linear } from "../../../src/models/flow/interpolant.ts";
import { blockCausal, positioned } from "../../../src/models/flow/schedule.ts";
import { flm } from "../../../src/models/language/variants/flm.ts";
import type { Device } from "../../../src/runtime/device.ts";
import { openDevice } from "../../../src/runtime/devices.ts";
import { verifyFlow } from "../../../src/runtime/verify/verify.ts";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { openTestGpu } from "../../support/webgpu.ts";

const devices: readonly (readonly [string, () => Promise<Device>])[] = [
  ["cpu", () => openDevice("cpu")],
  ["webgpu", async () => new WebGpuDevice(await openTestGpu())],
];
const blocks = flow({
  name: "blocks",
  interpolant: positioned(linear, blockCausal({ blocks: 2 }), { length: 4 }),
});

describe.each(devices)("on %s", (name, open) => {
  it("correct flows raise no alarm, and the device agrees with the interpreter", async () => {
    const device = await open();
    for (const variant of [flm(27), blocks]) {
      const report = await verifyFlow(variant, {
        device,
        cases: 4,
        families: ["interpolant", "flow", "loss"],
      });
      expect(report.results.filter(({ passed }) => !passed)).toEqual([]);
      expect(report.device).toBe(name);
      expect(report.results.at(-1)?.name).toBe("device agreement");
    }
    await device.dispose();
  });
});
