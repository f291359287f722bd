/**
 * GPU memory: blocks that are kept for reuse by size, and storage, which counts who uses a block. A training step whose state is
 * donated overwrites it, or alternates between the same blocks, and allocates nothing.
 *
 * Consumed by values, executables and readback. Blocks can be reused as soon as the work that uses them is submitted: what comes
 * after it in the queue waits for it.
 */
import { Counted } from "../values.ts";
import { BufferUsage } from "./constants.ts";

/** A GPU buffer. */
export interface Block {
  readonly buffer: GPUBuffer;
  readonly bytes: number;
}

/** The uses that all tensors' buffers have. */
export const TENSOR_USAGE = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;

/** All buffers of a device: makes and destroys them, and knows how many bytes they take. */
export class Memory {
  readonly #device: GPUDevice;
  #bytes = 0;
  #peak = 0;
  readonly #watchers = new Set<(block: Block) => void>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get peak(): number {
    return this.#peak;
  }

  allocate(bytes: number, usage: number, label: string): Block {
    const buffer = this.#device.createBuffer({ size: bytes, usage, label });
    this.#bytes += bytes;
    this.#peak = Math.max(this.#peak, this.#bytes);
    return { buffer, bytes };
  }

  destroy(block: Block): void {
    for (const forget of this.#watchers) forget(block);
    block.buffer.destroy();
    this.#bytes -= block.bytes;
  }

  /** Calls `forget` with each block that is destroyed, until the returned function is called. */
  watch(forget: (block: Block) => void): () => void {
    this.#watchers.add(forget);
    return () => this.#watchers.delete(forget);
  }
}

/** A block of a pool, which gets it back when nobody uses it any more. */
export class Storage extends Counted {
  readonly block: Block;
  readonly #pool: BlockPool;
  #failure: Error | undefined;

  constructor(block: Block, pool: BlockPool) {
    super();
    this.block = block;
    this.#pool = pool;
  }

  protected free(): void {
    this.#pool.recycle(this.block, this.#failure === undefined);
  }

  /** Says that what made or wrote this failed: it is not used again. */
  fail(error: Error): void {
    this.#failure = error;
    if (this.users === 0) this.#pool.discard(this.block);
  }

  /** @throws Error when what made or wrote it failed */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** Waits for the verdict on what makes or writes some storage, which may be an error. */
export async function failWith(
  outcome: Promise<Error | undefined>,
  storages: Iterable<Storage>,
): Promise<void> {
  const error = await outcome;
  if (error !== undefined) for (const storage of storages) storage.fail(error);
}

/** Every block is a multiple of this, so that any element type and any vector of them fits whole. */
const GRAIN = 256;

/** The size of block for a number of bytes: at most one part in 16 is lost, above 4 kB. */
export function blockBytes(bytes: number, maximum: number): number {
  const step = Math.max(GRAIN, 2 ** (Math.floor(Math.log2(Math.max(1, bytes))) - 4));
  return Math.max(bytes, Math.min(maximum, Math.max(step, Math.ceil(bytes / step) * step)));
}

/** Blocks for tensors. Holds idle ones only as far as all together are not more than were ever in use at once. */
export class BlockPool {
  readonly #memory: Memory;
  readonly #maximum: number;
  readonly #idle = new Map<number, Block[]>();
  /** Where each idle block is in its list. */
  readonly #places = new Map<Block, number>();
  #idleBytes = 0;
  #usedBytes = 0;
  #peakBytes = 0;

  /** @param maximum bytes of the largest buffer that the device makes */
  constructor(memory: Memory, maximum: number) {
    this.#memory = memory;
    this.#maximum = maximum;
  }

  /** Bytes in use and bytes kept for reuse. */
  get usage(): { readonly used: number; readonly idle: number } {
    return { used: this.#usedBytes, idle: this.#idleBytes };
  }

  /**
   * A block of at least `bytes` bytes, its content undefined, with one user.
   * @param preferred if one of these is idle and fits, it is taken
   */
  take(bytes: number, preferred: readonly Block[] = []): Storage {
    const size = blockBytes(bytes, this.#maximum);
    const fitting = preferred.find((block) => block.bytes === size && this.#places.has(block));
    const found = fitting ?? this.#idle.get(size)?.at(-1);
    if (found !== undefined) this.#leave(found);
    this.#usedBytes += size;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes);
    this.#shrink(this.#peakBytes);
    return new Storage(found ?? this.#memory.allocate(size, TENSOR_USAGE, "tensor"), this);
  }

  /** @param sound false for a block that may not hold what it should: it is not used again */
  recycle(block: Block, sound: boolean): void {
    this.#usedBytes -= block.bytes;
    if (!sound) return this.#memory.destroy(block);
    const idle = this.#idle.get(block.bytes) ?? [];
    this.#idle.set(block.bytes, idle);
    this.#places.set(block, idle.push(block) - 1);
    this.#idleBytes += block.bytes;
    this.#shrink(this.#peakBytes);
  }

  /** Destroys a block if it is idle. */
  discard(block: Block): void {
    if (this.#leave(block)) this.#memory.destroy(block);
  }

  /** Destroys all idle blocks. */
  clear(): void {
    this.#shrink(0);
  }

  /** Takes a block out of its list, if it is idle. The last of the list goes into its place. */
  #leave(block: Block): boolean {
    const place = this.#places.get(block);
    if (place === undefined) return false;
    const idle = this.#idle.get(block.bytes) as Block[]; // it is in there
    const last = idle.pop() as Block;
    this.#places.delete(block);
    if (last !== block) {
      idle[place] = last;
      this.#places.set(last, place);
    }
    this.#idleBytes -= block.bytes;
    return true;
  }

  /** Destroys idle blocks until all together are not more than `bound`: first the sizes that came up first. */
  #shrink(bound: number): void {
    for (const idle of this.#idle.values()) {
      while (this.#usedBytes + this.#idleBytes > bound) {
        const [block] = idle;
        if (block === undefined) break;
        this.discard(block);
      }
    }
  }
}
