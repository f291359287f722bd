/**
 * The devices by name. Consumed by the command line (`--device`, `fluxion devices`) and by whoever opens one.
 * To add a device: an entry in `DEVICES`; it is loaded only when it is opened or listed.
 */
import type { Device } from "./device.ts";
import { UserError } from "./files/errors.ts";
import { disableTelemetry } from "./onnx/telemetry.ts";

disableTelemetry();

interface Entry {
  /** Opens the device. @throws UserError saying why it cannot be used here. */
  open(): Promise<Device>;
  /** Opens it only to ask what it is. Default: `open`. */
  list?(): Promise<Device>;
  /** Opens it for whoever leaves the choice to us; undefined where others are better. Default: `open`. */
  prefer?(): Promise<Device | undefined>;
}

const chosenGpu = () => import("./webgpu/choose.ts");
const tfjs = () => import("./tfjs/open.ts");
const dawn = () => import("./tfjs/dawn.ts");
const native = () => import("./tfjs/native.ts");

/** A backend of TensorFlow.js that does not run in Node. */
const notHere = (why: string): Entry => ({ open: () => Promise.reject(new UserError(why)) });

const DEVICES = {
  cpu: { open: async () => (await import("./onnx/cpu-device.ts")).openCpu() },
  interpreter: { open: async () => (await import("./interpreter-device.ts")).openInterpreter() },
  webgpu: {
    open: async () => (await chosenGpu()).openAsked(),
    list: async () => (await chosenGpu()).openUnchecked(),
    prefer: async () => (await chosenGpu()).openForAuto(),
  },
  "webgpu-minimum": {
    open: async () => (await chosenGpu()).openUnchecked({ limits: "minimum" }),
  },
  "tfjs:cpu": { open: async () => (await tfjs()).openTfjs("cpu") },
  "tfjs:wasm": { open: async () => (await tfjs()).openTfjs("wasm") },
  "tfjs:webgl": notHere(
    'The tfjs:webgl device needs a browser, where openTfjs("webgl") of fluxion/tfjs opens it; use the device "tfjs:wasm".',
  ),
  "tfjs:webgpu": {
    open: async () => (await dawn()).openTfjsOnDawn(),
    list: async () => (await dawn()).listTfjsOnDawn(),
  },
  "tfjs:node": { open: async () => (await native()).openNative("node") },
  "tfjs:node-gpu": { open: async () => (await native()).openNative("node-gpu") },
} as const satisfies Readonly<Record<string, Entry>>;

const entries: ReadonlyMap<string, Entry> = new Map(Object.entries(DEVICES));

/** In this order "auto" tries them. */
const PREFERRED: readonly Entry[] = [DEVICES.webgpu, DEVICES.cpu, DEVICES.interpreter];

export interface DeviceListing {
  readonly name: string;
  readonly available: boolean;
  /** What it is, or why it is not available. */
  readonly detail: string;
}

/**
 * Opens a device.
 *
 * "auto" is `webgpu` where there is a GPU, else `cpu`, else `interpreter`. A GPU is checked when it is used for the first time, with a few
 * small programs against the interpreter. If one is wrong, that is said on standard error: "auto" then goes on to the next device,
 * and "webgpu" goes on all the same. A software adapter is opened for "webgpu" alone; `describe()` says that it is one. "webgpu-minimum" is
 * "webgpu" held to what every adapter offers, so what runs on it runs on any; it is not checked.
 * @param name "auto", or a name from {@link listDevices}.
 * @throws UserError when there is no device of that name, or it cannot be used here.
 */
export async function openDevice(name = "auto"): Promise<Device> {
  if (name === "auto") {
    const failures: string[] = [];
    for (const entry of PREFERRED) {
      try {
        const device = await (entry.prefer ?? entry.open)();
        if (device !== undefined) return device;
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        failures.push(error.message);
      }
    }
    throw new UserError(`No device can be used here. ${failures.join(" ")}`);
  }
  const entry = entries.get(name);
  if (entry === undefined) {
    throw new UserError(
      `There is no device "${name}"; choose one of auto, ${[...entries.keys()].join(", ")}.`,
    );
  }
  return entry.open();
}

/** All devices, with what they are or why they are not available here. */
export async function listDevices(): Promise<readonly DeviceListing[]> {
  const listings: DeviceListing[] = [];
  for (const [name, { open, list = open }] of entries) {
    try {
      const device = await list();
      listings.push({ name, available: true, detail: device.describe() });
      await device.dispose();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      listings.push({ name, available: false, detail: error.message });
    }
  }
  return listings;
}
