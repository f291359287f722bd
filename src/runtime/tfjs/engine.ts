/**
 * TensorFlow.js as far as it is used: its one engine, backends by name, and tensors. The package is loaded when the first device of this
 * kind is opened; it is an optional peer, so its types are written down here and not imported.
 *
 * Consumed by the other files of this folder. To support a backend of a page: its name in `PageBackendName` and an entry in
 * `BACKENDS`. Safe in a browser.
 */
import { UserError } from "../files/errors.ts";
import { gpuOf } from "./gpu.ts";
import type { Gpu, Settings } from "./gpu.ts";

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
  backendName: string | null | undefined;
  /** The object of the selected backend; null until it has started. */
  backendInstance: unknown;
  /** While this is there, the selected backend is starting, and kernels refuse to run. */
  pendingBackendInit: Promise<boolean> | null | undefined;
  runKernel(name: string, inputs: unknown, attributes: unknown): TfTensor;
  makeTensor(values: TfArray, shape: readonly number[], dtype: string, backend?: unknown): TfTensor;
  makeTensorFromTensorInfo(info: unknown, backend: unknown): TfTensor;
  /** A backend, started at once if it can be. */
  findBackend(name: string): unknown;
  setBackend(name: string): Promise<boolean>;
  /** Backends that have started. */
  readonly registry: Record<string, unknown>;
  /** What makes each backend that is registered. */
  readonly registryFactory: Readonly<Record<string, { factory(): unknown }>>;
}

/** The module. */
export interface Tfjs extends Settings {
  readonly version_core: string;
  engine(): TfEngine;
  tidy(work: () => void): void;
  keep(tensor: TfTensor): TfTensor;
  getKernel(name: string, backend: string): Kernel | undefined;
  registerBackend(name: string, factory: () => unknown, priority?: number): boolean;
}

interface Kernel {
  kernelFunc(call: { readonly inputs: unknown; readonly attrs: unknown; readonly backend: unknown }): unknown;
}

/** The kernels of the cpu backend, callable while another is selected: to select is to go through the list of all kernels. */
export class CpuKernels {
  readonly #tf: Tfjs;

  constructor(tf: Tfjs) {
    this.#tf = tf;
  }

  call(kernel: string, inputs: unknown, attributes: unknown): TfTensor {
    const backend = this.#backend();
    const found = this.#tf.getKernel(kernel, "cpu");
    if (found === undefined) throw new Error(`TensorFlow.js has no kernel ${kernel} on its cpu backend`);
    const info = found.kernelFunc({ inputs, attrs: attributes, backend });
    return this.#tf.engine().makeTensorFromTensorInfo(info, backend);
  }

  make(values: TfArray, shape: readonly number[], dtype: string): TfTensor {
    return this.#tf.engine().makeTensor(values, shape, dtype, this.#backend());
  }

  #backend(): unknown {
    return this.#tf.engine().findBackend("cpu");
  }
}

/** Backends that a page can have; all but "webgl" run in Node too, "webgpu" by `dawn.ts`. */
export type PageBackendName = "cpu" | "wasm" | "webgl" | "webgpu";

/** Backends on TensorFlow's own library: `native.ts` loads them. */
export type NativeName = "node" | "node-gpu";

/** Backends that Fluxion runs on. */
export type BackendName = PageBackendName | NativeName;

/** By this name both native packages register their backend, so a process can have one of them. */
export const NATIVE_BACKEND = "tensorflow";

/** The name by which TensorFlow.js knows a backend. */
export const registeredName = (name: BackendName): string =>
  name === "node" || name === "node-gpu" ? NATIVE_BACKEND : name;

/** TensorFlow.js with a started backend. */
export interface Loaded {
  readonly tf: Tfjs;
  /** What computes, for people. */
  readonly how: string;
  /** Values are read asynchronously, so runs pause where the host must see one. */
  readonly asynchronous?: true;
  /** What may be lost, or too small for a tensor. */
  readonly gpu?: Gpu | undefined;
}

