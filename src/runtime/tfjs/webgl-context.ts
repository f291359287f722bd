/**
 * The WebGL context of a backend, which a browser takes away when the driver is reset. TensorFlow.js then waits for a fence that a lost
 * context never passes; here such a wait ends.
 *
 * Consumed by engine.ts, which makes it, and by tfjs-device.ts, for what it reads and runs.
 */
const LOST =
  "The tfjs:webgl device was lost: the browser took its WebGL context away, and its values are gone. Reload the page, and upload them from the host.";

/** A WebGL rendering context, as far as it is used; the types of pages are not those of this project. */
interface Gl {
  readonly canvas: { addEventListener(type: string, heard: () => void): void };
  isContextLost(): boolean;
}

/** One for each context, however many devices share it. */
const known = new WeakMap<Gl, WebGlContext>();

export class WebGlContext {
  readonly #gl: Gl;
  /** It stays lost when the browser gives it back: what was in it is gone. */
  #lost = false;
  readonly #waiting = new Set<() => void>();

  private constructor(gl: Gl) {
    this.#gl = gl;
    gl.canvas.addEventListener("webglcontextlost", () => {
      this.#lost = true;
      for (const end of this.#waiting) end();
    });
  }

  /** The context of a started backend, if it is one on WebGL. */
  static of(backend: unknown): WebGlContext | undefined {
    // As its class has it, which is not imported: the package is optional.
    const { gpgpu } = backend as { readonly gpgpu?: { readonly gl: Gl } };
    if (gpgpu === undefined) return undefined;
    const made = known.get(gpgpu.gl) ?? new WebGlContext(gpgpu.gl);
    known.set(gpgpu.gl, made);
    return made;
  }

  /** @throws Error when it is lost */
  check(): void {
    // The event comes some time after the loss.
    if (this.#lost || this.#gl.isContextLost()) throw new Error(LOST);
  }

  /** What `work` gives. @throws Error when the context is lost before */
  async until<T>(work: () => Promise<T>): Promise<T> {
    this.check();
    let end = (): void => undefined;
    const loss = new Promise<never>((_, reject) => {
      end = () => reject(new Error(LOST));
    });
    this.#waiting.add(end);
    try {
      return await Promise.race([work(), loss]);
    } finally {
      this.#waiting.delete(end);
    }
  }
}
