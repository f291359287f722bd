/**
 * Devices on the backends of TensorFlow.js: a program runs as a list of kernel calls. A run is synchronous from its first kernel to its
 * last, so that the process-wide choice of backend is ours no longer than that; reading an output is asynchronous.
 *
 * Consumed by `devices.ts`. Node only, as yet.
 */
import { hostTensor, toStorage } from "../../compiler/host-tensor.ts";
import type { HostTensor } from "../../compiler/host-tensor.ts";
import type { Plan } from "../../compiler/tfjs/plan.ts";
import { toTfjs } from "../../compiler/tfjs/to-tfjs.ts";
import { inputTypes, outputTypes } from "../../dsl/program/program.ts";
import type { Program, TensorType } from "../../dsl/program/program.ts";
import {
  checkDonation,
  checkInputs,
  checkUpload,
  closedMessage,
  endedMessage,
  EXECUTABLE_ENDED,
  HOLDER_CLOSED,
  settle,
} from "../device.ts";
import type { CompileOptions, Device, DeviceValue, Executable } from "../device.ts";
import { describeBackend, loadBackend, registeredName, withBackend } from "./engine.ts";
import type { BackendName, NativeName, Tfjs, TfTensor } from "./engine.ts";
import { execute, makeConstants } from "./execute.ts";
import { fromBackend, toBackend } from "./tensors.ts";

class TfjsValue implements DeviceValue {
  readonly type: TensorType;
  readonly device: TfjsDevice;
  #tensor: TfTensor | undefined;
  #ended: "disposed" | "donated" = "disposed";

  /** Takes the tensor over. */
  constructor(device: TfjsDevice, type: TensorType, tensor: TfTensor) {
    this.device = device;
    this.type = type;
    this.#tensor = tensor;
    device.values.add(this);
  }

  get disposed(): boolean {
    return this.#tensor === undefined;
  }

