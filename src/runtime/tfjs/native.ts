/**
 * TensorFlow.js on TensorFlow's own library: the packages tfjs-node (CPU) and tfjs-node-gpu (CUDA), looked for where the user's project
 * would find them, then beside Fluxion. They are optional, heavy and often hard to install, so each way to fail has a sentence.
 *
 * Consumed by `devices.ts`, which loads this file only for these two devices. Node only.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import util from "node:util";
import { withoutFusion } from "../../compiler/tfjs/targets.ts";
import { settle } from "../device.ts";
import { UserError } from "../files/errors.ts";
import { NATIVE_BACKEND, select } from "./engine.ts";
import type { NativeName, Tfjs } from "./engine.ts";
import { TfjsDevice } from "./tfjs-device.ts";

/** What is used of their backend; the same class in both packages. */
interface NativeBackend {
  readonly isGPUPackage: boolean;
  readonly isUsingGpuDevice: boolean;
  readonly binding: { readonly TF_Version: string };
}

/** The native backend, where one is registered. */
const nativeBackend = (tf: Tfjs): NativeBackend | null =>
  tf.engine().findBackend(NATIVE_BACKEND) as NativeBackend | null; // which class it is, the name says

const GUIDE = "see \"On TensorFlow's own library\" in docs/tfjs.md of Fluxion's repository";

type Require = ReturnType<typeof createRequire>;

/** A `require` that finds the package: of the project in the working directory, else of Fluxion. */
function finder(name: string): Require | undefined {
  for (const from of [join(process.cwd(), "package.json"), import.meta.url]) {
    const require = createRequire(from);
    try {
      require.resolve(name);
      return require;
    } catch {
      // The next place may have it.
    }
  }
  return undefined;
}

/** What the packages still call, and Node has had no more since version 23. */
function restoreRemoved(): void {
  const removed = util as unknown as Record<string, unknown>; // the types are of a Node that has them
  removed["isNullOrUndefined"] ??= (value: unknown) => value === null || value === undefined;
  removed["isArray"] ??= Array.isArray;
}

/** The switch of TensorFlow.js's warnings, on the engine that all its copies share. */
interface SharedEngine {
  readonly ENV: { getBool(flag: "PROD"): boolean; set(flag: "PROD", value: boolean): void };
}

/**
 * Does without warnings: where the project and Fluxion have a copy of TensorFlow.js each, the second registers every kernel again, which
 * does no harm, and says so of each.
 */
function quietly<T>(work: () => T): T {
  const env = (globalThis as { readonly _tfengine?: SharedEngine })._tfengine?.ENV; // where all copies look for it
  const before = env?.getBool("PROD") ?? false;
  env?.set("PROD", true);
  try {
    return work();
  } finally {
    env?.set("PROD", before);
  }
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n")[0]?.trim() ?? "";

/**
 * Loads the package, and with it TensorFlow's library. Its backend is registered, started and selected by that.
 * @param prepare is given TensorFlow.js as it is before that
 * @throws UserError when the package or its library is missing, the process has the other package's, or there is no CUDA device
 */
function loadNative(name: NativeName, prepare: (tf: Tfjs) => void): Tfjs {
  const [device, gpu] = [`tfjs:${name}`, name === "node-gpu"];
  const packageName = `@tensorflow/tfjs-${name}`;
  const require = finder(packageName);
  if (require === undefined)
    throw new UserError(
      `The ${device} device needs the package ${packageName}, which is not installed; install it with ` +
        `"npm install ${packageName}@4.22.0" (${GUIDE}), or use the device "cpu".`,
    );
  restoreRemoved();
  // The library keeps to itself what is no warning, unless it was told otherwise.
  process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "1";
  // Products of f32 are products of f32: without this, CUDA's libraries round their factors to 10 bits on newer GPUs.
  if (gpu) process.env["NVIDIA_TF32_OVERRIDE"] ??= "0";
  let tf: Tfjs;
  try {
    // The copy of TensorFlow.js that the package itself uses; its exports are the package's too.
    tf = quietly(() => createRequire(require.resolve(packageName))("@tensorflow/tfjs") as Tfjs);
    prepare(tf);
    const other = nativeBackend(tf)?.isGPUPackage;
    if (other === undefined || other === gpu) quietly(() => require(packageName) as unknown);
  } catch (error) {
    throw new UserError(
      `The ${device} device has the package ${packageName}, but TensorFlow's library did not load (${firstLine(error)}); ${GUIDE}, ` +
        'or use the device "cpu".',
      { cause: error },
    );
  }
  if (nativeBackend(tf)?.isGPUPackage !== gpu)
    throw new UserError(
      `The ${device} device cannot be used in this process, which has loaded TensorFlow's library from @tensorflow/tfjs-${gpu ? "node" : "node-gpu"}; ` +
        "open it in another process.",
    );
  if (gpu && nativeBackend(tf)?.isUsingGpuDevice !== true)
    throw new UserError(
      `The ${device} device finds no CUDA device: TensorFlow's library says why on standard error; ${GUIDE}, or use the device "tfjs:node".`,
    );
  return tf;
}

/** What a loaded package computes with, for people. */
function describeNative(tf: Tfjs): string {
  const backend = nativeBackend(tf);
  const where = backend?.isUsingGpuDevice === true ? "a CUDA device" : "the CPU";
  return `TensorFlow ${backend?.binding.TF_Version ?? "of an unknown version"} on ${where}`;
}

/** Opens the device of a package. @throws UserError as {@link loadNative} does */
export function openNative(name: NativeName): Promise<TfjsDevice> {
  return settle(() => {
    let before: string | null | undefined;
    const tf = loadNative(name, (core) => (before = core.engine().backendName));
    select(tf.engine(), before);
    // The package's fused product only calls the kernels for its parts.
    return new TfjsDevice({ tf, how: describeNative(tf) }, name, withoutFusion({}));
  });
}
