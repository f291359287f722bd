/**
 * Storage of tensors in host memory: byte buffers with counted references, kept for reuse by size. A training
 * step whose state is donated alternates between two buffers per tensor and allocates nothing.
 *
 * Consumed by `cpu-device.ts`.
 */
import { Counted } from "../values.ts";

/** A buffer of a pool, which gets it back when nobody uses it any more. */
export class Storage extends Counted {
  readonly buffer: ArrayBuffer;
  readonly #pool: StoragePool;

  constructor(buffer: ArrayBuffer, pool: StoragePool) {
    super();
    this.buffer = buffer;
    this.#pool = pool;
  }

  protected free(): void {
    this.#pool.recycle(this.buffer);
  }
}

/** Buffers that nobody uses, by size. Holds at most as many bytes as were ever in use at once. */
export class StoragePool {
  readonly #idle = new Map<number, ArrayBuffer[]>();
  #idleBytes = 0;
  #usedBytes = 0;
  #peakBytes = 0;

  /** A buffer of `bytes` bytes, its content undefined, with one user. @throws RangeError when there is no memory for it */
  take(bytes: number): Storage {
    const found = this.#idle.get(bytes)?.pop();
    if (found !== undefined) this.#idleBytes -= bytes;
    const storage = new Storage(found ?? new ArrayBuffer(bytes), this);
    this.#usedBytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes);
    return storage;
  }

  recycle(buffer: ArrayBuffer): void {
    this.#usedBytes -= buffer.byteLength;
    if (this.#idleBytes + buffer.byteLength > this.#peakBytes) return;
    this.#idleBytes += buffer.byteLength;
    const idle = this.#idle.get(buffer.byteLength);
    if (idle === undefined) this.#idle.set(buffer.byteLength, [buffer]);
    else idle.push(buffer);
  }

  /** Bytes in use and bytes kept for reuse. */
  get usage(): { readonly used: number; readonly idle: number } {
    return { used: this.#usedBytes, idle: this.#idleBytes };
  }

  clear(): void {
    this.#idle.clear();
    this.#idleBytes = 0;
  }
}
