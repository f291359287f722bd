/**
 * Devices on the backends of TensorFlow.js: a program runs as a list of kernel calls. A run is synchronous from its first kernel to its
 * last, or to the next value that the host must read where reading takes a while, so that the process-wide choice of backend is ours no
 * longer than that. Reading an output is asynchronous.
 *
 * Consumed by `devices.ts` and the entry `fluxion/tfjs`. Safe in a browser.
 */
import { hostTensor, toStorage } from "../../compiler/host-tensor.ts";
import type { HostTensor } from "../../compiler/host-tensor.ts";
import type { Plan, Target } from "../../compiler/tfjs/plan.ts";
import { toTfjs } from "../../compiler/tfjs/to-tfjs.ts";
import { inputTypes, outputTypes } from "../../dsl/program/program.ts";
import type { Program, TensorType } from "../../dsl/program/program.ts";
import {
  checkDonation,
  checkUpload,
  closedMessage,
  EXECUTABLE_ENDED,
  inputName,
  outputName,
  settle,
} from "../device.ts";
import type { CompileOptions, Device, DeviceValue, Executable } from "../device.ts";
import { beginRun, Counted, StoredValue } from "../values.ts";
import { CpuKernels, registeredName, withBackend } from "./engine.ts";
import type { BackendName, Loaded, TfArray, Tfjs, TfTensor } from "./engine.ts";
import { execute, makeConstants, Workspace } from "./execute.ts";
import type { Steps } from "./execute.ts";
import { explained } from "./gpu.ts";
import type { Gpu } from "./gpu.ts";
import { fromBackend, toBackend } from "./tensors.ts";

/** A tensor of the backend's, among those that are alive on the device. */
class Held extends Counted {
  readonly tensor: TfTensor;
  readonly #alive: Set<Held>;

  /** Takes the tensor over. */
  constructor(tensor: TfTensor, alive: Set<Held>) {
    super();
    this.tensor = tensor;
    this.#alive = alive;
    alive.add(this);
  }

  /** Also called by the device at its end, whoever uses it. */
  free(): void {
    if (this.#alive.delete(this)) this.tensor.dispose();
  }
}

class TfjsValue extends StoredValue<TfjsDevice, Held> {
  async read(): Promise<HostTensor> {
    const held = this.storage.share();
    try {
      const read = fromBackend(this.type, await this.device.reading(held.tensor));
      // Rounds f16; the other arrays may be the backend's own.
      if (read.dtype === "f16") return hostTensor("f16", read.shape, read.data);
      return { ...read, data: read.data.slice() };
    } finally {
      held.release();
    }
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
  readonly #running = new Set<Promise<unknown>>();
  #ending: Promise<void> | undefined;

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
    const running = this.#run(inputs);
    this.#running.add(running);
    const forget = (): void => void this.#running.delete(running);
    running.then(forget, forget);
    return running;
  }

