/**
 * What the values of all devices have in common. Storage counts its users: the values that hold it, and the runs and reads that need it.
 * A value has one use of its storage until it is disposed of or donated. A run has one of each of its inputs; of those that are donated
 * to it also the value's, which it gives back if it fails.
 *
 * Consumed by the devices. A new one extends `Counted` with what is freed after the last use, and `StoredValue` with how it is read.
 */
import type { HostTensor } from "../compiler/host-tensor.ts";
import type { TensorType } from "../dsl/program/program.ts";
import { checkInputs, endedMessage, HOLDER_CLOSED } from "./device.ts";
import type { CompileOptions, DeviceValue, Expected } from "./device.ts";

/** Storage with the number of its users, at first one: whoever made it. */
export abstract class Counted {
  #users = 1;

  get users(): number {
    return this.#users;
  }

  /** Adds a user. */
  share(): this {
    this.#users++;
    return this;
  }

  /** Removes a user; with the last one the storage is freed. */
  release(): void {
    this.#users--;
    if (this.#users === 0) this.free();
  }

  /** What is done when nobody uses it any more. */
  protected abstract free(): void;
}

/** A device as its values see it. */
export interface Holder {
  readonly closed: boolean;
}

/** A value that has one use of its storage. */
export abstract class StoredValue<D extends Holder, S extends Counted> implements DeviceValue {
  readonly type: TensorType;
  readonly device: D;
  #storage: S | undefined;
  #ended: "disposed" | "donated" = "disposed";
  /** Whether its owner disposed of it: a run that gives it back then gives it up. */
  #unwanted = false;

  /** Takes over one use of the storage. */
  constructor(device: D, type: TensorType, storage: S) {
    this.device = device;
    this.type = type;
    this.#storage = storage;
  }

  get disposed(): boolean {
    return this.#storage === undefined || this.device.closed;
  }

  /** @throws Error when the value has ended, or its device */
  get storage(): S {
    if (this.device.closed) throw new Error(HOLDER_CLOSED);
    if (this.#storage === undefined) throw new Error(endedMessage(this.type, this.#ended));
    return this.#storage;
  }

  abstract read(): Promise<HostTensor>;

  /** Ends the value without giving its use of the storage back, which goes to the caller. */
  donate(): S {
    const { storage } = this;
    this.#storage = undefined;
    this.#ended = "donated";
    return storage;
  }

  /** Undoes `donate`. */
  restore(storage: S): void {
    this.#storage = storage;
    if (this.#unwanted) this.dispose();
  }

  dispose(): void {
    this.#unwanted = true;
    if (this.#storage === undefined) return;
    const storage = this.#storage;
    this.#storage = undefined;
    this.#ended = "disposed";
    storage.release();
  }
}

/** The inputs of one run, from its begin to its end. */
class Inputs<S extends Counted> {
  /** Of each input. It is held until the run ends, also when its owner lets go of it meanwhile. */
  readonly storage: readonly S[];
  readonly #donated = new Map<StoredValue<Holder, S>, S>();

  /**
   * Begins a run.
   * @param donated positions of values that the run consumes, each another value
   * @throws Error when a value has ended; nothing is held or donated then
   */
  constructor(values: readonly StoredValue<Holder, S>[], donated: ReadonlySet<number>) {
    this.storage = values.map((value) => value.storage);
    for (const storage of this.storage) storage.share();
    values.forEach((value, i) => {
      if (donated.has(i)) this.#donated.set(value, value.donate());
    });
  }

  /** Ends a run that succeeded: what was donated to it is used up. */
  consume(): void {
    for (const storage of [...this.#donated.values(), ...this.storage]) storage.release();
  }

  /** Ends a run that failed: its owner gets back what was donated to it. */
  giveBack(): void {
    for (const [value, storage] of this.#donated) value.restore(storage);
    for (const storage of this.storage) storage.release();
  }
}

/**
 * Begins a run: checks its inputs, holds them, and takes what is donated to it.
 * @param kind the class of the device's values
 * @throws Error naming the first input that cannot be used; nothing is held or taken then
 */
export function beginRun<D extends Holder, S extends Counted>(
  inputs: readonly DeviceValue[],
  device: D,
  kind: new (...args: never[]) => StoredValue<D, S>,
  expected: Expected,
  options: CompileOptions,
): Inputs<S> {
  checkInputs(inputs, expected, options);
  const own = inputs.map((value, i) => {
    if (value instanceof kind && value.device === device) return value;
    throw new Error(`input ${i} is a value of another device; upload it to this one.`);
  });
  return new Inputs(own, expected.donated);
}
