/**
 * The libraries that Fluxion is compared with, on their WebAssembly backends, and Fluxion's own device with one thread per core
 * and with one thread. In Node both peers run on one thread: jax-js needs Web Workers for more, and tfjs switches threads off.
 *
 * Consumed by run.ts and the cases.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { defaultDevice, init } from "@jax-js/jax";
import * as tf from "@tensorflow/tfjs";
import { openCpu } from "../src/runtime/onnx/cpu-device.ts";
import type { CpuDevice } from "../src/runtime/onnx/cpu-device.ts";

export interface Peers {
  /** Our device with a thread per core. */
  readonly cpu: CpuDevice;
  /** Our device on one thread, as the peers have. */
  readonly single: CpuDevice;
}

/** Names of contenders, as tables show them. */
export const FLUXION = "fluxion";
export const FLUXION_SINGLE = "fluxion, 1 thread";
export const JAX = "jax-js wasm";
export const TFJS = "tfjs wasm";

/** Starts all of them. @throws Error when a backend does not start */
export async function startPeers(): Promise<Peers> {
  await import("@tensorflow/tfjs-backend-wasm");
  tf.enableProdMode();
  if (!(await tf.setBackend("wasm"))) throw new Error("tfjs did not start its wasm backend.");
  const devices = await init("wasm");
  if (!devices.includes("wasm")) throw new Error("jax-js did not start its wasm device.");
  defaultDevice("wasm");
  return { cpu: await openCpu(), single: await openCpu({ threads: 1 }) };
}

export async function stopPeers({ cpu, single }: Peers): Promise<void> {
  await cpu.dispose();
  await single.dispose();
}

const PACKAGES = [
  "onnxruntime-node",
  "@jax-js/jax",
  "@tensorflow/tfjs",
  "@tensorflow/tfjs-backend-wasm",
] as const;

/** Versions of the packages compared. */
export async function versions(): Promise<Readonly<Record<string, string>>> {
  const require = createRequire(import.meta.url);
  const entries = PACKAGES.map(async (name) => {
    // Not every package exports its package.json, so it is found from the entry's path.
    const entry = require.resolve(name);
    const root = entry.slice(0, entry.lastIndexOf(`node_modules/${name}`) + `node_modules/${name}`.length);
    const { version } = JSON.parse(await readFile(`${root}/package.json`, "utf8")) as {
      readonly version: string;
    };
    return [name, version] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
