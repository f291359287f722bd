/**
 * Tensors on the GPU. Consumed by the device, which makes them of host tensors, and by executables, which take and return them.
 */
import type { HostTensor } from "../../compiler/host-tensor.ts";
import { StoredValue } from "../values.ts";
import type { Holder } from "../values.ts";
import { dataBytes } from "./context.ts";
import type { Context } from "./context.ts";
import type { Storage } from "./memory.ts";
import { fromWords } from "./words.ts";

/** The device as its values see it. */
export interface Owner extends Holder {
  readonly context: Context;
}

export class WebGpuValue extends StoredValue<Owner, Storage> {
  /** @throws Error when the value has ended, or what made it failed */
  override get storage(): Storage {
    if (this.device.closed) this.device.context.failures.checkLost();
    const storage = super.storage;
    storage.check();
    return storage;
  }

  async read(): Promise<HostTensor> {
    const { failures, readback, ...context } = this.device.context;
    // An error that is not thrown yet comes before that of the value: mostly they are one, and it is to be thrown once.
    if (!this.device.closed) failures.check();
    const { storage } = this;
    const bytes = dataBytes(context, this.type);
    if (bytes === 0) return fromWords(this.type, new ArrayBuffer(0), context.f16);
    const words = await readback.read(storage.share(), bytes);
    failures.check();
    storage.check();
    return fromWords(this.type, words, context.f16);
  }
}
