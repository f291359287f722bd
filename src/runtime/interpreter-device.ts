/**
 * The reference interpreter as a device: every float a double, no speed. For checking other devices and small
 * experiments. Consumed by `devices.ts` and tests.
 */
import { interpret } from "../compiler/interpret/interpret.ts";
import { toStorage } from "../compiler/host-tensor.ts";
import type { HostTensor } from "../compiler/host-tensor.ts";
import { inputTypes, outputTypes } from "../dsl/program/program.ts";
import type { Program, TensorType } from "../dsl/program/program.ts";
import {
  checkDonation,
  checkInputs,
  checkUpload,
  closedMessage,
  endedMessage,
  EXECUTABLE_ENDED,
  HOLDER_CLOSED,
  settle,
} from "./device.ts";
import type { CompileOptions, Device, DeviceValue, Executable } from "./device.ts";

class InterpreterValue implements DeviceValue {
  readonly type: TensorType;
  readonly device: InterpreterDevice;
  #tensor: HostTensor | undefined;
  #ended: "disposed" | "donated" = "disposed";

  constructor(device: InterpreterDevice, tensor: HostTensor) {
    this.device = device;
    this.type = { shape: tensor.shape, dtype: tensor.dtype };
    this.#tensor = tensor;
  }

  get disposed(): boolean {
    return this.#tensor === undefined || this.device.closed;
  }

  /** The tensor in the interpreter's own form. @throws Error when the value is disposed. */
  get exact(): HostTensor {
    if (this.device.closed) throw new Error(HOLDER_CLOSED);
    if (this.#tensor === undefined) throw new Error(endedMessage(this.type, this.#ended));
    return this.#tensor;
  }

  read(): Promise<HostTensor> {
    return settle(() => {
      const stored = toStorage(this.exact);
      return { ...stored, data: stored.data.slice() };
    });
  }

  end(how: "disposed" | "donated"): void {
    if (this.#tensor !== undefined) this.#ended = how;
    this.#tensor = undefined;
  }

  dispose(): void {
    this.end("disposed");
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
      checkInputs(inputs, { types: this.inputTypes, donated: this.#donated }, this.#options);
      const own = inputs.map((input, i) => this.#device.own(input, i));
      const tensors = own.map((input) => input.exact);
      const outputs = interpret(this.#program, tensors).map(
        (tensor) => new InterpreterValue(this.#device, tensor),
      );
      own.forEach((input, i) => {
        if (this.#donated.has(i)) input.end("donated");
      });
      return outputs;
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
    return new InterpreterValue(this, { ...tensor, data: tensor.data.slice() });
  }

  /** The value as one of this device's. @throws Error when it is not. */
  own(value: DeviceValue, position: number): InterpreterValue {
    if (!(value instanceof InterpreterValue) || value.device !== this) {
      throw new Error(`input ${position} is a value of another device; upload it to this one.`);
    }
    return value;
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
