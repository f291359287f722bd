/**
 * The reference interpreter as a device: every float a double, no speed. For checking other devices and small
 * experiments. Consumed by `devices.ts` and tests.
 */
import { interpret } from "../compiler/interpret/interpret.ts";
import { toStorage } from "../compiler/host-tensor.ts";
import type { HostTensor } from "../compiler/host-tensor.ts";
import { inputTypes, outputTypes } from "../dsl/program/program.ts";
import type { Program, TensorType } from "../dsl/program/program.ts";
import { checkDonation, checkInputs, endedMessage, settle } from "./device.ts";
import type { CompileOptions, Device, DeviceValue, Executable } from "./device.ts";

class InterpreterValue implements DeviceValue {
  readonly type: TensorType;
  #tensor: HostTensor | undefined;
  #ended: "disposed" | "donated" = "disposed";

  constructor(tensor: HostTensor) {
    this.type = { shape: tensor.shape, dtype: tensor.dtype };
    this.#tensor = tensor;
  }

  get disposed(): boolean {
    return this.#tensor === undefined;
  }

  /** The tensor in the interpreter's own form. @throws Error when the value is disposed. */
  get exact(): HostTensor {
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

function compile(program: Program, options: CompileOptions): Executable {
  const donated = checkDonation(options.donate ?? [], program.inputs.length);
  const types = inputTypes(program);
  return {
    inputTypes: types,
    outputTypes: outputTypes(program),
    run: (inputs) =>
      settle(() => {
        checkInputs(inputs, types, options);
        const own = inputs.map((input, i) => {
          if (!(input instanceof InterpreterValue))
            throw new Error(`input ${i} is a value of another device; upload it to this one.`);
          return input;
        });
        const outputs = interpret(
          program,
          own.map((input) => input.exact),
        ).map((tensor) => new InterpreterValue(tensor));
        own.forEach((input, i) => {
          if (donated.has(i)) input.end("donated");
        });
        return outputs;
      }),
    dispose: () => Promise.resolve(),
  };
}

/** Opens the interpreter as a device. Always available. */
export function openInterpreter(): Device {
  return {
    name: "interpreter",
    describe: () => "reference interpreter, float64 on one thread",
    compile: (program, options = {}) => settle(() => compile(program, options)),
    upload: (tensor) => new InterpreterValue({ ...tensor, data: tensor.data.slice() }),
    dispose: () => Promise.resolve(),
  };
}
