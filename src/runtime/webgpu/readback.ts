/**
 * Copies of GPU storage on the host. Reads that are asked for together share a buffer and a submit; the buffers that are mapped are
 * kept for the next reads.
 *
 * Consumed by values, and by executables for the flags that the host decides on.
 */
import { BufferUsage, MapMode } from "./constants.ts";
import type { Failures } from "./failures.ts";
import type { Block, Memory, Storage } from "./memory.ts";

interface Request {
  readonly storage: Pick<Storage, "block" | "release">;
  readonly bytes: number;
  readonly resolve: (bytes: ArrayBuffer) => void;
  readonly reject: (error: unknown) => void;
}

/** Reads that are copied into one mapped buffer, one after the other. */
interface Group {
  readonly requests: Request[];
  bytes: number;
}

/** Up to this many bytes reads share a buffer. Beyond, the wait for the last would delay the first. */
const GROUP_BYTES = 1 << 20;
/** Idle buffers up to this many bytes are kept. */
const KEPT_BYTES = 1 << 24;

export class Readback {
  readonly #device: GPUDevice;
  readonly #memory: Memory;
  readonly #failures: Failures;
  #asked: Request[] = [];
  readonly #idle: Block[] = [];
  #bytes = 0;

  constructor(device: GPUDevice, memory: Memory, failures: Failures) {
    this.#device = device;
    this.#memory = memory;
    this.#failures = failures;
  }

  /** Bytes of the buffers for reading, used and idle. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The first `bytes` bytes, a multiple of 4, as they are now. Takes over one use of the storage. */
  read(storage: Request["storage"], bytes: number): Promise<ArrayBuffer> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ storage, bytes, resolve, reject });
      if (this.#asked.length === 1) queueMicrotask(() => this.#submit());
    });
  }

  #submit(): void {
    const asked = this.#asked;
    this.#asked = [];
    const groups: Group[] = [];
    for (const request of asked) {
      let group = groups.at(-1);
      if (group === undefined || group.bytes + request.bytes > GROUP_BYTES)
        groups.push((group = { requests: [], bytes: 0 }));
      group.requests.push(request);
      group.bytes += request.bytes;
    }
    const scope = this.#failures.open("a read");
    try {
      const encoder = this.#device.createCommandEncoder();
      const staged = groups.map((group) => ({ ...group, block: this.#take(group.bytes) }));
      for (const { requests, block } of staged) {
        let at = 0;
        for (const { storage, bytes } of requests) {
          encoder.copyBufferToBuffer(storage.block.buffer, 0, block.buffer, at, bytes);
          at += bytes;
        }
      }
      this.#device.queue.submit([encoder.finish()]);
      const outcome = scope.close("expected");
      for (const { requests, block } of staged) void this.#map(requests, block, outcome);
    } catch (error) {
      void scope.close("expected");
      for (const { reject } of asked) reject(error);
    } finally {
      for (const { storage } of asked) storage.release();
    }
  }

  async #map(
    requests: readonly Request[],
    block: Block,
    submitted: Promise<Error | undefined>,
  ): Promise<void> {
    let failure: Error | undefined;
    try {
      const mapped = block.buffer.mapAsync(MapMode.READ).then(
        () => undefined,
        (error: unknown) => ({ error }),
      );
      // The reason of a failed submit says more than that of the failed map. And what made the values may turn out to have failed.
      const [submit, refusal] = await this.#failures.until(Promise.all([submitted, mapped]));
      failure = submit;
      await this.#failures.known();
      if (failure !== undefined) throw failure;
      if (refusal !== undefined) throw refusal.error;
      const range = block.buffer.getMappedRange();
      let at = 0;
      for (const { bytes, resolve } of requests) {
        resolve(range.slice(at, at + bytes));
        at += bytes;
      }
      block.buffer.unmap();
      this.#keep(block);
    } catch (error) {
      this.#drop(block);
      // Nothing here unmaps a buffer that is being read, so what refuses one without a failure is most likely a lost device.
      const reason = error === failure ? error : await this.#failures.reasonOf(error);
      for (const { reject } of requests) reject(reason);
    }
  }

  #take(bytes: number): Block {
    // Small ones in powers of two: one loss and a batch of losses need the same few buffers.
    const size = bytes > GROUP_BYTES ? bytes : 2 ** Math.ceil(Math.log2(Math.max(bytes, 256)));
    const at = this.#idle.findIndex((block) => block.bytes === size);
    if (at >= 0) return this.#idle.splice(at, 1)[0] as Block; // it was found there
    this.#bytes += size;
    return this.#memory.allocate(size, BufferUsage.MAP_READ | BufferUsage.COPY_DST, "readback");
  }

  #keep(block: Block): void {
    this.#idle.push(block);
    let bytes = this.#idle.reduce((sum, { bytes }) => sum + bytes, 0);
    while (bytes > KEPT_BYTES) {
      const oldest = this.#idle.shift() as Block; // there are bytes, so there is a block
      bytes -= oldest.bytes;
      this.#drop(oldest);
    }
  }

  #drop(block: Block): void {
    this.#bytes -= block.bytes;
    this.#memory.destroy(block);
  }

  /** Destroys the idle buffers. */
  clear(): void {
    for (const block of this.#idle.splice(0)) this.#drop(block);
  }
}
