/**
 * Who takes part: Fluxion on a target, and the libraries that it is compared with. On the cpu those run on WebAssembly, and Fluxion
 * with a thread per core and with one: in Node the peers have one, since jax-js needs Web Workers for more, and tfjs switches threads
 * off. On webgpu all use one adapter, see webgpu/peers.ts. On tfjs it is Fluxion alone, on
 * several devices, see tfjs/peers.ts.
 *
 * Consumed by run.ts and the cases. To add an engine that runs our programs: a `Device` for it, an entry in `engines`.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { defaultDevice, init } from "@jax-js/jax";
import * as tf from "@tensorflow/tfjs";
import type { Device } from "../src/runtime/device.ts";
import { openCpu } from "../src/runtime/onnx/cpu-device.ts";
import type { WebGpuDevice } from "../src/runtime/webgpu/device.ts";
import type { Gpu } from "../src/runtime/webgpu/gpu.ts";
import type { Ratio } from "./case.ts";
import { FLUXION } from "./fluxion.ts";
import type { InBrowser } from "./tfjs/browser.ts";

export type Target = "cpu" | "webgpu" | "tfjs";

/** Something that runs our programs. */
export interface Engine {
  readonly name: string;
  readonly device: Device;
  /** Waits until all that it was asked for is done, where a run does not. */
  finished(): Promise<void>;
}

export interface Peers {
  readonly target: Target;
  /** Fluxion's devices. Aims are about the first. */
  readonly ours: readonly Engine[];
  /** Others' engines, which are given our programs in a form of theirs. */
  readonly engines: readonly Engine[];
  /** Fluxion's devices in pages of a browser, after those of `ours`. */
  readonly inBrowser?: readonly InBrowser[];
  /** The name of jax-js on this target. It waits by itself, with `blockUntilReady`. */
  readonly jax: string;
  readonly tfjs: Pick<Engine, "name" | "finished">;
  /** Where there is one. */
  readonly gpu?: {
    readonly gpu: Gpu;
    /** The first of ours. */
    readonly device: WebGpuDevice;
    readonly count: CountCalls;
    /** Milliseconds that `work` spends in submits. */
    submitMs(work: () => Promise<void>): Promise<number>;
  };
  /** Who does not take part in anything, and why. */
  readonly absent: ReadonlyMap<string, string>;
  stop(): Promise<void>;
}

/** Calls to a GPU. */
export interface Calls {
  readonly dispatches: number;
  /** All submits, and those that have kernels in them; the others copy, to read back for instance. */
  readonly submits: number;
  readonly submitsWithKernels: number;
}

/** Counts the calls of JavaScript to the GPU while `work` runs: those of engines in native code are not seen. */
export type CountCalls = (work: () => Promise<void>) => Promise<Calls>;

const nothing = async (): Promise<void> => undefined;

/** Starts all that take part on the cpu. @throws Error when a backend does not start */
export async function startCpuPeers(): Promise<Peers> {
  await import("@tensorflow/tfjs-backend-wasm");
  tf.enableProdMode();
  if (!(await tf.setBackend("wasm"))) throw new Error("tfjs did not start its wasm backend.");
  const devices = await init("wasm");
  if (!devices.includes("wasm")) throw new Error("jax-js did not start its wasm device.");
  defaultDevice("wasm");
  const [cpu, single] = [await openCpu(), await openCpu({ threads: 1 })];
  return {
    target: "cpu",
    ours: [
      { name: FLUXION, device: cpu, finished: nothing },
      { name: `${FLUXION}, 1 thread`, device: single, finished: nothing },
    ],
    engines: [],
    jax: "jax-js wasm",
    tfjs: { name: "tfjs wasm", finished: nothing },
    absent: new Map(),
    stop: async () => {
      await cpu.dispose();
      await single.dispose();
    },
  };
}

/** Names of all but ours. */
export const rivals = ({ engines, jax, tfjs }: Peers): readonly string[] => [
  ...engines.map(({ name }) => name),
  jax,
  tfjs.name,
];

/**
 * Each of ours over each other contender.
 * @param aim what the first of ours is to reach against one of the others, if anything
 */
export const ratiosOf = (
  peers: Peers,
  aim: (rival: string) => number | undefined = () => undefined,
): readonly Ratio[] =>
  rivals(peers).flatMap((to) =>
    peers.ours.map(({ name: of }, i) => {
      const wanted = i === 0 ? aim(to) : undefined;
      return { of, to, ...(wanted === undefined ? {} : { aim: wanted }) };
    }),
  );

/** What others' code is compared with: the first of ours. */
export function first({ ours }: Peers): Engine {
  const [engine] = ours;
  if (engine === undefined) throw new Error("Fluxion itself does not take part.");
  return engine;
}

const PACKAGES = {
  cpu: ["onnxruntime-node", "@jax-js/jax", "@tensorflow/tfjs", "@tensorflow/tfjs-backend-wasm"],
  webgpu: [
    "webgpu",
    "onnxruntime-node",
    "@jax-js/jax",
    "@tensorflow/tfjs",
    "@tensorflow/tfjs-backend-webgpu",
  ],
  tfjs: ["onnxruntime-node", "webgpu", "@tensorflow/tfjs", "@tensorflow/tfjs-backend-wasm"],
} as const satisfies Record<Target, readonly string[]>;

/** Versions of the packages that a target compares. */
export async function versions(target: Target): Promise<Readonly<Record<string, string>>> {
  const { resolve } = createRequire(import.meta.url);
  const entries = PACKAGES[target].map(async (name) => {
    // Not every package exports its package.json, so it is found from the entry's path.
    const entry = resolve(name);
    const root = entry.slice(0, entry.lastIndexOf(`node_modules/${name}`) + `node_modules/${name}`.length);
    const { version } = JSON.parse(await readFile(`${root}/package.json`, "utf8")) as {
      readonly version: string;
    };
    return [name, version] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
