/**
 * What a target offers to the rest of the runtime: a device compiles programs and holds tensors; an
 * executable maps tensors to tensors. State that lives across steps is a list of device values that the
 * caller passes in and gets back; donating them lets the device reuse their storage, so that a training step
 * does not grow with every call.
 *
 * Consumed by training, sampling and the command line. To add a device: implement `Device` in its own folder
 * and add an entry to `devices.ts`.
 */
import type { HostTensor } from "../compiler/host-tensor.ts";
import { formatType, sameType, sizeOf } from "../dsl/program/program.ts";
import type { Program, TensorType } from "../dsl/program/program.ts";

/** An immutable tensor on a device. It lives until it is disposed of or donated. */
export interface DeviceValue {
  readonly type: TensorType;
  /** True once the value was disposed of or donated: it cannot be used any more. */
  readonly disposed: boolean;
  /** A copy on the host, floats in storage form. @throws Error when the value is disposed. */
  read(): Promise<HostTensor>;
  /** Gives the storage back. Doing it again does nothing. */
  dispose(): void;
}

export interface CompileOptions {
  /**
   * Positions of inputs that a run may consume: the values passed there are disposed by it and their storage
   * is used again. A run that fails leaves them alive; but a device may overwrite them while it runs, and then using one afterwards
   * throws what made the run fail.
   */
  readonly donate?: readonly number[];
  /** Names of inputs and outputs, for messages. */
  readonly inputNames?: readonly string[];
  readonly outputNames?: readonly string[];
  /** Name of the program, for messages. */
  readonly name?: string;
}

/** A program, ready to run on a device. */
export interface Executable {
  readonly inputTypes: readonly TensorType[];
  readonly outputTypes: readonly TensorType[];
  /**
   * Runs the program on values of the device, of `inputTypes`. The caller owns the outputs.
   * @throws Error when a value is disposed, of another type or of another device, or when the engine fails.
   */
  run(inputs: readonly DeviceValue[]): Promise<readonly DeviceValue[]>;
  /** Frees what was compiled; values that runs returned stay alive. */
  dispose(): Promise<void>;
}

export interface Device {
  /** The name under which `openDevice` opens it. */
  readonly name: string;
  /** One line on the engine and the hardware. */
  describe(): string;
  /** @throws Error when the engine refuses the program. */
  compile(program: Program, options?: CompileOptions): Promise<Executable>;
  /** Copies a tensor to the device. */
  upload(tensor: HostTensor): DeviceValue;
  /** Frees the device's executables and storage. Its values cannot be used any more. */
  dispose(): Promise<void>;
}

/** The message for a value that is used after its end. */
export function endedMessage(type: TensorType, ended: "disposed" | "donated"): string {
  return ended === "donated"
    ? `This ${formatType(type)} was donated to an earlier run, which used its storage; keep the run's output instead.`
    : `This ${formatType(type)} was disposed of; keep it until its last use.`;
}

const named = (kind: string, position: number, names: readonly string[] | undefined): string => {
  const name = names?.[position];
  return name === undefined ? `${kind} ${position}` : `${kind} ${position} (${name})`;
};

/** The name of an executable's input in messages: "input 2 (params.w)". */
export const inputName = (position: number, options: CompileOptions): string =>
  named("input", position, options.inputNames);

/** The name of an executable's output in messages: "output 0 (loss)". */
export const outputName = (position: number, options: CompileOptions): string =>
  named("output", position, options.outputNames);

/** The message for an executable that is run after its end. */
export const EXECUTABLE_ENDED = "This executable was disposed of; compile the program again.";

/** The message for a value that is used after its device's end. */
export const HOLDER_CLOSED = "The device that holds this value was closed; read values before closing it.";

/** The message for a device that is used after its end. */
export const closedMessage = (device: string): string => `The ${device} device was closed; open it again.`;

/** What a device needs to know of a run before it begins. */
export interface Expected {
  readonly types: readonly TensorType[];
  /** Positions of the inputs that the run consumes. */
  readonly donated: ReadonlySet<number>;
}

/**
 * Checks that the inputs fit in number and type, and that none is donated twice.
 * @throws Error naming the first that is wrong
 */
export function checkInputs(
  inputs: readonly DeviceValue[],
  { types, donated }: Expected,
  options: CompileOptions,
): void {
  const program = options.name ?? "the program";
  if (inputs.length !== types.length) {
    throw new Error(`${program} takes ${types.length} tensors, got ${inputs.length}.`);
  }
  types.forEach((type, i) => {
    const given = (inputs[i] as DeviceValue).type; // the counts agree
    if (!sameType(given, type))
      throw new Error(
        `${program}: ${inputName(i, options)} is ${formatType(given)}, expected ${formatType(type)}.`,
      );
  });
  const seen = new Map<DeviceValue, number>();
  for (const i of donated) {
    const value = inputs[i] as DeviceValue; // donated are positions of inputs
    const before = seen.get(value);
    if (before !== undefined)
      throw new Error(
        `${program}: ${inputName(before, options)} and ${inputName(i, options)} are the same value, and both are donated; ` +
          "a value can be donated once, so give another one or donate only one of the two.",
      );
    seen.set(value, i);
  }
}

/** Checks that a tensor holds as many values as its shape says. @throws RangeError when it does not */
export function checkUpload({ shape, data }: HostTensor): void {
  if (data.length !== sizeOf(shape))
    throw new RangeError(`upload: ${data.length} values for shape [${shape.join(", ")}].`);
}

/** Checks a donation list. @throws Error when a position is not one of the inputs or appears twice. */
export function checkDonation(donate: readonly number[], inputCount: number): ReadonlySet<number> {
  const positions = new Set(donate);
  for (const position of donate) {
    if (!Number.isInteger(position) || position < 0 || position >= inputCount) {
      throw new Error(`donate: ${position} is not the position of one of the ${inputCount} inputs.`);
    }
  }
  if (positions.size !== donate.length)
    throw new Error(`donate: [${donate.join(", ")}] names an input twice.`);
  return positions;
}

/**
 * Does the work now and gives its result, or what it throws, as a promise: for the asynchronous contract's
 * synchronous parts.
 */
export const settle = <T>(work: () => T): Promise<T> => new Promise((resolve) => resolve(work()));
