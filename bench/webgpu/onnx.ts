/**
 * ONNX Runtime's `webgpu` provider as a device: our programs as ONNX models, the same that the cpu device gets. Its binding is made for
 * one model at a time, so this goes a little out of its way to be fair: large tensors stay on the GPU from run to run.
 *
 * What the provider has no kernel for, it computes on the CPU, and copies there and back. Consumed by the peers on webgpu.
 */
import type { InferenceSession, Tensor } from "onnxruntime-node";
import { hostTensor, toStorage } from "../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../src/compiler/host-tensor.ts";
import { interpret } from "../../src/compiler/interpret/interpret.ts";
import { toOnnx } from "../../src/compiler/onnx/to-onnx.ts";
import { inputTypes, outputTypes, sizeOf } from "../../src/dsl/program/program.ts";
import type { Program, TensorType, VarId } from "../../src/dsl/program/program.ts";
import type { CompileOptions, Device, DeviceValue, Executable } from "../../src/runtime/device.ts";
import { loadEngine } from "../../src/runtime/onnx/engine.ts";

const engine = await loadEngine();

/** Tensors of fewer elements are kept on the host: losses are read, and counters are no work for a GPU. */
const LEAST_ON_GPU = 64;

const onGpu = ({ shape, dtype }: TensorType): boolean =>
  (dtype === "f32" || dtype === "f16") && sizeOf(shape) >= LEAST_ON_GPU;

const NAMES = { f32: "float32", f16: "float16", i32: "int32", u32: "uint32", bool: "bool" } as const;

const onHost = ({ shape, dtype, data }: HostTensor): Tensor =>
  new engine.Tensor(NAMES[dtype], data as never, [...shape]); // data is in the storage form of its dtype

/** The outputs that depend on no input, with their values. */
function constantOutputs(program: Program): ReadonlyMap<VarId, HostTensor> {
  const varying = new Set(program.inputs);
  const equations = program.equations.filter(({ inputs, outputs }) => {
    const varies = inputs.some((id) => varying.has(id));
    if (varies) for (const id of outputs) varying.add(id);
    return !varies;
  });
  const outputs = program.outputs.filter((id) => !varying.has(id));
  const values = interpret({ ...program, inputs: [], equations, outputs }, []);
  return new Map(outputs.map((id, i) => [id, toStorage(values[i] as HostTensor)])); // one value for each
}

/** A tensor and how many values hold it: the binding frees a tensor of a session once for each of its objects in JavaScript. */
class Shared {
  readonly tensor: Promise<Tensor>;
  #uses = 1;

  constructor(tensor: Promise<Tensor>) {
    this.tensor = tensor;
  }

  share(): Shared {
    this.#uses++;
    return this;
  }

  release(): void {
    if (--this.#uses === 0) void this.tensor.then((tensor) => tensor.dispose());
  }
}

class OnnxValue implements DeviceValue {
  readonly type: TensorType;
  readonly shared: Shared;
  readonly #device: OnnxWebGpu;
  disposed = false;

  /** Takes over one use of the tensor. */
  constructor(device: OnnxWebGpu, type: TensorType, shared: Shared) {
    this.type = type;
    this.shared = shared;
    this.#device = device;
  }

  async read(): Promise<HostTensor> {
    const tensor = await this.shared.tensor;
    const { data } = tensor.location === "cpu" ? tensor : await this.#device.copy(this.type, tensor, "cpu");
    if (this.type.dtype !== "f16") return hostTensor(this.type.dtype, this.type.shape, data as Float32Array);
    // Bits, whether this Node has an array of f16 or not.
    const { buffer, byteOffset, length } = data as Uint16Array<ArrayBuffer>;
    return { ...this.type, data: new Uint16Array(buffer, byteOffset, length) };
  }

  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.shared.release();
  }
}

/**
 * Sessions are never released: a tensor that a session has made ends in its memory, and the binding does not see to it that one is still
 * there when the other goes, but crashes.
 */
