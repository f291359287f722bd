/**
 * TensorFlow.js as far as it is used: its one engine, backends by name, and tensors. The package is loaded when the first device of this
 * kind is opened; it is an optional peer, so its types are written down here and not imported.
 *
 * Consumed by the other files of this folder. To support a backend: an entry in `REGISTERED`, its description, and how it is
 * loaded.
 */
import { UserError } from "../files/errors.ts";

export type TfArray = Float32Array | Int32Array | Uint8Array;

/** A tensor of TensorFlow.js. */
export interface TfTensor {
  readonly shape: readonly number[];
  readonly dtype: string;
  data(): Promise<TfArray>;
  dataSync(): TfArray;
  dispose(): void;
}

/** The engine that all copies of TensorFlow.js in a process share. */
export interface TfEngine {
  /** The selected backend; none before the first is, and after it was removed. */
  readonly backendName: string | null | undefined;
  runKernel(name: string, inputs: unknown, attributes: unknown): TfTensor;
  makeTensor(values: TfArray, shape: readonly number[], dtype: string): TfTensor;
  setBackend(name: string): Promise<boolean>;
  findBackend(name: string): unknown;
}

/** The module. */
export interface Tfjs {
  readonly version_core: string;
  engine(): TfEngine;
  tidy(work: () => void): void;
  keep(tensor: TfTensor): TfTensor;
  getKernel(name: string, backend: string): unknown;
}

/** Backends on TensorFlow's own library: `native.ts` loads them. */
export type NativeName = "node" | "node-gpu";

/** Backends that run in Node. */
export type BackendName = "cpu" | "wasm" | NativeName;

/** The names by which TensorFlow.js knows them. Both native packages register the same, so a process can have one of them. */
const REGISTERED: Readonly<Record<BackendName, string>> = {
  cpu: "cpu",
  wasm: "wasm",
  node: "tensorflow",
  "node-gpu": "tensorflow",
};

export const registeredName = (name: BackendName): string => REGISTERED[name];

/** What is used of the native packages' backend; the same class in both. */
export interface NativeBackend {
  readonly isGPUPackage: boolean;
  readonly isUsingGpuDevice: boolean;
  readonly binding: { readonly TF_Version: string };
}

/** The native backend, where one is registered. */
export const nativeBackend = (tf: Tfjs): NativeBackend | null =>
  tf.engine().findBackend(REGISTERED.node) as NativeBackend | null; // which class it is, the name says

/** What a started backend computes with, for people. */
export function describeBackend(tf: Tfjs, name: BackendName): string {
  if (name === "cpu") return "JavaScript on one thread";
  if (name === "wasm") return "WebAssembly on one thread";
  const backend = nativeBackend(tf);
  const where = backend?.isUsingGpuDevice === true ? "a CUDA device" : "the CPU";
  return `TensorFlow ${backend?.binding.TF_Version ?? "of an unknown version"} on ${where}`;
}

const CORE = "@tensorflow/tfjs";
const WASM = "@tensorflow/tfjs-backend-wasm";

async function load<T>(device: string, packages: string, module: () => Promise<unknown>): Promise<T> {
  try {
    return (await module()) as T; // the module's own types are an optional peer's
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).split("\n")[0];
    throw new UserError(
      `The ${device} device needs TensorFlow.js, and it did not load (${reason}); install it with ` +
        `"npm install ${packages}", or use the device "cpu".`,
      { cause: error },
    );
  }
}

/** Loads TensorFlow.js with a backend and starts it. @throws UserError when a package is missing or the backend does not start */
export async function loadBackend(name: Exclude<BackendName, NativeName>): Promise<Tfjs> {
  const device = `tfjs:${name}`;
  const tf = await load<Tfjs>(
    device,
    name === "wasm" ? `${CORE} ${WASM}` : CORE,
    () => import("@tensorflow/tfjs"),
  );
  if (name === "wasm") await load(device, `${CORE} ${WASM}`, () => import("@tensorflow/tfjs-backend-wasm"));
  const engine = tf.engine();
  const before = engine.backendName;
  let started = false;
  let reason = "";
  try {
    started = await engine.setBackend(name);
  } catch (error) {
    reason = ` (${error instanceof Error ? error.message : String(error)})`;
  }
  // The first use of the cpu backend in Node prints an advertisement for another package.
  const backend = engine.findBackend(name) as { firstUse?: boolean } | null; // a field that its class does not hide
  if (backend !== null && name === "cpu") backend.firstUse = false;
  if (isNamed(before) && before !== name) await engine.setBackend(before);
  if (!started) throw new UserError(`The ${device} device did not start${reason}; use the device "cpu".`);
  return tf;
}

/**
 * Does work with a backend selected. The selection is one for the whole process, so the one before is put back, if there was one.
 * The work is synchronous: nobody else comes in between.
 */
export function withBackend<T>(tf: Tfjs, name: BackendName, work: () => T): T {
  const engine = tf.engine();
  const before = engine.backendName;
  select(engine, registeredName(name));
  try {
    return work();
  } finally {
    if (isNamed(before)) select(engine, before);
  }
}

export const isNamed = (backend: string | null | undefined): backend is string => typeof backend === "string";

/** Selecting a backend that has started takes effect at once; the promise is for those that have not. */
export function select(engine: TfEngine, name: string): void {
  if (engine.backendName !== name) void engine.setBackend(name);
}
