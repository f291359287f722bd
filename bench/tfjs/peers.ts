/**
 * All that take part on tfjs: Fluxion on every device on TensorFlow.js that can be opened here, in Node or in a browser, beside its own devices for the CPU and for
 * WebGPU. Nobody else takes part. For `tfjs:node`, `NODE_PATH` or the working directory has to lead to the package.
 *
 * Consumed by run.ts, its test and through `Peers` by the case `flm-devices`. A new device on TensorFlow.js comes by itself.
 */
import { listDevices, openDevice } from "../../src/runtime/devices.ts";
import type { Engine, Peers } from "../peers.ts";
import { startBrowserPeers } from "./browser.ts";

const nothing = async (): Promise<void> => undefined;

/** @throws Error when the device cpu does not open */
export async function startTfjsPeers(): Promise<Peers> {
  const absent = new Map<string, string>();
  const ours: Engine[] = [];
  const browser = await startBrowserPeers();
  const named = new Set([...browser.engines.map(({ name }) => name), ...browser.absent.keys()]);
  for (const [name, error] of browser.absent) absent.set(name, error);
  for (const { name, available, detail } of await listDevices()) {
    if (name !== "cpu" && name !== "webgpu" && !name.startsWith("tfjs:")) continue;
    if (named.has(name)) continue;
    if (available) ours.push({ name, device: await openDevice(name), finished: nothing });
    else absent.set(name, detail);
  }
  return {
    target: "tfjs",
    ours,
    inBrowser: browser.engines,
    engines: [],
    jax: "jax-js",
    tfjs: { name: "tfjs by itself", finished: nothing },
    absent,
    stop: async () => {
      await browser.stop();
      for (const { device } of ours) await device.dispose();
    },
  };
}
