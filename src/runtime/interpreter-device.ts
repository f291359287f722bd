/**
 * The reference interpreter as a device: every float a double, no speed. For checking other devices and small
 * experiments. Consumed by `devices.ts` and tests.
 */
import { interpret } from "../compiler/interpret/interpret.ts";
import { toStorage } from "../compiler/host-tensor.ts";
import type { HostTensor } from "../compiler/host-tensor.ts";
import { inputTypes, outputTypes } from "../dsl/program/program.ts";
import type { Program, TensorType } from "../dsl/program/program.ts";
import { checkDonation, checkUpload, closedMessage, EXECUTABLE_ENDED, settle } from "./device.ts";
import type { CompileOptions, Device, DeviceValue, Executable } from "./device.ts";
import { beginRun, Counted, StoredValue } from "./values.ts";

/** A tensor in the interpreter's own form. What nobody uses any more is left to the garbage collector. */
class Exact extends Counted {
  readonly tensor: HostTensor;

  constructor(tensor: HostTensor) {
    super();
    this.tensor = tensor;
  }

  protected free(): void {}
}

class InterpreterValue extends StoredValue<InterpreterDevice, Exact> {
  read(): Promise<HostTensor> {
    return settle(() => {
      const stored = toStorage(this.storage.tensor);
      return { ...stored, data: stored.data.slice() };
    });
  }
}

class InterpreterExecutable implements Executable {
  readonly inputTypes: readonly TensorType[];
  readonly outputTypes: readonly TensorType[];
  readonly #device: InterpreterDevice;
  readonly #program: Program;
  readonly #options: CompileOptions;
  readonly #donated: ReadonlySet<number>;
  #open = true;

  constructor(device: InterpreterDevice, program: Program, options: CompileOptions) {
    this.inputTypes = inputTypes(program);
    this.outputTypes = outputTypes(program);
    this.#device = device;
    this.#program = program;
    this.#options = options;
    this.#donated = checkDonation(options.donate ?? [], program.inputs.length);
  }

  run(inputs: readonly DeviceValue[]): Promise<readonly DeviceValue[]> {
    return settle(() => {
      // Its device's end is an executable's end too.
      if (!this.#open || this.#device.closed) throw new Error(EXECUTABLE_ENDED);
      const expected = { types: this.inputTypes, donated: this.#donated };
      const given = beginRun(inputs, this.#device, InterpreterValue, expected, this.#options);
      try {
        const tensors = given.storage.map(({ tensor }) => tensor);
        const outputs = interpret(this.#program, tensors).map((tensor) => this.#device.hold(tensor));
        given.consume();
        return outputs;
      } catch (error) {
        given.giveBack();
        throw error;
      }
    });
  }

  dispose(): Promise<void> {
    this.#open = false;
    return Promise.resolve();
  }
}

class InterpreterDevice implements Device {
  readonly name = "interpreter";
  #closed = false;

  get closed(): boolean {
    return this.#closed;
  }

  describe(): string {
    return "reference interpreter, float64 on one thread";
  }

  compile(program: Program, options: CompileOptions = {}): Promise<Executable> {
    return settle(() => {
      this.#checkOpen();
      return new InterpreterExecutable(this, program, options);
    });
  }

  upload(tensor: HostTensor): DeviceValue {
    this.#checkOpen();
    checkUpload(tensor);
    return this.hold({ ...tensor, data: tensor.data.slice() });
  }

  /** A value of its own. Takes the tensor over. */
  hold(tensor: HostTensor): DeviceValue {
    return new InterpreterValue(this, { shape: tensor.shape, dtype: tensor.dtype }, new Exact(tensor));
  }

  dispose(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  #checkOpen(): void {
    if (this.#closed) throw new Error(closedMessage(this.name));
  }
}

/** Opens the interpreter as a device. Always available. */
export function openInterpreter(): Device {
  return new InterpreterDevice();
}
