/**
 * The memory of a dispatch on the host: buffers and workgroup arrays that know which lanes touched an element, so that what is out of
 * bounds, read before it is written, or touched by two lanes at once is an error. Consumed by run-kernel.ts.
 */
import type { ExactData } from "../../src/compiler/host-tensor.ts";
import type { Kernel } from "../../src/compiler/kernel/ir.ts";
import { f16ToNumber, numberToF16 } from "../../src/dsl/numerics/float16.ts";

/** Who touched an element last, as a lane's number plus one; MANY stands for several lanes, and what is below for statements that a
 * subgroup does together. */
const NOBODY = 0;
const MANY = -1;

interface Trace {
  readonly writer: Int32Array;
  readonly reader: Int32Array;
}
/** Workgroup memory is checked between barriers: `written` and `read` say when, counted in barriers. */
interface SharedTrace extends Trace {
  readonly data: Float64Array;
  readonly written: Int32Array;
  readonly read: Int32Array;
}

const traceOf = (length: number): Trace => ({
  writer: new Int32Array(length),
  reader: new Int32Array(length),
});

/** Buffers and workgroup arrays, with the checks. Methods are called by the compiled code. */
export class Memory {
  readonly #kernel: Kernel;
  readonly #buffers: readonly ExactData[];
  readonly #traces: readonly Trace[];
  readonly #shared: readonly SharedTrace[];
  readonly #wrong: (text: string) => never;
  #me = NOBODY;
  #statements = MANY;
  /** Counts barriers over all workgroups, and where the present workgroup began. */
  #epoch = 0;
  #began = 0;

  constructor(kernel: Kernel, buffers: readonly ExactData[], wrong: (text: string) => never) {
    this.#kernel = kernel;
    this.#buffers = buffers;
    this.#wrong = wrong;
    this.#traces = buffers.map(({ length }) => traceOf(length));
    this.#shared = kernel.shared.map(({ length }) => ({
      ...traceOf(length),
      data: new Float64Array(length),
      written: new Int32Array(length),
      read: new Int32Array(length),
    }));
  }

  next(): void {
    this.#began = ++this.#epoch;
  }

  synchronize(): void {
    this.#epoch++;
  }

  lane(number: number): void {
    this.#me = number + 1;
  }

  /** What is touched until the next lane goes on, is touched by lanes that are not known. */
  together(): void {
    this.#me = --this.#statements;
  }

  load(buffer: number, at: number): number {
    const data = this.#buffers[buffer] as ExactData; // positions are checked when the code is compiled
    if (at >= data.length) this.#wrong(`loads element ${at} of buffer ${buffer}, which has ${data.length}`);
    const { writer, reader } = this.#traces[buffer] as Trace;
    if (writer[at] !== NOBODY && writer[at] !== this.#me)
      this.#wrong(`one lane loads element ${at} of buffer ${buffer}, another stores it`);
    if (reader[at] !== this.#me) reader[at] = reader[at] === NOBODY ? this.#me : MANY;
    return data[at] as number;
  }

  store(buffer: number, at: number, value: number): void {
    const data = this.#buffers[buffer] as ExactData;
    if (at >= data.length) this.#wrong(`stores element ${at} of buffer ${buffer}, which has ${data.length}`);
    const { writer, reader } = this.#traces[buffer] as Trace;
    if (writer[at] !== NOBODY && writer[at] !== this.#me)
      this.#wrong(`two lanes store element ${at} of buffer ${buffer}`);
    if (reader[at] !== NOBODY && reader[at] !== this.#me)
      this.#wrong(`one lane loads element ${at} of buffer ${buffer}, another stores it`);
    writer[at] = this.#me;
    data[at] = this.#kernel.buffers[buffer]?.dtype === "f16" ? f16ToNumber(numberToF16(value)) : value;
  }

  loadShared(array: number, at: number): number {
    const { data, writer, reader, written, read } = this.#shared[array] as SharedTrace;
    if (at >= data.length)
      this.#wrong(`loads element ${at} of workgroup array ${array}, which has ${data.length}`);
    const when = written[at] as number;
    if (when < this.#began)
      this.#wrong(`loads element ${at} of workgroup array ${array} before it is stored`);
    if (when === this.#epoch && writer[at] !== this.#me)
      this.#wrong(`loads element ${at} of workgroup array ${array}, another lane's, without a barrier`);
    if (read[at] !== this.#epoch) {
      reader[at] = this.#me;
      read[at] = this.#epoch;
    } else if (reader[at] !== this.#me) reader[at] = MANY;
    return data[at] as number;
  }

  storeShared(array: number, at: number, value: number): void {
    const { data, writer, reader, written, read } = this.#shared[array] as SharedTrace;
    if (at >= data.length)
      this.#wrong(`stores element ${at} of workgroup array ${array}, which has ${data.length}`);
    if (written[at] === this.#epoch && writer[at] !== this.#me)
      this.#wrong(`two lanes store element ${at} of workgroup array ${array} without a barrier`);
    if (read[at] === this.#epoch && reader[at] !== this.#me)
      this.#wrong(
        `stores element ${at} of workgroup array ${array}, which another lane loads, without a barrier`,
      );
    if (this.#kernel.shared[array]?.half === true && !Object.is(f16ToNumber(numberToF16(value)), value))
      this.#wrong(`stores ${value} in workgroup array ${array}, which is of f16`);
    writer[at] = this.#me;
    written[at] = this.#epoch;
    data[at] = value;
  }
}