export class OnnxWebGpu implements Device {
  readonly name = "onnxruntime webgpu";
  /** Programs that copy a tensor, by type and direction. */
  readonly #copies = new Map<string, Promise<InferenceSession>>();

  describe(): string {
    return "ONNX Runtime's webgpu provider";
  }

  upload(tensor: HostTensor): DeviceValue {
    const type = { shape: tensor.shape, dtype: tensor.dtype };
    const given = onHost(tensor);
    const held = onGpu(type) ? this.copy(type, given, "gpu-buffer") : Promise.resolve(given);
    return new OnnxValue(this, type, new Shared(held));
  }

  async compile(program: Program, { donate = [] }: CompileOptions = {}): Promise<Executable> {
    // Each result once, no input and no constant: the engine would give out one tensor as two, or one of its own.
    const constants = constantOutputs(program);
    const made = [...new Set(program.outputs)].filter(
      (id) => !program.inputs.includes(id) && !constants.has(id),
    );
    const model = toOnnx({ ...program, outputs: made });
    const typeOf = (id: VarId): TensorType => program.types[id] as TensorType; // variables have types
    const locations = Object.fromEntries(
      made.map(
        (id, i) => [model.outputNames[i] as string, onGpu(typeOf(id)) ? "gpu-buffer" : "cpu"] as const,
      ), // one name for each
    );
    // It refuses a model that makes nothing.
    const session = made.length === 0 ? undefined : await this.#load(model.bytes, locations);
    return {
      inputTypes: inputTypes(program),
      outputTypes: outputTypes(program),
      run: async (inputs) => {
        const given = (inputs as readonly OnnxValue[]).map(({ shared }) => shared);
        const tensors = await Promise.all(given.map(({ tensor }) => tensor));
        const feeds = Object.fromEntries(model.inputNames.map((name, i) => [name, tensors[i] as Tensor])); // the caller gives all
        const results = (await session?.run(feeds)) ?? {};
        const fresh = new Map(
          made.map((id, i) => [
            id,
            new Shared(Promise.resolve(results[model.outputNames[i] as string] as Tensor)), // it has all names
          ]),
        );
        const outputs = program.outputs.map((id) => {
          const constant = constants.get(id);
          if (constant !== undefined) return this.upload(constant);
          const shared = fresh.get(id) ?? (given[program.inputs.indexOf(id)] as Shared); // one or the other
          return new OnnxValue(this, typeOf(id), shared.share());
        });
        for (const shared of fresh.values()) shared.release();
        // The binding cannot write into them; so donating is no more than letting go.
        for (const position of donate) inputs[position]?.dispose();
        return outputs;
      },
      dispose: async () => undefined,
    };
  }

  /** Waits for all runs so far: they are done in order, and this reads a number. */
  async finished(): Promise<void> {
    const type: TensorType = { shape: [LEAST_ON_GPU], dtype: "f32" };
    const one = await this.copy(type, onHost(hostTensor("f32", type.shape, new Float32Array(LEAST_ON_GPU))), "gpu-buffer"); // prettier-ignore
    await this.copy(type, one, "cpu");
    one.dispose();
  }

  async dispose(): Promise<void> {}

  async copy(type: TensorType, tensor: Tensor, to: "cpu" | "gpu-buffer"): Promise<Tensor> {
    const key = `${to} ${type.dtype} ${type.shape.join(",")}`;
    let session = this.#copies.get(key);
    if (session === undefined) {
      const identity: Program = { inputs: [0], equations: [], outputs: [0], types: [type] };
      session = this.#load(toOnnx(identity).bytes, { output0: to });
      this.#copies.set(key, session);
    }
    return (await (await session).run({ input0: tensor }))["output0"] as Tensor; // the names that models have by default
  }

  #load(
    model: Uint8Array,
    preferredOutputLocation: Readonly<Record<string, Tensor.DataLocation>>,
  ): Promise<InferenceSession> {
    return engine.InferenceSession.create(model, {
      executionProviders: ["webgpu"],
      preferredOutputLocation,
      logSeverityLevel: 4, // it warns of every node that it leaves to the CPU
    });
  }
}
