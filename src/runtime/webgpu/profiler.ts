/**
 * GPU time of each dispatch of an executable, from timestamps around it. A dispatch that is timed has a compute pass of its own, and
 * each run waits for its timestamps: the times are right, the run is slower.
 *
 * Consumed by executables on devices that are opened with `profile`.
 */
import type { Dispatch } from "../../compiler/kernel/plan.ts";
import { BufferUsage } from "./constants.ts";
import type { Block, Memory } from "./memory.ts";
import type { Readback } from "./readback.ts";

/** Time that a dispatch of the plan took on the GPU, over all runs so far. */
export interface DispatchTiming {
  readonly dispatch: Dispatch;
  /** How often it ran: more than once in a run if it is in a loop. */
  readonly count: number;
  /** Nanoseconds of all of them together. */
  readonly nanoseconds: number;
}

/** Dispatches that can be timed between two submits: the standard allows 4096 timestamps in a set. */
const CAPACITY = 2048;

export class Profiler {
  readonly #memory: Memory;
  readonly #readback: Readback;
  readonly #set: GPUQuerySet;
  readonly #resolved: Block;
  readonly #dispatches: readonly Dispatch[];
  readonly #counts: number[];
  readonly #times: number[];
  /** The dispatches, by index, that the timestamps of this submit are of. */
  #timed: number[] = [];

  constructor(device: GPUDevice, memory: Memory, readback: Readback, dispatches: readonly Dispatch[]) {
    this.#memory = memory;
    this.#readback = readback;
    this.#set = device.createQuerySet({ type: "timestamp", count: 2 * CAPACITY });
    this.#resolved = memory.allocate(
      16 * CAPACITY,
      BufferUsage.QUERY_RESOLVE | BufferUsage.COPY_SRC,
      "timestamps",
    );
    this.#dispatches = dispatches;
    this.#counts = dispatches.map(() => 0);
    this.#times = dispatches.map(() => 0);
  }

  get bytes(): number {
    return this.#resolved.bytes;
  }

  get full(): boolean {
    return this.#timed.length === CAPACITY;
  }

  /** The timestamps of the pass of a dispatch. */
  pass(dispatch: number): GPUComputePassTimestampWrites {
    const at = 2 * (this.#timed.push(dispatch) - 1);
    return { querySet: this.#set, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
  }

  /** Ends the timestamps of a submit. */
  resolve(encoder: GPUCommandEncoder): void {
    if (this.#timed.length > 0)
      encoder.resolveQuerySet(this.#set, 0, 2 * this.#timed.length, this.#resolved.buffer, 0);
  }

  /** Reads the timestamps after the submit. */
  async collect(): Promise<void> {
    const timed = this.#timed;
    this.#timed = [];
    if (timed.length === 0) return;
    const storage = { block: this.#resolved, release: () => undefined };
    const stamps = new BigUint64Array(await this.#readback.read(storage, 16 * timed.length));
    timed.forEach((dispatch, i) => {
      const [begin = 0n, end = 0n] = stamps.subarray(2 * i, 2 * i + 2);
      this.#counts[dispatch] = (this.#counts[dispatch] ?? 0) + 1;
      // Clocks may be set back; such a time is no time.
      this.#times[dispatch] = (this.#times[dispatch] ?? 0) + (end > begin ? Number(end - begin) : 0);
    });
  }

  timings(): readonly DispatchTiming[] {
    return this.#dispatches.map((dispatch, i) => ({
      dispatch,
      count: this.#counts[i] ?? 0,
      nanoseconds: this.#times[i] ?? 0,
    }));
  }

  destroy(): void {
    this.#set.destroy();
    this.#memory.destroy(this.#resolved);
  }
}
