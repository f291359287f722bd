/**
 * The CPU device: programs run as ONNX models in ONNX Runtime (npm `onnxruntime-node`, whose engine comes inside the package).
 * Inputs are read where they lie and outputs written into buffers that this file hands out, so tensors are not copied between
 * steps.
 *
 * Consumed by `devices.ts`. Node only.
 */
import { availableParallelism, cpus } from "node:os";
import type { Tensor } from "onnxruntime-node";
import { toStorage } from "../../compiler/host-tensor.ts";
import type { HostData, HostTensor } from "../../compiler/host-tensor.ts";
import { toOnnx } from "../../compiler/onnx/to-onnx.ts";
import { inputTypes, outputTypes, sizeOf } from "../../dsl/program/program.ts";
import type { Program, TensorType, VarId } from "../../dsl/program/program.ts";
import { byteSize } from "../../dsl/types/dtype.ts";
import type { DType } from "../../dsl/types/dtype.ts";
import { checkDonation, checkInputs, endedMessage, settle } from "../device.ts";
import type { CompileOptions, Device, DeviceValue, Executable } from "../device.ts";
import { UserError } from "../files/errors.ts";
import { EngineSession, SEQUENCE_OUTPUT } from "./session.ts";
import type { Engine } from "./session.ts";
import { StoragePool } from "./storage.ts";
import type { Storage } from "./storage.ts";

const TENSOR_TYPE = { f32: "float32", f16: "float16", i32: "int32", u32: "uint32", bool: "bool" } as const satisfies Record<DType, Tensor.Type>;

const byteLength = ({ shape, dtype }: TensorType): number => sizeOf(shape) * byteSize(dtype);

/** A view of a buffer in the storage form of a dtype. */
function view({ shape, dtype }: TensorType, buffer: ArrayBuffer): Exclude<HostData, Float64Array> {
  const size = sizeOf(shape);
  switch (dtype) {
    case "f32":
      return new Float32Array(buffer, 0, size);
    case "f16":
      return new Uint16Array(buffer, 0, size);
    case "i32":
      return new Int32Array(buffer, 0, size);
    case "u32":
      return new Uint32Array(buffer, 0, size);
    case "bool":
      return new Uint8Array(buffer, 0, size);
  }
}

class CpuValue implements DeviceValue {
  readonly type: TensorType;
  readonly device: CpuDevice;
  #storage: Storage | undefined;
  #ended: "disposed" | "donated" = "disposed";

  /** Takes over one use of the storage. */
  constructor(device: CpuDevice, type: TensorType, storage: Storage) {
    this.device = device;
    this.type = type;
    this.#storage = storage;
  }

  get disposed(): boolean {
    return this.#storage === undefined || this.device.closed;
  }