  get tensor(): TfTensor {
    if (this.device.closed) throw new Error(HOLDER_CLOSED);
    if (this.#tensor === undefined) throw new Error(endedMessage(this.type, this.#ended));
    return this.#tensor;
  }

  async read(): Promise<HostTensor> {
    const read = fromBackend(this.type, await this.tensor.data());
    // Rounds f16; the other arrays may be the backend's own.
    if (read.dtype === "f16") return hostTensor("f16", read.shape, read.data);
    return { ...read, data: read.data.slice() };
  }

  end(how: "disposed" | "donated"): void {
    if (this.#tensor === undefined) return;
    this.#tensor.dispose();
    this.#tensor = undefined;
    this.#ended = how;
    this.device.values.delete(this);
  }

  dispose(): void {
    this.end("disposed");
  }
}

class TfjsExecutable implements Executable {
  readonly inputTypes: readonly TensorType[];
  readonly outputTypes: readonly TensorType[];
  readonly #device: TfjsDevice;
  readonly #plan: Plan;
  readonly #constants: readonly TfTensor[];
  readonly #options: CompileOptions;
  readonly #donated: ReadonlySet<number>;
  #open = true;

  constructor(device: TfjsDevice, program: Program, plan: Plan, options: CompileOptions) {
    this.inputTypes = inputTypes(program);
    this.outputTypes = outputTypes(program);
    this.#device = device;
    this.#plan = plan;
    this.#constants = device.within((tf) => makeConstants(tf.engine(), plan.constants).map(tf.keep));
    this.#options = options;
    this.#donated = checkDonation(options.donate ?? [], program.inputs.length);
  }

  run(inputs: readonly DeviceValue[]): Promise<readonly DeviceValue[]> {
    return settle(() => {
      if (!this.#open) throw new Error(EXECUTABLE_ENDED);
      checkInputs(inputs, { types: this.inputTypes, donated: this.#donated }, this.#options);
      const own = inputs.map((input, i) => this.#device.own(input, i));
      const outputs = this.#execute(own.map((value) => value.tensor));
      own.forEach((value, i) => {
        if (this.#donated.has(i)) value.end("donated");
      });
      return this.outputTypes.map(
        (type, i) => new TfjsValue(this.#device, type, outputs[i] as TfTensor), // the plan has as many
      );
    });
  }

  #execute(inputs: readonly TfTensor[]): readonly TfTensor[] {
    try {
      return this.#device.within((tf) => {
        let outputs: readonly TfTensor[] = [];
        // When a kernel fails half way, this disposes of what was made until then.
        tf.tidy(() => {
          outputs = execute(tf.engine(), this.#plan, this.#constants, inputs).map(tf.keep);
        });
        return outputs;
      });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const name = this.#options.name ?? "the program";
      throw new Error(`${this.#device.name}: ${name} failed to run: ${reason}`, { cause: error });
    }
  }

  dispose(): Promise<void> {
    return settle(() => {
      if (!this.#open) return;
      this.#open = false;
      this.#device.executables.delete(this);
      for (const tensor of this.#constants) tensor.dispose();
    });
  }
}

/** A device on one backend. */
export class TfjsDevice implements Device {
  readonly name: string;
  /** What is alive, to be disposed of at the end. */
  readonly values = new Set<TfjsValue>();
  readonly executables = new Set<TfjsExecutable>();
  readonly #backend: BackendName;
  readonly #tf: Tfjs;
  #closed = false;

  constructor(tf: Tfjs, backend: BackendName) {
    this.name = `tfjs:${backend}`;
    this.#tf = tf;
    this.#backend = backend;
  }

  get closed(): boolean {
    return this.#closed;
  }

  describe(): string {
    return `TensorFlow.js ${this.#tf.version_core}, ${describeBackend(this.#tf, this.#backend)}`;
  }

  /** Does work with this device's backend selected. */
  within<T>(work: (tf: Tfjs) => T): T {
    return withBackend(this.#tf, this.#backend, () => work(this.#tf));
  }

  upload(tensor: HostTensor): DeviceValue {
    this.#checkOpen();
    checkUpload(tensor);
    const { shape, dtype } = tensor;
    const made = this.within((tf) => tf.keep(toBackend(tf.engine(), toStorage(tensor))));
    return new TfjsValue(this, { shape, dtype }, made);
  }

  compile(program: Program, options: CompileOptions = {}): Promise<Executable> {
    return settle(() => {
      this.#checkOpen();
      checkDonation(options.donate ?? [], program.inputs.length);
      const plan = toTfjs(program);
      const missing = plan.kernels.find(
        (kernel) => !this.#tf.getKernel(kernel, registeredName(this.#backend)),
      );
      if (missing !== undefined)
        throw new Error(
          `${this.name}: this version of TensorFlow.js has no kernel ${missing} on its ${this.#backend} backend; take version 4.22.`,
        );
      const executable = new TfjsExecutable(this, program, plan, options);
      this.executables.add(executable);
      return executable;
    });
  }

  async dispose(): Promise<void> {
    if (this.#closed) return;
    await Promise.all([...this.executables].map((executable) => executable.dispose()));
    for (const value of this.values) value.dispose();
    this.#closed = true;
  }

  /** The value as one of this device's. @throws Error when it is not. */
  own(value: DeviceValue, position: number): TfjsValue {
    if (!(value instanceof TfjsValue) || value.device !== this)
      throw new Error(`input ${position} is a value of another device; upload it to this one.`);
    return value;
  }

  #checkOpen(): void {
    if (this.#closed) throw new Error(closedMessage(this.name));
  }
}

/** Opens the device of a backend. @throws UserError when TensorFlow.js or its backend is missing or does not start */
export async function openTfjs(backend: Exclude<BackendName, NativeName>): Promise<TfjsDevice> {
  return new TfjsDevice(await loadBackend(backend), backend);
}
