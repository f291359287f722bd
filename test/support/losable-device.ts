/**
 * The interpreter as a device that can be lost: at its n-th operation (an upload, a compilation, a run, a read), and from then on.
 * Values are rounded to their dtype between runs, as on other devices: what is read and uploaded again is the same.
 * Consumed by tests of what is done about that. Real devices are lost in the tests of WebGPU.
 */
import type { Device, DeviceValue } from "../../src/runtime/device.ts";
import { openInterpreter } from "../../src/runtime/interpreter-device.ts";
import { DeviceLostError } from "../../src/runtime/webgpu/errors.ts";

export interface LosableDevice extends Device {
  /** Number of operations so far. */
  readonly operations: () => number;
  lose(): void;
  readonly disposed: () => boolean;
}

/** @param operations how many it does before it is lost */
export function openLosable(operations = Infinity): LosableDevice {
  const inner = openInterpreter();
  // As with WebGPU, one error for all that comes after.
  let error: DeviceLostError | undefined;
  let [done, disposed] = [0, false];
  const lose = (): void => {
    error ??= new DeviceLostError("unknown", "The driver was reset.");
  };
  const operate = (): void => {
    if (done === operations) lose();
    if (error !== undefined) throw error;
    done++;
  };
  const losable = (value: DeviceValue): DeviceValue => {
    const read = value.read.bind(value);
    return Object.assign(value, {
      read: async () => {
        operate();
        return read();
      },
    });
  };
  return {
    name: "losable",
    describe: () => "an interpreter that can be lost",
    operations: () => done,
    disposed: () => disposed,
    lose,
    upload(tensor) {
      operate();
      return losable(inner.upload(tensor));
    },
    async compile(program, options) {
      operate();
      const executable = await inner.compile(program, options);
      const run = executable.run.bind(executable);
      return Object.assign(executable, {
        run: async (inputs: readonly DeviceValue[]) => {
          operate();
          const outputs = await Promise.all((await run(inputs)).map((output) => output.read()));
          return outputs.map((output) => losable(inner.upload(output)));
        },
      });
    },
    async dispose() {
      disposed = true;
      await inner.dispose();
    },
  };
}