  async #run(inputs: readonly DeviceValue[]): Promise<readonly DeviceValue[]> {
    if (this.#ending !== undefined) throw new Error(EXECUTABLE_ENDED);
    const expected = { types: this.inputTypes, donated: this.#donated };
    const given = beginRun(inputs, this.#device, TfjsValue, expected, this.#options);
    let outputs: readonly TfTensor[];
    try {
      outputs = await this.#execute(given.storage.map(({ tensor }) => tensor));
    } catch (error) {
      given.giveBack();
      throw error;
    }
    given.consume();
    return this.outputTypes.map(
      (type, i) => this.#device.hold(type, outputs[i] as TfTensor), // the plan has as many
    );
  }

  async #execute(inputs: readonly TfTensor[]): Promise<readonly TfTensor[]> {
    const workspace = this.#device.workspace();
    try {
      return await this.#device.drive(workspace, execute(workspace, this.#plan, this.#constants, inputs));
    } catch (error) {
      // When a kernel fails half way, this disposes of what was made until then.
      for (const tensor of workspace.alive) tensor.dispose();
      this.#device.gpu?.check();
      const reason = explained(error instanceof Error ? error.message : String(error));
      const name = this.#options.name ?? "the program";
      throw new Error(`${this.#device.name}: ${name} failed to run: ${reason}`, { cause: error });
    }
  }

  /** Waits for runs that have begun. */
  dispose(): Promise<void> {
    return (this.#ending ??= this.#end());
  }

  async #end(): Promise<void> {
    await Promise.allSettled(this.#running);
    this.#device.executables.delete(this);
    for (const tensor of this.#constants) tensor.dispose();
  }
}

/** A device on one backend. */
export class TfjsDevice implements Device {
  readonly name: string;
  /** Whether runs pause where the host must see a value. */
  readonly pauses: boolean;
  readonly gpu: Gpu | undefined;
  readonly executables = new Set<TfjsExecutable>();
  /** To be disposed of at the end. */
  readonly #alive = new Set<Held>();
  readonly #backend: BackendName;
  readonly #tf: Tfjs;
  readonly #how: string;
  readonly #target: Target;
  readonly #cpu: CpuKernels;
  /** What ends it, from the moment that somebody disposes of it: nothing new is made from then on. */
  #ending: Promise<void> | undefined;
  /** Runs that had begun have ended, and with them all values. */
  #closed = false;

  /** @param target what the backend is not asked for */
  constructor({ tf, how, asynchronous, gpu }: Loaded, backend: BackendName, target: Target) {
    this.name = `tfjs:${backend}`;
    this.#tf = tf;
    this.#backend = backend;
    this.#how = how;
    this.pauses = asynchronous === true;
    this.gpu = gpu;
    this.#target = target;
    this.#cpu = new CpuKernels(tf);
  }

  get closed(): boolean {
    return this.#closed;
  }

  describe(): string {
    return `TensorFlow.js ${this.#tf.version_core}, ${this.#how}`;
  }

  workspace(): Workspace {
    return new Workspace(this.#tf.engine(), this.#cpu, this.gpu);
  }

  /** Carries a run out, in one go if the backend can be read at once. */
  async drive<T>(workspace: Workspace, steps: Steps<T>): Promise<T> {
    let read: TfArray | undefined;
    for (;;) {
      this.gpu?.check();
      const next = this.#uninterrupted(workspace, () => {
        // What is given to a generator that has not begun is not looked at.
        let state = steps.next(read as TfArray);
        if (!this.pauses) while (state.done !== true) state = steps.next(state.value.dataSync());
        return state;
      });
      if (next.done === true) return next.value;
      read = await this.reading(next.value);
    }
  }

  /** The numbers of a tensor. @throws DeviceLostError when the GPU is gone */
  reading(tensor: TfTensor): Promise<TfArray> {
    return this.gpu === undefined ? tensor.data() : this.gpu.until(() => tensor.data());
  }

  /** Does a part of a run. A tidy of the user's around it does not end what the run still needs. */
  #uninterrupted<T>(workspace: Workspace, work: () => T): T {
    return this.within((tf) => {
      let result: T | undefined;
      tf.tidy(() => {
        result = work();
        for (const tensor of workspace.alive) tf.keep(tensor);
      });
      return result as T; // the work is done
    });
  }

  /** Does work with this device's backend selected. */
  within<T>(work: (tf: Tfjs) => T): T {
    return withBackend(this.#tf, this.#backend, () => work(this.#tf));
  }

  upload(tensor: HostTensor): DeviceValue {
    this.#checkOpen();
    checkUpload(tensor);
    const { shape, dtype } = tensor;
    this.gpu?.checkFits({ shape, dtype }, "the upload");
    const made = this.within((tf) => tf.keep(toBackend(tf.engine(), toStorage(tensor))));
    return this.hold({ shape, dtype }, made);
  }

  /** A value of its own. Takes the tensor over. */
  hold(type: TensorType, tensor: TfTensor): DeviceValue {
    return new TfjsValue(this, type, new Held(tensor, this.#alive));
  }

  compile(program: Program, options: CompileOptions = {}): Promise<Executable> {
    return settle(() => {
      this.#checkOpen();
      checkDonation(options.donate ?? [], program.inputs.length);
      this.#checkFits(program, options);
      const plan = toTfjs(program, this.#target);
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

  /** Waits for runs that have begun. */
  dispose(): Promise<void> {
    return (this.#ending ??= this.#end());
  }

  async #end(): Promise<void> {
    await Promise.all([...this.executables].map((executable) => executable.dispose()));
    for (const held of this.#alive) held.free();
    this.#closed = true;
  }

  #checkFits(program: Program, options: CompileOptions): void {
    const name = options.name ?? "the program";
    inputTypes(program).forEach((type, i) =>
      this.gpu?.checkFits(type, `${inputName(i, options)} of ${name}`),
    );
    outputTypes(program).forEach((type, i) =>
      this.gpu?.checkFits(type, `${outputName(i, options)} of ${name}`),
    );
  }

  #checkOpen(): void {
    if (this.#ending !== undefined) throw new Error(closedMessage(this.name));
    this.gpu?.check();
  }
}
