/**
 * The GPU under a backend of TensorFlow.js: how much a tensor holds there, and whether it is still there. TensorFlow.js itself does not say
 * that a GPU is lost: reads of WebGL wait for ever, and kernels of WebGPU go on without a word, also where a tensor is too large.
 *
 * Consumed by `engine.ts`, which finds it for a backend, and by `tfjs-device.ts`. To support a backend: a case in {@link gpuOf}.
 */
import { formatType, sizeOf } from "../../dsl/program/program.ts";
import type { TensorType } from "../../dsl/program/program.ts";
import { DeviceLostError } from "../webgpu/errors.ts";

/** What is used of TensorFlow.js's WebGL backend. */
interface WebGlBackend {
  dispose(): void;
  readonly gpgpu: {
    readonly gl: {
      isContextLost(): boolean;
      readonly canvas: { addEventListener(event: "webglcontextlost", listener: () => void): void };
    };
  };
}

/** What is used of TensorFlow.js's WebGPU backend. */
interface WebGpuBackend {
  readonly device: {
    readonly lost: Promise<{ readonly reason: "destroyed" | "unknown"; readonly message: string }>;
    readonly limits: { readonly maxStorageBufferBindingSize: number; readonly maxBufferSize: number };
  };
}

/** TensorFlow.js, as far as it knows limits. */
export interface Settings {
  env(): { getNumber(flag: string): number };
}

/** Milliseconds from what a lost GPU breaks off to the news of its loss, which take tens of them. */
const NEWS_TAKES = 5000;

/** A texture has four numbers in each place, where all kernels pack them. */
const [CHANNELS, BYTES] = [4, 4];

const counted = (n: number): string => n.toLocaleString("en-US");

export class Gpu {
  /** The name of the device. */
  readonly #name: string;
  /** The most numbers of a tensor. */
  readonly #most: () => number;
  /** Whether it is gone, where that can be asked. */
  readonly #isGone: () => boolean;
  /** Forgets what TensorFlow.js remembers beyond the end of it. */
  readonly forget: () => void;
  #lost: DeviceLostError | undefined;
  readonly #waiting = new Set<(error: Error) => void>();

  constructor(name: string, most: () => number, isGone = () => false, forget = () => {}) {
    this.#name = name;
    this.#most = most;
    this.#isGone = isGone;
    this.forget = forget;
  }

  lose(reason: "destroyed" | "unknown", message: string): void {
    this.#lost ??= new DeviceLostError(reason, message, this.#name);
    for (const reject of this.#waiting) reject(this.#lost);
    this.#waiting.clear();
  }

  get lost(): boolean {
    if (this.#lost === undefined && this.#isGone()) this.lose("unknown", CONTEXT_LOST);
    return this.#lost !== undefined;
  }

  /** @throws DeviceLostError when it is gone */
  check(): void {
    if (this.lost) throw this.#lost as DeviceLostError; // as was just seen
  }

  /** What is read, unless the GPU is lost before. @throws DeviceLostError then */
  async until<T>(read: () => Promise<T>): Promise<T> {
    this.check();
    let stop: (error: Error) => void = () => undefined;
    const loss = new Promise<never>((_, reject) => (stop = reject));
    this.#waiting.add(stop);
    try {
      return await Promise.race([read(), loss]);
    } catch (error) {
      // A read that a lost GPU breaks off is told so before we are.
      if (!(error instanceof DeviceLostError))
        await Promise.race([loss, new Promise((resolve) => setTimeout(resolve, NEWS_TAKES))]);
      throw error;
    } finally {
      this.#waiting.delete(stop);
      // What was read of a context that is gone is nothing.
      this.check();
    }
  }

  /** @param what the tensor, for the message @throws Error when the GPU holds no tensor of this type */
  checkFits(type: TensorType, what: string): void {
    const [size, most] = [sizeOf(type.shape), this.#most()];
    if (size > most)
      throw new Error(
        `${what} is ${formatType(type)}, ${counted(size)} numbers, and a tensor of ${this.#name} has at most ` +
          `${counted(most)} on this GPU; make it smaller, or use another device.`,
      );
  }
}

const CONTEXT_LOST = "the page's WebGL context was lost";

/** Those that were asked for, by their backend. */
const known = new WeakMap<object, Gpu>();

/** The GPU under a backend that has started; undefined where there is none, or none that we know. */
export function gpuOf(tf: Settings, backend: unknown, name: string): Gpu | undefined {
  if (typeof backend !== "object" || backend === null) return undefined;
  const before = known.get(backend);
  if (before !== undefined) return before;
  const found = watch(tf, backend, name);
  if (found !== undefined) known.set(backend, found);
  return found;
}

function watch(tf: Settings, backend: object, name: string): Gpu | undefined {
  if (name === "webgl") {
    const mine = backend as WebGlBackend; // the backend of that name
    const { gl } = mine.gpgpu;
    const most = (): number => CHANNELS * tf.env().getNumber("WEBGL_MAX_TEXTURE_SIZE") ** 2;
    const isGone = (): boolean => gl.isContextLost();
    // Programs that were compiled for the context would be used in the next one.
    const gpu = new Gpu("tfjs:webgl", most, isGone, () => mine.dispose());
    gl.canvas.addEventListener("webglcontextlost", () => gpu.lose("unknown", CONTEXT_LOST));
    return gpu;
  }
  if (name === "webgpu") {
    const { device } = backend as WebGpuBackend; // the backend of that name
    const most = (): number => {
      const { maxStorageBufferBindingSize, maxBufferSize } = device.limits;
      return Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize) / BYTES);
    };
    const gpu = new Gpu("tfjs:webgpu", most);
    void device.lost.then(({ reason, message }) => gpu.lose(reason, message));
    return gpu;
  }
  return undefined;
}

/** What a kernel of WebGL says of a texture that is too large. */
const TEXTURE = /^Requested texture size \[(\d+)x(\d+)\] greater than WebGL maximum .*\[(\d+)x\d+\]/;

/** What made a run fail, in words that fit the language. */
export function explained(message: string): string {
  const [, width, height, most] = TEXTURE.exec(message) ?? [];
  if (width === undefined) return message;
  return (
    `a value on the way needs a texture of ${width} by ${height}, and those of this GPU have at most ${most} by ${most}; ` +
    "make its tensors smaller, or use another device."
  );
}
