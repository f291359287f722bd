/**
 * The CPU device: programs run as ONNX models in ONNX Runtime (npm `onnxruntime-node`, whose engine comes
 * inside the package). Inputs are read where they lie and outputs written into buffers that this file hands
 * out, so tensors are not copied between steps.
 *
 * Consumed by `devices.ts`. Node only.
 */
import { cpus } from "node:os";
import type { Tensor } from "onnxruntime-node";
import { toStorage } from "../../compiler/host-tensor.ts";
import type { HostData, HostTensor } from "../../compiler/host-tensor.ts";
import { toOnnx } from "../../compiler/onnx/to-onnx.ts";
import { inputTypes, outputTypes, sizeOf } from "../../dsl/program/program.ts";
import type { Program, TensorType, VarId } from "../../dsl/program/program.ts";
import { byteSize } from "../../dsl/types/dtype.ts";
import type { DType } from "../../dsl/types/dtype.ts";
import { checkDonation, checkUpload, closedMessage, EXECUTABLE_ENDED, settle } from "../device.ts";
import type { CompileOptions, Device, DeviceValue, Executable } from "../device.ts";
import { UserError } from "../files/errors.ts";
import { beginRun, StoredValue } from "../values.ts";
import { loadEngine } from "./engine.ts";
import type { Engine } from "./engine.ts";
import { EngineSession, SEQUENCE_OUTPUT } from "./session.ts";
import { StoragePool } from "./storage.ts";
import type { Storage } from "./storage.ts";

const TENSOR_TYPE = {
  f32: "float32",
  f16: "float16",
  i32: "int32",
  u32: "uint32",
  bool: "bool",
} as const satisfies Record<DType, Tensor.Type>;

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

class CpuValue extends StoredValue<CpuDevice, Storage> {
  read(): Promise<HostTensor> {
    return settle(() => ({ ...this.type, data: view(this.type, this.storage.buffer).slice() }));
  }
}

/** Where an output comes from: the engine's output of that number, or an input as it is. */
type Source =
  | { readonly kind: "computed"; readonly index: number }
  | { readonly kind: "input"; readonly position: number };

/** The outputs that the engine has to compute (inputs and repetitions left out), and the source of each output. */
function sourcesOf(program: Program): {
  readonly computed: readonly VarId[];
  readonly sources: readonly Source[];
} {
  const computed = [...new Set(program.outputs.filter((id) => !program.inputs.includes(id)))];
  const sources = program.outputs.map((id): Source => {
    const position = program.inputs.indexOf(id);
    return position >= 0 ? { kind: "input", position } : { kind: "computed", index: computed.indexOf(id) };
  });
  return { computed, sources };
}

/** What an executable runs: the session (none when nothing is computed) and the model's names and types. */
interface Loaded {
  readonly session: EngineSession | undefined;
  readonly inputNames: readonly string[];
  readonly resultNames: readonly string[];
  readonly resultTypes: readonly TensorType[];
  readonly sources: readonly Source[];
}

class CpuExecutable implements Executable {
  readonly inputTypes: readonly TensorType[];
  readonly outputTypes: readonly TensorType[];
  readonly #device: CpuDevice;
  readonly #loaded: Loaded;
  readonly #options: CompileOptions;
  readonly #donated: ReadonlySet<number>;
  #open = true;

  constructor(device: CpuDevice, program: Program, loaded: Loaded, options: CompileOptions) {
    this.inputTypes = inputTypes(program);
    this.outputTypes = outputTypes(program);
    this.#device = device;
    this.#loaded = loaded;
    this.#options = options;
    this.#donated = checkDonation(options.donate ?? [], program.inputs.length);
  }

