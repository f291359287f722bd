/**
 * Tensors on the GPU. Consumed by the device, which makes them of host tensors, and by executables, which take and return them.
 */
import type { HostTensor } from "../../compiler/host-tensor.ts";
import type { TensorType } from "../../dsl/program/program.ts";
import { endedMessage, HOLDER_CLOSED } from "../device.ts";
import type { DeviceValue } from "../device.ts";
import { dataBytes } from "./context.ts";
import type { Context } from "./context.ts";
import type { Storage } from "./memory.ts";
import { fromWords } from "./words.ts";

/** The device as its values see it. */
export interface Owner {
  readonly context: Context;
  readonly closed: boolean;
}

export class WebGpuValue implements DeviceValue {
  readonly type: TensorType;
  readonly owner: Owner;
  #storage: Storage | undefined;
  #ended: "disposed" | "donated" = "disposed";

  /** Takes over one use of the storage. */
  constructor(owner: Owner, type: TensorType, storage: Storage) {
    this.owner = owner;
    this.type = type;
    this.#storage = storage;
  }

  get disposed(): boolean {
    return this.#storage === undefined || this.owner.closed;
  }

  /** @throws Error when the value has ended, or what made it failed */
  get storage(): Storage {
    if (this.owner.closed) {
      this.owner.context.failures.checkLost();
      throw new Error(HOLDER_CLOSED);
    }
    if (this.#storage === undefined) throw new Error(endedMessage(this.type, this.#ended));
    this.#storage.check();
    return this.#storage;
  }

  async read(): Promise<HostTensor> {
    const { failures, readback, ...context } = this.owner.context;
    // An error that is not thrown yet comes before that of the value: mostly they are one, and it is to be thrown once.
    if (!this.owner.closed) failures.check();
    const { storage } = this;
    const bytes = dataBytes(context, this.type);
    if (bytes === 0) return fromWords(this.type, new ArrayBuffer(0), context.f16);
    const words = await readback.read(storage.share(), bytes);
    failures.check();
    storage.check();
    return fromWords(this.type, words, context.f16);
  }

  /** Ends the value without giving its use of the storage back, which goes to the caller. */
  donate(): Storage {
    const { storage } = this;
    this.#storage = undefined;
    this.#ended = "donated";
    return storage;
  }

  /** Undoes `donate` after a run that failed. */
  restore(storage: Storage): void {
    this.#storage = storage;
  }

  dispose(): void {
    if (this.#storage === undefined) return;
    const storage = this.#storage;
    this.#storage = undefined;
    this.#ended = "disposed";
    storage.release();
  }
}
