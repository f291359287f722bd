/**
 * Random programs as WGSL against the interpreter: fused and unfused; and run after run alike.
 *
 * Consumed by the tests of the device in Node and in a browser, so nothing of Node is imported here.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toExact, toStorage } from "../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../src/compiler/host-tensor.ts";
import { interpret } from "../../src/compiler/interpret/interpret.ts";
import { schedule } from "../../src/compiler/schedule/schedule.ts";
import { OPS } from "../../src/dsl/ops/index.ts";
import type { OpKind, Program } from "../../src/dsl/program/program.ts";
import type { DeviceValue } from "../../src/runtime/device.ts";
import type { WebGpuDevice } from "../../src/runtime/webgpu/device.ts";
import { difference } from "./programs.ts";
import { anyDonation, arbitraryRun, positionsOf } from "./random-program.ts";
import type { RandomProgramOptions } from "./random-program.ts";

const NONE = Symbol();

/** Runs the program three times on the device, each time on the same. @returns what differs from the interpreter, or between the runs */
async function problem(
  device: WebGpuDevice,
  program: Program,
  inputs: readonly HostTensor[],
  { fusion, donated }: { readonly fusion: boolean; readonly donated: readonly number[] },
  tolerance: number,
): Promise<string | undefined> {
  const plan = schedule(program, { limits: device.limits, fusion, donated });
  const executable = await device.load(plan, { donate: donated });
  const upload = (input: HostTensor): DeviceValue => device.upload(toStorage(input));
  const values = inputs.map(upload);
  const expected = interpret(program, inputs.map(toStorage)).map((tensor) => toExact(toStorage(tensor)));
  let first: readonly HostTensor[] | typeof NONE = NONE;
  try {
    for (let run = 0; run < 3; run++) {
      values.forEach((value, i) => {
        if (value.disposed) values[i] = upload(inputs[i] as HostTensor); // one for each
      });
      const outputs = await executable.run(values);
      const actual = await Promise.all(outputs.map((output) => output.read()));
      for (const output of outputs) output.dispose();
      const found = difference(actual.map(toExact), expected, tolerance);
      if (found !== undefined) return `run ${run}: ${found}`;
      if (first === NONE) first = actual;
      else expect(actual).toEqual(first);
    }
  } finally {
    for (const value of values) value.dispose();
    await executable.dispose();
  }
  return undefined;
}

const ALL = Object.keys(OPS) as OpKind[];
/** Ops that compute with integers and bools only. */
const MOVES: readonly OpKind[] = [
  "constant", "iota", "and", "or", "xor", "not", "shiftLeft", "shiftRight", "threefry", "broadcast", "reshape", "transpose", "slice",
  "pad", "concat", "gather", "scan", "cond", "while", "remat",
]; // prettier-ignore
const FLOAT: RandomProgramOptions = { bounded: true, floatOnly: true, ops: ALL };
const CASES: readonly (readonly [name: string, options: RandomProgramOptions, tolerance: number])[] = [
  ["in f32", FLOAT, 1e-3],
  ["in f32, large", { ...FLOAT, minEquations: 12, maxEquations: 30, nesting: 0 }, 1e-3],
  ["with nested loops", { ...FLOAT, nesting: 2 }, 1e-3],
  ["with f16 among them", { bounded: true, ops: ALL }, 5e-2],
  ["on whole words", { ops: MOVES, nesting: 1, movesFloats: true }, 0],
];

/** Declares the tests. @param runs random programs in each of them */
export function testRandomPrograms(device: WebGpuDevice, runs: number): void {
  describe.each([
    ["fused", true],
    ["unfused", false],
  ])("random programs, %s", (_name, fusion) => {
    it.each(CASES)(
      "agree with the interpreter %s",
      async (_name, options, tolerance) => {
        const property = fc.asyncProperty(
          arbitraryRun(options),
          anyDonation,
          async ({ program, inputs }, donation) => {
            const donated = positionsOf(donation, inputs.length);
            const found = await problem(device, program, inputs, { fusion, donated }, tolerance);
            if (found !== undefined) throw new Error(found);
          },
        );
        await fc.assert(property, { numRuns: runs });
      },
      600_000,
    );
  });
}
