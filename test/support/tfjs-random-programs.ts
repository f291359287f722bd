/**
 * Random programs on a backend of TensorFlow.js against the interpreter; none leaves a tensor behind.
 *
 * Consumed by the tests of the devices in Node and in a browser, so nothing of Node is imported here.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { ExactTensor } from "../../src/compiler/host-tensor.ts";
import type { Device } from "../../src/runtime/device.ts";
import { EXACT_OPS } from "./op-cases.ts";
import { deviation } from "./on-device.ts";
import { arbitraryRun } from "./random-program.ts";
import type { RandomProgramOptions } from "./random-program.ts";
import { memoryOf } from "./tfjs-memory.ts";
import type { Memory } from "./tfjs-memory.ts";

/** Products of smaller numbers may be subnormal in float32. */
const LEAST = 1e-30;

/** Where a subnormal number may be taken for 0, those that are one, or become one in a product, are made 0. */
const flushed = (tensor: ExactTensor): ExactTensor =>
  tensor.data instanceof Float64Array
    ? { ...tensor, data: tensor.data.map((x) => (Math.abs(x) < LEAST ? 0 : x)) }
    : tensor;

/**
 * Declares the tests.
 * @param share which part of the programs that are tried in Node
 * @param flushes whether the device may take a subnormal number for 0; then inputs have none
 */
export function testRandomPrograms(
  device: Device,
  tf: Memory,
  { share = 1, flushes = false }: { readonly share?: number; readonly flushes?: boolean } = {},
): void {
  const agrees = async (options: RandomProgramOptions, tolerance: number, runs: number): Promise<void> => {
    const before = memoryOf(tf);
    const property = fc.asyncProperty(arbitraryRun(options), async ({ program, inputs }) => {
      const given = flushes ? inputs.map(flushed) : inputs;
      const found = await deviation(device, program, given, tolerance);
      if (found !== undefined) throw new Error(found);
      expect(memoryOf(tf)).toEqual(before);
    });
    await fc.assert(property, { numRuns: Math.ceil(runs * share) });
  };

  it("agree with the interpreter in f32", () => agrees({ bounded: true, floatOnly: true }, 1e-3, 150));
  it("agree with nested loops", () => agrees({ bounded: true, floatOnly: true, nesting: 2 }, 1e-3, 80));
  it("agree with f16 among them", () => agrees({ bounded: true }, 5e-2, 150));
  it("agree on special values and whole words", () => agrees({ ops: EXACT_OPS, nesting: 1 }, 1e-3, 200));
}
