/** Random programs on the backends of TensorFlow.js against the interpreter; none leaves a tensor behind. */
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EXACT_OPS } from "../../support/op-cases.ts";
import { deviation } from "../../support/on-device.ts";
import { arbitraryRun } from "../../support/random-program.ts";
import type { RandomProgramOptions } from "../../support/random-program.ts";
import { forBackend, tfjsDevices } from "../../support/tfjs-devices.ts";

describe.each(tfjsDevices)("random programs on %s", (_name, device, backend) => {
  const agrees = async (options: RandomProgramOptions, tolerance: number, numRuns: number): Promise<void> => {
    const before = tf.memory();
    const property = fc.asyncProperty(arbitraryRun(options), async ({ program, inputs }) => {
      const found = await deviation(device, program, forBackend(backend, inputs), tolerance);
      if (found !== undefined) throw new Error(found);
      expect(tf.memory()).toEqual(before);
    });
    await fc.assert(property, { numRuns });
  };

  it("agree with the interpreter in f32", () => agrees({ bounded: true, floatOnly: true }, 1e-3, 150));
  it("agree with nested loops", () => agrees({ bounded: true, floatOnly: true, nesting: 2 }, 1e-3, 80));
  it("agree with f16 among them", () => agrees({ bounded: true }, 5e-2, 150));
  it("agree on special values and whole words", () => agrees({ ops: EXACT_OPS, nesting: 1 }, 1e-3, 200));
});
