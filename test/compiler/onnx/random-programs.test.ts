/** Random programs on the cpu device against the interpreter. */
import fc from "fast-check";
import { afterAll, describe, it } from "vitest";
import { openCpu } from "../../../src/runtime/onnx/cpu-device.ts";
import { deviation } from "../../support/on-device.ts";
import { EXACT_OPS } from "../../support/op-cases.ts";
import { arbitraryRun } from "../../support/random-program.ts";
import type { RandomProgramOptions } from "../../support/random-program.ts";

const device = await openCpu({ threads: 1 });
afterAll(() => device.dispose());

async function agrees(options: RandomProgramOptions, tolerance: number, numRuns: number): Promise<void> {
  const property = fc.asyncProperty(arbitraryRun(options), async ({ program, inputs }) => {
    const found = await deviation(device, program, inputs, tolerance);
    if (found !== undefined) throw new Error(found);
  });
  await fc.assert(property, { numRuns });
}

describe("random programs on the cpu device", () => {
  it("agree with the interpreter in f32", () => agrees({ bounded: true, floatOnly: true }, 1e-3, 150));
  it("agree with nested loops", () => agrees({ bounded: true, floatOnly: true, nesting: 2 }, 1e-3, 80));
  it("agree with f16 among them", () => agrees({ bounded: true }, 5e-2, 150));
  it("agree on special values and whole words", () => agrees({ ops: EXACT_OPS, nesting: 1 }, 1e-3, 200));
});