  async run(inputs: readonly DeviceValue[]): Promise<readonly DeviceValue[]> {
    if (!this.#open) throw new Error(EXECUTABLE_ENDED);
    const expected = { types: this.inputTypes, donated: this.#donated };
    const given = beginRun(inputs, this.#device, CpuValue, expected, this.#options);
    const results: Storage[] = [];
    try {
      for (const type of this.#loaded.resultTypes) results.push(this.#device.pool.take(byteLength(type)));
      await this.#execute(given.storage, results);
    } catch (error) {
      given.giveBack();
      for (const storage of results) storage.release();
      const name = this.#options.name ?? "the program";
      throw new Error(`cpu: ${name} failed to run: ${messageOf(error)}`, { cause: error });
    }
    const outputs = this.#loaded.sources.map((source, i) => {
      const storage = source.kind === "input" ? given.storage[source.position] : results[source.index];
      // Sources are made with the program, so both positions exist.
      return new CpuValue(this.#device, this.outputTypes[i] as TensorType, (storage as Storage).share());
    });
    given.consume();
    for (const storage of results) storage.release();
    return outputs;
  }

  async #execute(inputs: readonly Storage[], results: readonly Storage[]): Promise<void> {
    const { session, inputNames, resultNames, resultTypes } = this.#loaded;
    const tensors = (
      names: readonly string[],
      types: readonly TensorType[],
      storage: readonly Storage[],
    ): Record<string, Tensor> =>
      Object.fromEntries(
        // Names, types and storage are three lists of one length.
        names.map((name, i) => [name, this.#device.tensor(types[i] as TensorType, storage[i] as Storage)]),
      );
    await session?.run(
      tensors(inputNames, this.inputTypes, inputs),
      tensors(resultNames, resultTypes, results),
    );
  }

  async dispose(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#device.forget(this);
    await this.#loaded.session?.dispose();
  }
}

export interface CpuOptions {
  /** Threads of one op; default: `FLUXION_THREADS`, else one per physical core. Processes that share cores are quicker with few. */
  readonly threads?: number;
}

/** The CPU device. */
export class CpuDevice implements Device {
  readonly name = "cpu";
  /** The storage of all values; its `usage` says how many bytes they take. */
  readonly pool = new StoragePool();
  readonly #engine: Engine;
  readonly #options: CpuOptions;
  readonly #executables = new Set<Executable>();
  #closed = false;

  constructor(engine: Engine, options: CpuOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  get closed(): boolean {
    return this.#closed;
  }

  describe(): string {
    const processors = cpus();
    const model = processors[0]?.model.trim() ?? "unknown processor";
    const { threads } = this.#options;
    const use = threads === undefined ? "a thread per core" : `${threads} thread${threads === 1 ? "" : "s"}`;
    const version = this.#engine.env.versions.node ?? this.#engine.env.versions.common;
    return `ONNX Runtime ${version}, ${use} (${processors.length} × ${model})`;
  }

  upload(tensor: HostTensor): DeviceValue {
    this.#checkOpen();
    checkUpload(tensor);
    const { shape, dtype, data } = toStorage(tensor);
    const type = { shape, dtype };
    const storage = this.pool.take(byteLength(type));
    view(type, storage.buffer).set(data);
    return new CpuValue(this, type, storage);
  }

  async compile(program: Program, options: CompileOptions = {}): Promise<Executable> {
    this.#checkOpen();
    checkDonation(options.donate ?? [], program.inputs.length);
    const executable = new CpuExecutable(this, program, await this.#load(program, options), options);
    this.#executables.add(executable);
    return executable;
  }

  async dispose(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all([...this.#executables].map((executable) => executable.dispose()));
    this.pool.clear();
  }

  /** Called by an executable at its end. */
  forget(executable: Executable): void {
    this.#executables.delete(executable);
  }

  /** The engine's view of storage, which reads and writes it in place. */
  tensor(type: TensorType, storage: Storage): Tensor {
    // One cast for the engine's overloads: TENSOR_TYPE and view name the same type for each dtype.
    const data = view(type, storage.buffer) as Float32Array;
    return new this.#engine.Tensor(TENSOR_TYPE[type.dtype] as "float32", data, type.shape);
  }

  #checkOpen(): void {
    if (this.#closed) throw new Error(closedMessage(this.name));
  }

  async #load(program: Program, options: CompileOptions): Promise<Loaded> {
    const { computed, sources } = sourcesOf(program);
    const kept: Program = { ...program, outputs: computed };
    const { name, inputNames, outputNames } = options;
    const resultNames =
      outputNames && computed.map((id) => outputNames[program.outputs.indexOf(id)] ?? `output${id}`);
    const model = toOnnx(kept, {
      sequenceOutput: SEQUENCE_OUTPUT,
      ...(name === undefined ? {} : { name }),
      ...(inputNames === undefined ? {} : { inputNames }),
      ...(resultNames === undefined ? {} : { outputNames: resultNames }),
    });
    const loaded = {
      inputNames: model.inputNames,
      resultNames: model.outputNames,
      resultTypes: outputTypes(kept),
      sources,
    };
    if (computed.length === 0) return { ...loaded, session: undefined };
    try {
      const session = await EngineSession.create(this.#engine, model.bytes, this.#options.threads);
      return { ...loaded, session };
    } catch (error) {
      const what = name ?? "the program";
      throw new Error(`cpu: ONNX Runtime refused ${what}: ${messageOf(error)}`, { cause: error });
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Opens the CPU device. @throws UserError when ONNX Runtime is missing or has no build for this platform, or the number of threads is none
 */
export async function openCpu(options: CpuOptions = {}): Promise<CpuDevice> {
  const { threads = wantedThreads(process.env["FLUXION_THREADS"]) } = options;
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
    throw new UserError(`The number of threads must be a whole number of at least 1, got ${threads}.`);
  }
  return new CpuDevice(await loadEngine(), threads === undefined ? {} : { threads });
}

/** What the environment says. @throws UserError when that is no number of threads */
function wantedThreads(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const threads = Number(text);
  if (Number.isInteger(threads) && threads >= 1) return threads;
  throw new UserError(`FLUXION_THREADS is "${text}": give a whole number of at least 1.`);
}