/** How TensorFlow.js is found and set up. */
export interface TfjsOptions {
  /**
   * The module of TensorFlow.js, where a page has it already: `@tensorflow/tfjs`, or `@tensorflow/tfjs-core` with the backend imported.
   * Default: `@tensorflow/tfjs` is imported.
   */
  readonly tf?: unknown;
  /**
   * Where the .wasm files of `@tensorflow/tfjs-backend-wasm` are: the URL of their folder, or a URL for each file name. A page must say
   * it, unless they lie beside its script; in Node they are found.
   */
  readonly wasmPaths?: string | Readonly<Record<string, string>>;
  /** A product, its bias and an activation are one call where the backend has it. Default true; false is for comparisons. */
  readonly fusion?: boolean;
}

/** Where a backend does not find by itself what it runs on. */
export interface Host {
  /** Registers the backend of a package's module. */
  register(tf: Tfjs, module: unknown): void;
  /** What computes, once the backend has started; undefined where it is what it always is. */
  how(): string | undefined;
  /** What to open when it does not start. */
  readonly instead: string;
}

interface Backend {
  /** What it is, in `describe()`. */
  readonly how: string;
  /** Packages that are installed beside `@tensorflow/tfjs`. */
  readonly packages?: string;
  /** Loads the package that registers the backend. Default: `@tensorflow/tfjs` does. */
  readonly load?: () => Promise<unknown>;
  /** What to open when it does not start. */
  readonly instead: string;
  readonly asynchronous?: true;
}

// Bundlers leave a package out that is not installed where its import may fail, which they see by the catch.
const rethrow = (error: unknown): never => {
  throw error;
};
const CORE = "@tensorflow/tfjs";
const core = (): Promise<unknown> => import("@tensorflow/tfjs").catch(rethrow);

const BACKENDS: { readonly [N in PageBackendName]: Backend } = {
  cpu: { how: "JavaScript on one thread", instead: "cpu" },
  wasm: {
    how: "WebAssembly on one thread",
    packages: "@tensorflow/tfjs-backend-wasm",
    load: () => import("@tensorflow/tfjs-backend-wasm").catch(rethrow),
    instead: "cpu",
  },
  webgl: { how: "WebGL", instead: "tfjs:wasm", asynchronous: true },
  webgpu: {
    how: "WebGPU",
    packages: "@tensorflow/tfjs-backend-webgpu",
    load: () => import("@tensorflow/tfjs-backend-webgpu").catch(rethrow),
    instead: "webgpu",
    asynchronous: true,
  },
};

export const BACKEND_NAMES: readonly string[] = Object.keys(BACKENDS);

async function load<T>(name: PageBackendName, module: () => Promise<unknown>): Promise<T> {
  try {
    return (await module()) as T; // the module's own types are an optional peer's
  } catch (error) {
    const { packages, instead } = BACKENDS[name];
    const install = [CORE, packages].filter(Boolean).join(" ");
    throw new UserError(
      `The tfjs:${name} device needs TensorFlow.js, and it did not load (${reasonOf(error)}); install it with ` +
        `"npm install ${install}", or use the device "${instead}".`,
      { cause: error },
    );
  }
}

const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n")[0] as string; // split gives at least one

/** What is used of the wasm backend's module. */
interface WasmModule {
  setWasmPaths(paths: string | Readonly<Record<string, string>>): void;
}

/** Backends are started one after the other, so that none is started twice. */
let starting: Promise<unknown> = Promise.resolve();

/**
 * Loads TensorFlow.js with a backend and starts it.
 * @throws UserError when a package is missing or the backend does not start
 */
export function loadBackend(name: PageBackendName, options: TfjsOptions = {}, host?: Host): Promise<Loaded> {
  const mine = starting.then(() => start(name, options, host));
  starting = mine.catch(() => {});
  return mine;
}

