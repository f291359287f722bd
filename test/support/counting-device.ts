/** The interpreter as a device that knows what lies on it. Consumed by tests of what is left on a device. */
import type { Device, DeviceValue, Executable } from "../../src/runtime/device.ts";
import { openInterpreter } from "../../src/runtime/interpreter-device.ts";

export interface CountingDevice extends Device {
  /** Values and executables that nobody disposed of. */
  readonly left: () => { readonly values: number; readonly executables: number };
}

export function openCounting(): CountingDevice {
  const inner = openInterpreter();
  let values: DeviceValue[] = [];
  const executables = new Set<Executable>();
  const counted = (value: DeviceValue): DeviceValue => {
    values.push(value);
    return value;
  };
  return {
    name: inner.name,
    describe: () => inner.describe(),
    upload: (tensor) => counted(inner.upload(tensor)),
    async compile(program, options) {
      const executable = await inner.compile(program, options);
      const run = executable.run.bind(executable);
      const dispose = executable.dispose.bind(executable);
      executables.add(executable);
      return Object.assign(executable, {
        run: async (inputs: readonly DeviceValue[]) => (await run(inputs)).map(counted),
        dispose() {
          executables.delete(executable);
          return dispose();
        },
      });
    },
    dispose: () => inner.dispose(),
    left() {
      values = values.filter(({ disposed }) => !disposed);
      return { values: values.length, executables: executables.size };
    },
  };
}
