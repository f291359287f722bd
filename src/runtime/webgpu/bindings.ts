/**
 * The bind groups of a dispatch: its buffers and its parameters. Temporaries and constants are the same at every run; inputs and outputs
 * change, but in a training step they alternate between few blocks. So a dispatch keeps groups for a few choices of blocks, and in each
 * of them one for every entry of parameters that it was recorded with. A dynamic offset, or a group for parameters alone, would need
 * fewer groups; but in Node each call of a pass costs about as much as the dispatch, and an offset several times that.
 *
 * Consumed by executables.
 */
import type { BufferId } from "../../compiler/kernel/plan.ts";
import type { Block } from "./memory.ts";
import type { ParamPlace } from "./params.ts";

/** Choices of blocks that a dispatch keeps groups for; the one that was not used the longest goes first. */
const KEPT = 8;
/**
 * Groups that it keeps in all, each of some kilobytes. A loop of more iterations makes those of the rest again at each run: the first
 * ones stay, since of a list that is gone through in order, the latest are never the next.
 */
const MOST_GROUPS = 2048;

interface Entry {
  readonly blocks: readonly Block[];
  /** The group without parameters, or the one that was used last. */
  group: GPUBindGroup | undefined;
  /** Where the parameters of that group are. */
  place: number;
  /** When it was used last, in calls. */
  used: number;
  /** By where the parameters are, where there is more than one place. */
  readonly groups: Map<number, GPUBindGroup>;
}

/** A place as a number: those in tables are not negative. */
const numberOf = (place: ParamPlace | undefined): number =>
  place === undefined ? 0 : place.streamed ? -1 - place.offset : place.offset;

/** The uniform buffers that parameters are in, and how many bytes of them a dispatch binds. */
export interface ParamBuffers {
  readonly bytes: number;
  readonly tables: GPUBuffer | undefined;
  readonly stream: GPUBuffer | undefined;
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

const NO_PARAMS: ParamBuffers = { bytes: 0, tables: undefined, stream: undefined };

export class Bindings {
  readonly #device: GPUDevice;
  readonly #layout: GPUBindGroupLayout;
  readonly #bound: readonly Bound[];
  readonly #params: ParamBuffers;
  readonly #varying: readonly BufferId[];
  /** The one that was used last is the last. */
  readonly #entries: Entry[] = [];
  #calls = 0;
  /** Groups of all entries. */
  #kept = 0;

  constructor(
    device: GPUDevice,
    layout: GPUBindGroupLayout,
    bound: readonly Bound[],
    params: ParamBuffers = NO_PARAMS,
  ) {
    this.#device = device;
    this.#layout = layout;
    this.#bound = bound;
    this.#params = params;
    this.#varying = bound.filter(({ varies }) => varies).map(({ id }) => id);
  }

  /** Number of groups that are kept for the next runs. */
  get groups(): number {
    return this.#kept;
  }

  /** Number of choices of blocks that are kept. */
  get size(): number {
    return this.#entries.length;
  }

  /**
   * @param blocks the block of each buffer of the plan in this run
   * @param place of the parameters, if there are any
   */
  group(blocks: readonly (Block | undefined)[], place?: ParamPlace): GPUBindGroup {
    const entry = this.#entry(blocks);
    entry.used = ++this.#calls;
    const at = numberOf(place);
    if (entry.group !== undefined && entry.place === at) return entry.group;
    let group = entry.groups.get(at);
    if (group === undefined) {
      group = this.#make(blocks, place);
      if (this.#makesRoom()) entry.groups.set(at, group);
    }
    entry.group = group;
    entry.place = at;
    return group;
  }

  #entry(blocks: readonly (Block | undefined)[]): Entry {
    const entries = this.#entries;
    for (let at = entries.length - 1; at >= 0; at--) {
      const entry = entries[at] as Entry; // within the list
      if (!this.#binds(entry, blocks)) continue;
      if (at < entries.length - 1) entries.push(...entries.splice(at, 1));
      return entry;
    }
    if (entries.length === KEPT) this.#drop();
    const entry = {
      blocks: this.#varying.map((id) => blocks[id] as Block),
      group: undefined,
      place: 0,
      used: 0,
      groups: new Map(),
    };
    entries.push(entry);
    return entry;
  }

  /** Whether there is room for one more group. Choices of blocks make some that no iteration of a long loop has used. */
  #makesRoom(): boolean {
    const idle = (): boolean => this.#calls - (this.#entries[0]?.used ?? this.#calls) > MOST_GROUPS / 2;
    while (this.#kept >= MOST_GROUPS && idle()) this.#drop();
    const room = this.#kept < MOST_GROUPS;
    if (room) this.#kept++;
    return room;
  }

  /** Drops the choice of blocks that was not used the longest. */
  #drop(at = 0): void {
    for (const { groups } of this.#entries.splice(at, 1)) this.#kept -= groups.size;
  }

  /** Asked once for each dispatch of each run, so it is a plain loop. */
  #binds({ blocks: bound }: Entry, blocks: readonly (Block | undefined)[]): boolean {
    const varying = this.#varying;
    for (let i = 0; i < varying.length; i++) if (bound[i] !== blocks[varying[i] as BufferId]) return false;
    return true;
  }

  #make(blocks: readonly (Block | undefined)[], place: ParamPlace | undefined): GPUBindGroup {
    const { bytes, tables, stream } = this.#params;
    const entries = this.#bound.map(({ id, offset, bytes: size }, binding) => ({
      binding,
      resource: { buffer: (blocks[id] as Block).buffer, offset, size }, // every buffer that is bound has a block
    }));
    if (place !== undefined) {
      const buffer = (place.streamed ? stream : tables) as GPUBuffer; // where there is an entry, there is its buffer
      entries.push({ binding: entries.length, resource: { buffer, offset: place.offset, size: bytes } });
    }
    return this.#device.createBindGroup({ layout: this.#layout, entries });
  }

  /** Drops the groups that bind a block. */
  forget(block: Block): void {
    for (let at = this.#entries.length - 1; at >= 0; at--)
      if (this.#entries[at]?.blocks.includes(block)) this.#drop(at);
  }
}