  get storage(): Storage {
    if (this.device.closed) throw new Error("The device that holds this value was closed; read values before closing it.");
    if (this.#storage === undefined) throw new Error(endedMessage(this.type, this.#ended));
    return this.#storage;
  }

  read(): Promise<HostTensor> {
    return settle(() => ({ ...this.type, data: view(this.type, this.storage.buffer).slice() }));
  }

  /** Ends the value without giving its use of the storage back, which goes to the caller. */
  donate(): Storage {
    const storage = this.storage;
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

/** Where an output comes from: the engine's output of a name, or an input as it is. */
type Source = { readonly kind: "computed"; readonly name: string } | { readonly kind: "input"; readonly position: number };

/** The program without outputs that are inputs or repeat another output, and where each output comes from. */
function splitOutputs(program: Program): { readonly computed: readonly VarId[]; readonly isInput: (id: VarId) => boolean } {
  const inputs = new Set(program.inputs);
  const computed = [...new Set(program.outputs.filter((id) => !inputs.has(id)))];
  return { computed, isInput: (id) => inputs.has(id) };
}

export interface CpuOptions {
  /** Threads of one op; default: the machine's cores, as ONNX Runtime counts them. */
  readonly threads?: number;
}

class CpuDevice implements Device {
  readonly name = "cpu";
  readonly pool = new StoragePool();
  readonly #engine: Engine;
  readonly #options: CpuOptions;
  readonly #open = new Set<Executable>();
  closed = false;

  constructor(engine: Engine, options: CpuOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  describe(): string {
    const model = cpus()[0]?.model.trim() ?? "unknown processor";
    const threads = this.#options.threads ?? availableParallelism();
    const version = this.#engine.env.versions.node ?? this.#engine.env.versions.common;
    return `ONNX Runtime ${version} on ${threads} thread${threads === 1 ? "" : "s"} (${model})`;
  }

  upload(tensor: HostTensor): DeviceValue {
    this.#checkOpen();
    const { shape, dtype, data } = toStorage(tensor);
    const type = { shape, dtype };
    if (data.length !== sizeOf(shape)) throw new RangeError(`upload: ${data.length} values for shape [${shape.join(", ")}].`);
    const storage = this.pool.take(byteLength(type));
    view(type, storage.buffer).set(data);
    return new CpuValue(this, type, storage);
  }

  async compile(program: Program, options: CompileOptions = {}): Promise<Executable> {
    this.#checkOpen();
    const donated = checkDonation(options.donate ?? [], program.inputs.length);
    const { computed, isInput } = splitOutputs(program);
    const kept: Program = { ...program, outputs: computed };
    const { session, inputNames, outputNames } = await this.#load(kept, program, options);
    const types = inputTypes(program);
    const sources = program.outputs.map((id): Source =>
      isInput(id) ? { kind: "input", position: program.inputs.indexOf(id) } : { kind: "computed", name: outputNames[computed.indexOf(id)] as string },
    );
    const computedTypes = outputTypes(kept);
    const executable: Executable = {
      inputTypes: types,
      outputTypes: outputTypes(program),
      run: async (inputs) => {
        this.#checkOpen();
        if (!this.#open.has(executable)) throw new Error("This executable was disposed of; compile the program again.");
        checkInputs(inputs, types, options);
        const own = inputs.map((input, i) => this.#own(input, i));
        // Every input is held until the engine is done, also when its owner lets go of it meanwhile.
        const held = own.map((value) => value.storage);
        for (const storage of held) storage.share();
        const taken = new Map<CpuValue, Storage>();
        const results = computedTypes.map((type) => this.pool.take(byteLength(type)));
        try {
          for (const position of donated) {
            const value = own[position] as CpuValue; // checkDonation bounds it
            taken.set(value, value.donate());
          }
          const feeds = Object.fromEntries(inputNames.map((name, i) => [name, this.#tensor(types[i] as TensorType, held[i] as Storage)]));
          const fetches = Object.fromEntries(outputNames.map((name, i) => [name, this.#tensor(computedTypes[i] as TensorType, results[i] as Storage)]));
          if (session !== undefined) await session.run(feeds, fetches);
        } catch (error) {
          for (const [value, storage] of taken) value.restore(storage);
          for (const storage of [...held, ...results]) storage.release();
          throw new Error(`cpu: ${options.name ?? "the program"} failed to run: ${messageOf(error)}`, { cause: error });
        }
        const byName = new Map(outputNames.map((name, i) => [name, results[i] as Storage]));
        const outputs = sources.map((source, i) => {
          const storage = source.kind === "input" ? held[source.position] : byName.get(source.name);
          return new CpuValue(this, executable.outputTypes[i] as TensorType, (storage as Storage).share()); // names are the session's
        });
        for (const storage of [...held, ...taken.values(), ...results]) storage.release();
        return outputs;
      },
      dispose: async () => {
        if (this.#open.delete(executable)) await session?.dispose();
      },
    };
    this.#open.add(executable);
    return executable;
  }

  async dispose(): Promise<void> {
    if (this.closed) return;
    for (const executable of [...this.#open]) await executable.dispose();
    this.closed = true;
    this.pool.clear();
  }

  #checkOpen(): void {
    if (this.closed) throw new Error("The cpu device was closed; open it again.");
  }

  #own(value: DeviceValue, position: number): CpuValue {
    if (!(value instanceof CpuValue) || value.device !== this) {
      throw new Error(`input ${position} is a value of another device; upload it to this one.`);
    }
    return value;
  }

  #tensor(type: TensorType, storage: Storage): Tensor {
    // One cast for the engine's overloads: TENSOR_TYPE and view name the same type for each dtype.
    return new this.#engine.Tensor(TENSOR_TYPE[type.dtype] as "float32", view(type, storage.buffer) as Float32Array, type.shape);
  }

  /** The engine's session for the computed outputs; none when every output is an input. */
  async #load(kept: Program, whole: Program, options: CompileOptions): Promise<{ readonly session: EngineSession | undefined; readonly inputNames: readonly string[]; readonly outputNames: readonly string[] }> {
    const outputNames = options.outputNames;
    const model = toOnnx(kept, {
      sequenceOutput: SEQUENCE_OUTPUT,
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.inputNames === undefined ? {} : { inputNames: options.inputNames }),
      ...(outputNames === undefined ? {} : { outputNames: kept.outputs.map((id) => outputNames[whole.outputs.indexOf(id)] ?? `output${id}`) }),
    });
    if (kept.outputs.length === 0) return { session: undefined, inputNames: model.inputNames, outputNames: [] };
    try {
      const session = await EngineSession.create(this.#engine, model.bytes, this.#options.threads);
      return { session, inputNames: model.inputNames, outputNames: model.outputNames };
    } catch (error) {
      throw new Error(`cpu: ONNX Runtime refused ${options.name ?? "the program"}: ${messageOf(error)}`, { cause: error });
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function loadEngine(): Promise<Engine> {
  try {
    return await import("onnxruntime-node");
  } catch (error) {
    throw new UserError(
      `The cpu device needs the npm package onnxruntime-node with an engine for ${process.platform}-${process.arch}, and it ` +
        `did not load (${messageOf(error).split("\n")[0]}); install it, or use the device "interpreter".`,
      { cause: error },
    );
  }
}

/** Opens the CPU device. @throws UserError when ONNX Runtime is missing or has no build for this platform. */
export async function openCpu(options: CpuOptions = {}): Promise<Device> {
  if (options.threads !== undefined && !(Number.isInteger(options.threads) && options.threads >= 1)) {
    throw new UserError(`The number of threads must be a whole number of at least 1, got ${options.threads}.`);
  }
  return new CpuDevice(await loadEngine(), options);
}
