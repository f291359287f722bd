/**
 * Runs programs on a device and compares with the interpreter. Consumed by the tests of targets and devices.
 */
import { toExact, toStorage } from "../../src/compiler/host-tensor.ts";
import type { ExactTensor, HostTensor } from "../../src/compiler/host-tensor.ts";
import { interpret } from "../../src/compiler/interpret/interpret.ts";
import type { Program } from "../../src/dsl/program/program.ts";
import type { Device } from "../../src/runtime/device.ts";
import { difference } from "./programs.ts";

/** Compiles, runs once and reads all outputs. */
export async function runOn(
  device: Device,
  program: Program,
  inputs: readonly HostTensor[],
): Promise<HostTensor[]> {
  const executable = await device.compile(program);
  const given = inputs.map((input) => device.upload(input));
  const outputs = await executable.run(given);
  const results = await Promise.all(outputs.map((output) => output.read()));
  for (const value of [...given, ...outputs]) value.dispose();
  await executable.dispose();
  return results;
}

/** Zeros without their sign, which targets need not keep. */
const unsigned = (tensor: ExactTensor): ExactTensor =>
  tensor.data instanceof Float64Array
    ? { ...tensor, data: tensor.data.map((x) => (x === 0 ? 0 : x)) }
    : tensor;

/**
 * What differs between a device and the interpreter on a program, up to `tolerance`·(1 + |expected|);
 * undefined: nothing.
 */
export async function deviation(
  device: Device,
  program: Program,
  inputs: readonly HostTensor[],
  tolerance: number,
): Promise<string | undefined> {
  const actual = (await runOn(device, program, inputs)).map(toExact);
  // The interpreter's doubles as the device stores them: what overflows f16 is infinite, what f32 flushes is
  // zero.
  const expected = interpret(program, inputs.map(toStorage)).map((tensor) => toExact(toStorage(tensor)));
  return difference(actual.map(unsigned), expected.map(unsigned), tolerance);
}
