import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { openCpu } from "../../../src/runtime/onnx/cpu-device.ts";
import { deviation } from "../../support/on-device.ts";
import { arbitraryRun } from "../../support/random-program.ts";

const device = await openCpu({ threads: 1 });
afterAll(() => device.dispose());

describe("random programs on the cpu device", () => {
  it("agree with the interpreter", async () => {
    const property = fc.asyncProperty(arbitraryRun({ bounded: true, floatOnly: true }), async ({ program, inputs }) => {
      expect(await deviation(device, program, inputs, 1e-3)).toBeUndefined();
    });
    await fc.assert(property, { numRuns: Number(process.env.RUNS ?? 150) });
  });
});