async function start(name: PageBackendName, options: TfjsOptions, host: Host | undefined): Promise<Loaded> {
  const { load: module, how, instead, asynchronous } = BACKENDS[name];
  const tf = (options.tf ?? (await load(name, core))) as Tfjs; // the user's is the same module
  const registering = module === undefined ? undefined : await load(name, module);
  const engine = tf.engine();
  host?.register(tf, registering);
  // Files are fetched once, when the backend starts.
  if (name === "wasm" && options.wasmPaths !== undefined && !(name in engine.registry))
    (registering as WasmModule).setWasmPaths(options.wasmPaths); // the module of that backend
  // A page that brings TensorFlow.js itself may have one backend only.
  if (asynchronous && !("cpu" in engine.registryFactory))
    throw new UserError(
      `The tfjs:${name} device computes integers on TensorFlow.js's backend "cpu", which is not registered: ` +
        'import "@tensorflow/tfjs-backend-cpu" too.',
    );
  try {
    await startBackend(tf, name);
  } catch (error) {
    throw new UserError(
      `The tfjs:${name} device did not start (${reasonOf(error)}); ${advice(name, host?.instead ?? instead)}.`,
      { cause: error },
    );
  }
  // The first use of the cpu backend in Node prints an advertisement for another package.
  const backend = engine.registry[name] as { firstUse?: boolean } | undefined; // a field that its class does not hide
  if (backend !== undefined && name === "cpu") backend.firstUse = false;
  if (!isNamed(engine.backendName)) select(engine, name);
  return {
    tf,
    how: host?.how() ?? how,
    ...(asynchronous && { asynchronous }),
    gpu: gpuOf(tf, backend, name),
  };
}

/**
 * Starts a backend without selecting it. While TensorFlow.js itself starts one, nobody can compute, and whoever selects another one
 * meanwhile makes the start fail. One whose GPU was lost is started anew; TensorFlow.js would keep it.
 */
async function startBackend(tf: Tfjs, name: string): Promise<void> {
  const engine = tf.engine();
  const before = engine.registry[name];
  const gpu = gpuOf(tf, before, name);
  if (before !== undefined && gpu?.lost !== true) return;
  const entry = engine.registryFactory[name];
  if (entry === undefined) throw new Error(`no backend ${name} is registered here`);
  gpu?.forget();
  const backend = await entry.factory();
  // The user may have started it meanwhile, and have tensors there.
  if (engine.registry[name] !== undefined && engine.registry[name] !== before) return;
  engine.registry[name] = backend;
  if (engine.backendInstance === before && engine.backendName === name) engine.backendInstance = backend;
}

/** What helps when a backend does not start. */
const advice = (name: PageBackendName, instead: string): string =>
  name === "wasm"
    ? `in a page, give openTfjs the folder of its .wasm files as wasmPaths; or use the device "${instead}"`
    : `use the device "${instead}"`;

/**
 * Does work with a backend selected. The selection is one for the whole process, so the one before is put back, if there was one; also
 * one of the user's that is still starting, whose start goes on. The work is synchronous: nobody else comes in between.
 */
export function withBackend<T>(tf: Tfjs, name: BackendName, work: () => T): T {
  const engine = tf.engine();
  const { backendName: before, pendingBackendInit: pending } = engine;
  engine.pendingBackendInit = null;
  select(engine, registeredName(name));
  try {
    return work();
  } finally {
    if (pending) {
      // To select it once more would start it once more, and make the first start fail.
      engine.backendName = before;
      engine.backendInstance = null;
      engine.pendingBackendInit = pending;
    } else select(engine, before);
  }
}

const isNamed = (backend: string | null | undefined): backend is string => typeof backend === "string";

/** Selecting a backend that has started takes effect at once; the promise is for those that have not. */
export function select(engine: TfEngine, name: string | null | undefined): void {
  if (isNamed(name) && engine.backendName !== name) void engine.setBackend(name);
}
