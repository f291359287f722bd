/**
 * The devices by name. Consumed by the command line (`--device`, `fluxion devices`) and by whoever opens one.
 * To add a device: an entry in `DEVICES`; it is loaded only when it is opened or listed.
 */
import type { Device } from "./device.ts";
import { UserError } from "./files/errors.ts";

interface Entry {
  /** Opens the device. @throws UserError saying why it cannot be used here. */
  open(): Promise<Device>;
}

const DEVICES: Readonly<Record<string, Entry>> = {
  cpu: { open: async () => (await import("./onnx/cpu-device.ts")).openCpu() },
  interpreter: { open: async () => (await import("./interpreter-device.ts")).openInterpreter() },
  webgpu: {
    open: async () => {
      const [{ openWebGpu }, { dawnSource }, { loadTuned }] = await Promise.all([
        import("./webgpu/device.ts"),
        import("./webgpu/node.ts"),
        import("./webgpu/tune-file.ts"),
      ]);
      return openWebGpu({ tuned: await loadTuned() }, dawnSource);
    },
  },
};

/** In this order "auto" tries them. */
const PREFERRED = ["cpu", "interpreter"] as const;

export interface DeviceListing {
  readonly name: string;
  readonly available: boolean;
  /** What it is, or why it is not available. */
  readonly detail: string;
}

/**
 * Opens a device.
 * @param name "auto" for the fastest that works here, or a name from {@link listDevices}.
 * @throws UserError when there is no device of that name, or it cannot be used here.
 */
export async function openDevice(name = "auto"): Promise<Device> {
  if (name === "auto") {
    const failures: string[] = [];
    for (const candidate of PREFERRED) {
      try {
        return await openDevice(candidate);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        failures.push(error.message);
      }
    }
    throw new UserError(`No device can be used here. ${failures.join(" ")}`);
  }
  const entry = Object.hasOwn(DEVICES, name) ? DEVICES[name] : undefined;
  if (entry === undefined) {
    throw new UserError(
      `There is no device "${name}"; choose one of auto, ${Object.keys(DEVICES).join(", ")}.`,
    );
  }
  return entry.open();
}

/** All devices, with what they are or why they are not available here. */
export async function listDevices(): Promise<readonly DeviceListing[]> {
  const listings: DeviceListing[] = [];
  for (const name of Object.keys(DEVICES)) {
    try {
      const device = await openDevice(name);
      listings.push({ name, available: true, detail: device.describe() });
      await device.dispose();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      listings.push({ name, available: false, detail: error.message });
    }
  }
  return listings;
}
