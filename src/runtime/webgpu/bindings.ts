/**
 * The bind groups of a dispatch. Temporaries and constants are the same at every run; inputs and outputs change, but in a training
 * step they alternate between few blocks. So a dispatch keeps a few groups, by the blocks that are bound.
 *
 * Consumed by executables.
 */
import type { BufferId } from "../../compiler/kernel/plan.ts";
import type { Block } from "./memory.ts";

/** Groups that a dispatch keeps; the one that was not used the longest goes first. */
const KEPT = 8;

interface Entry {
  readonly blocks: readonly Block[];
  readonly group: GPUBindGroup;
}

/** A buffer of a plan as a dispatch binds it. */
export interface Bound {
  readonly id: BufferId;
  /** The first byte that is bound, and how many bytes the kernel may touch. */
  readonly offset: number;
  readonly bytes: number;
  /** Whether it is another block at other runs. */
  readonly varies: boolean;
}

export class Bindings {
  readonly #device: GPUDevice;
  readonly #layout: GPUBindGroupLayout;
  readonly #bound: readonly Bound[];
  readonly #varying: readonly BufferId[];
  /** The one that was used last is the last. */
  readonly #entries: Entry[] = [];

  constructor(device: GPUDevice, layout: GPUBindGroupLayout, bound: readonly Bound[]) {
    this.#device = device;
    this.#layout = layout;
    this.#bound = bound;
    this.#varying = bound.filter(({ varies }) => varies).map(({ id }) => id);
  }

  /** Number of groups that are kept. */
  get size(): number {
    return this.#entries.length;
  }

  /** @param blocks the block of each buffer of the plan in this run */
  group(blocks: readonly (Block | undefined)[]): GPUBindGroup {
    const entries = this.#entries;
    for (let at = entries.length - 1; at >= 0; at--) {
      const entry = entries[at] as Entry; // within the list
      if (!this.#varying.every((id, i) => entry.blocks[i] === blocks[id])) continue;
      if (at < entries.length - 1) entries.push(...entries.splice(at, 1));
      return entry.group;
    }
    const group = this.#device.createBindGroup({
      layout: this.#layout,
      entries: this.#bound.map(({ id, offset, bytes }, binding) => ({
        binding,
        resource: { buffer: (blocks[id] as Block).buffer, offset, size: bytes }, // every buffer that is bound has a block
      })),
    });
    if (entries.length === KEPT) entries.shift();
    entries.push({ blocks: this.#varying.map((id) => blocks[id] as Block), group });
    return group;
  }

  /** Drops the groups that bind a block. */
  forget(block: Block): void {
    for (let at = this.#entries.length - 1; at >= 0; at--)
      if (this.#entries[at]?.blocks.includes(block)) this.#entries.splice(at, 1);
  }
}
