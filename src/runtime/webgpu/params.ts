/**
 * The parameters of dispatches: words in uniform buffers, an entry for each. Words that are known when the program is
 * compiled, and those of loops of moderate length, one entry for each iteration, are written once. For longer loops the entries are
 * written as they are recorded, into a buffer that is sent ahead of each submit.
 *
 * Consumed by executables.
 */
import type { Param } from "../../compiler/kernel/plan.ts";
import { paramBytes } from "./pipelines.ts";
import type { PlacedDispatch } from "./code.ts";

/** Loops of more iterations than this, nested ones multiplied, get no table. */
const LONGEST_TABLE = 4096;
/** Entries that can be recorded between two submits. */
export const STREAM_ENTRIES = 2048;

/** The entries of all dispatches with the same parameters in loops of the same lengths. */
interface Table {
  readonly params: readonly Param[];
  /** Bytes of an entry, without the gap that follows it. */
  readonly bytes: number;
  /** How far an iteration of each loop, by depth, is from the next one, in entries; 0 where it makes no difference. */
  readonly strides: readonly number[];
  readonly lengths: readonly number[];
  readonly entries: number;
  /** Offset of the first entry in the buffer of tables; undefined: streamed. */
  readonly start: number | undefined;
  /** The only place, where there is one. */
  readonly only: ParamPlace | undefined;
  /** The last entry that was streamed: where it is, and since which submit. */
  last: { readonly entry: number; readonly offset: number; readonly epoch: number } | undefined;
}

/** Where a dispatch's parameters are: which of the two buffers, at which offset. */
export interface ParamPlace {
  readonly streamed: boolean;
  readonly offset: number;
}

export class Params {
  readonly #stride: number;
  readonly #tables = new Map<string, Table>();
  readonly #tableOf: readonly (Table | undefined)[];
  readonly #stream: Uint32Array<ArrayBuffer>;
  #tableBytes = 0;
  #cursor = 0;
  #epoch = 0;

  /** @param alignment what offsets must be a multiple of */
  constructor(dispatches: readonly PlacedDispatch[], alignment: number) {
    const widest = dispatches.reduce((most, { dispatch }) => Math.max(most, paramBytes(dispatch.kernel)), 0);
    this.#stride = Math.ceil(widest / alignment) * alignment;
    this.#tableOf = dispatches.map((placed) => this.#table(placed));
    const streams = [...this.#tables.values()].some(({ start }) => start === undefined);
    this.#stream = new Uint32Array(streams ? (this.#stride / 4) * STREAM_ENTRIES : 0);
  }

  /** Bytes of the two buffers; 0 where one is not needed. */
  get tableBytes(): number {
    return this.#tableBytes;
  }

  get streamBytes(): number {
    return this.#stream.byteLength;
  }

  /** Whether no entry can be streamed before the next submit. */
  get full(): boolean {
    return this.#stream.length > 0 && this.#cursor === STREAM_ENTRIES;
  }

  /** The contents of the buffer of tables. */
  tables(): Uint32Array<ArrayBuffer> {
    const words = new Uint32Array(this.#tableBytes / 4);
    for (const table of this.#tables.values()) {
      if (table.start === undefined) continue;
      for (let entry = 0; entry < table.entries; entry++)
        write(table, entry, words, (table.start + entry * this.#stride) / 4);
    }
    return words;
  }

  /** Where the parameters of the dispatch of that index are, in these iterations of the loops; undefined: it has none. */
  place(dispatch: number, iterations: readonly number[]): ParamPlace | undefined {
    const table = this.#tableOf[dispatch];
    if (table === undefined) return undefined;
    if (table.only !== undefined) return table.only;
    let entry = 0;
    for (let depth = 0; depth < table.strides.length; depth++)
      entry += (table.strides[depth] as number) * (iterations[depth] as number); // loops around it are being run
    if (table.start !== undefined) return { streamed: false, offset: table.start + entry * this.#stride };
    const { last } = table;
    if (last === undefined || last.epoch !== this.#epoch || last.entry !== entry) {
      const offset = this.#cursor++ * this.#stride;
      write(table, entry, this.#stream, offset / 4);
      table.last = { entry, offset, epoch: this.#epoch };
    }
    return { streamed: true, offset: (table.last as NonNullable<Table["last"]>).offset }; // set above
  }

  /** What was streamed since the last call. */
  take(): Uint32Array<ArrayBuffer> {
    const words = this.#stream.subarray(0, (this.#cursor * this.#stride) / 4);
    this.#cursor = 0;
    this.#epoch++;
    return words;
  }

  #table({ dispatch: { kernel, params }, lengths }: PlacedDispatch): Table | undefined {
    if (params.length === 0) return undefined;
    const used = new Set(params.map((param) => (typeof param === "number" ? -1 : param.loop)));
    // No further than the innermost loop that matters, so that dispatches outside and inside of others share a table.
    const strides: number[] = lengths.slice(0, Math.max(...used) + 1).map(() => 0);
    let entries = 1;
    for (let depth = strides.length - 1; depth >= 0; depth--) {
      if (!used.has(depth)) continue;
      strides[depth] = entries;
      entries *= lengths[depth] as number;
    }
    const key = JSON.stringify([params, strides, entries]);
    const known = this.#tables.get(key);
    if (known !== undefined) return known;
    const streamed = entries > LONGEST_TABLE;
    const start = streamed ? undefined : this.#tableBytes;
    const table: Table = {
      params,
      bytes: paramBytes(kernel),
      strides,
      lengths,
      entries,
      start,
      only: start === undefined || entries > 1 ? undefined : { streamed, offset: start },
      last: undefined,
    };
    if (!streamed) this.#tableBytes += entries * this.#stride;
    this.#tables.set(key, table);
    return table;
  }
}

/** Writes the words of an entry. */
function write({ params, strides, lengths }: Table, entry: number, words: Uint32Array, at: number): void {
  params.forEach((param, i) => {
    words[at + i] =
      typeof param === "number"
        ? param
        : // Its loop is one of those around the dispatch, so it has a stride and a length.
          Math.floor(entry / (strides[param.loop] as number)) % (lengths[param.loop] as number);
  });
}
