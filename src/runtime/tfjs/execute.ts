/**
 * Carries out plans on the selected backend. A run is a generator: it stops where the host must see a tensor (branches, loops, ops
 * without a kernel), and whoever drives it reads the tensor, at once or asynchronously, as the backend can.
 *
 * Consumed by `tfjs-device.ts`. To add a kind of step: a case in `#step`.
 */
import type { HostTensor } from "../../compiler/host-tensor.ts";
import { interpret } from "../../compiler/interpret/interpret.ts";
import type {
  Block,
  CallStep,
  CondStep,
  Constant,
  HostStep,
  Plan,
  ScanStep,
  Slot,
  Step,
  Target,
  WhileStep,
} from "../../compiler/tfjs/plan.ts";
import { storageOf } from "../../compiler/tfjs/plan.ts";
import { outputsOf } from "../../compiler/tfjs/releases.ts";
import { inputTypes, sizeOf } from "../../dsl/program/program.ts";
import type { TensorType } from "../../dsl/program/program.ts";
import type { CpuKernels, TfArray, TfEngine, TfTensor } from "./engine.ts";
import type { Gpu } from "./gpu.ts";
import { fromBackend, toBackend } from "./tensors.ts";

const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;

/** Makes the tensors of a plan's constants, which are its owner's to dispose of. */
export function makeConstants(engine: TfEngine, constants: readonly Constant[]): readonly TfTensor[] {
  return constants.map(({ storage, shape, values }) => {
    const array: TfArray = new ARRAYS[storage](sizeOf(shape));
    if (typeof values === "number") array.fill(values);
    else array.set(values);
    return engine.makeTensor(array, shape, storage);
  });
}

/** What a run is while it goes on: it stops where the host must see the values of a tensor, and goes on with them. */
export type Steps<T> = Generator<TfTensor, T, TfArray>;

/** The tensors that one run has made and not yet disposed of. */
export class Workspace {
  readonly #engine: TfEngine;
  readonly #cpu: CpuKernels;
  readonly #gpu: Gpu | undefined;
  readonly #alive = new Set<TfTensor>();

  constructor(engine: TfEngine, cpu: CpuKernels, gpu: Gpu | undefined) {
    this.#engine = engine;
    this.#cpu = cpu;
    this.#gpu = gpu;
  }

  get alive(): Iterable<TfTensor> {
    return this.#alive;
  }

  call(kernel: string, inputs: unknown, attributes: unknown): TfTensor {
    const result = this.#keep(this.#engine.runKernel(kernel, inputs, attributes));
    // WebGPU says nothing, and gives zeros.
    this.#gpu?.checkFits({ shape: result.shape, dtype: "f32" }, "a value on the way");
    return result;
  }

  /** Calls a kernel of the cpu backend, whichever is selected. */
  callOnCpu(kernel: string, inputs: unknown, attributes: unknown): TfTensor {
    return this.#keep(this.#cpu.call(kernel, inputs, attributes));
  }

  /** A copy on the cpu backend of what was read. */
  copy(values: TfArray, { shape, dtype }: TfTensor): TfTensor {
    return this.#keep(this.#cpu.make(values.slice(), shape, dtype));
  }

  upload(tensor: HostTensor): TfTensor {
    return this.#keep(toBackend(this.#engine, tensor));
  }

  end(tensor: TfTensor): void {
    this.#alive.delete(tensor);
    tensor.dispose();
  }

  #keep(tensor: TfTensor): TfTensor {
    this.#alive.add(tensor);
    return tensor;
  }
}

/** The operands of a call, as the engine takes them. */
const operandsOf = (inputs: CallStep["inputs"], operand: (slot: Slot) => TfTensor): unknown =>
  Array.isArray(inputs)
    ? inputs.map(operand)
    : Object.fromEntries(Object.entries(inputs).map(([name, slot]) => [name, operand(slot)]));

/** One run of a plan: the tensors in its slots. */
class Run {
  readonly #workspace: Workspace;
  readonly #target: Target;
  readonly #slots: (TfTensor | undefined)[];

  constructor(workspace: Workspace, { slots, target }: Plan) {
    this.#workspace = workspace;
    this.#target = target;
    this.#slots = Array.from({ length: slots });
  }

  get(slot: Slot): TfTensor {
    const tensor = this.#slots[slot];
    if (tensor === undefined) throw new Error(`the plan reads slot ${slot} before it is filled`);
    return tensor;
  }

  set(slot: Slot, tensor: TfTensor): void {
    this.#slots[slot] = tensor;
  }

  /** Runs a block; its outputs are the caller's. */
  *block({ inputs, steps, outputs, releases }: Block, given: readonly TfTensor[]): Steps<TfTensor[]> {
    inputs.forEach((slot, i) => this.set(slot, given[i] as TfTensor)); // the plan gives as many
    this.#release(releases[0]);
    for (const [i, step] of steps.entries()) {
      if (step.kind === "call" && step.cpu === undefined) this.set(step.output, this.#call(step));
      else this.#fill(outputsOf(step), yield* this.#step(step));
      this.#release(releases[i + 1]);
    }
    return outputs.map((slot) => this.get(slot));
  }

  #release(slots: readonly Slot[] = []): void {
    for (const slot of slots) {
      this.#workspace.end(this.get(slot));
      this.#slots[slot] = undefined;
    }
  }

  #fill(slots: readonly Slot[], tensors: readonly TfTensor[]): void {
    slots.forEach((slot, i) => this.set(slot, tensors[i] as TfTensor)); // the plan gives as many
  }

  #step(step: Step): Steps<readonly TfTensor[]> {
    switch (step.kind) {
      case "call":
        return this.#callOnCpu(step);
      case "host":
        return this.#host(step);
      case "scan":
        return this.#scan(step);
      case "cond":
        return this.#cond(step);
      case "while":
        return this.#while(step);
    }
  }

  #call({ kernel, inputs, attributes }: CallStep): TfTensor {
    const given = operandsOf(inputs, (slot) => this.get(slot));
    return this.#workspace.call(kernel, given, attributes);
  }

  *#callOnCpu({ kernel, inputs, attributes, cpu }: CallStep): Steps<readonly TfTensor[]> {
    const copies = new Map<Slot, TfTensor>();
    for (const slot of cpu?.copied ?? []) {
      if (copies.has(slot)) continue;
      const tensor = this.get(slot);
      copies.set(slot, this.#workspace.copy(yield tensor, tensor));
    }
    const operand = (slot: Slot): TfTensor => copies.get(slot) ?? this.get(slot);
    const result = this.#workspace.callOnCpu(kernel, operandsOf(inputs, operand), attributes);
    for (const copy of copies.values()) this.#workspace.end(copy);
    return [result];
  }

  *#host({ program, inputs }: HostStep): Steps<readonly TfTensor[]> {
    const given: HostTensor[] = [];
    for (const [i, type] of inputTypes(program).entries())
      given.push(fromBackend(type, yield this.get(inputs[i] as Slot))); // one per input
    return interpret(program, given).map((tensor) => this.#workspace.upload(tensor));
  }

  *#cond({ predicate, onTrue, onFalse }: CondStep): Steps<readonly TfTensor[]> {
    const verdict = yield this.get(predicate);
    return yield* this.block(verdict[0] === 1 ? onTrue : onFalse, []);
  }

  /** Another tensor of the same data, which is disposed of on its own. */
  #share(tensor: TfTensor): TfTensor {
    return this.#reshape(tensor, tensor.shape);
  }

  #reshape(tensor: TfTensor, shape: readonly number[]): TfTensor {
    return this.#move("Reshape", { x: tensor }, { shape }, tensor);
  }

  /** A kernel that moves elements, called where those of `like` are. */
  #move(kernel: string, inputs: unknown, attributes: unknown, like: TfTensor): TfTensor {
    return like.dtype === "int32" && this.#target.integers === "cpu"
      ? this.#workspace.callOnCpu(kernel, inputs, attributes)
      : this.#workspace.call(kernel, inputs, attributes);
  }

  /** Reshapes a tensor that nobody else needs. */
  #turned(tensor: TfTensor, shape: readonly number[]): TfTensor {
    const result = this.#reshape(tensor, shape);
    this.#workspace.end(tensor);
    return result;
  }

  #empty({ shape, dtype }: TensorType): TfTensor {
    return this.#workspace.upload({ shape, dtype, data: new ARRAYS[storageOf(dtype)](0) });
  }

  /** Element `at` of the first axis. */
  #slice(tensor: TfTensor, { shape, dtype }: TensorType, at: number): TfTensor {
    const row = shape.slice(1);
    const size = sizeOf(row);
    if (size === 0) return this.#empty({ shape: row, dtype });
    const flat = this.#reshape(tensor, [shape[0] as number, size]); // what is scanned has a first axis
    const slice = this.#move("Slice", { x: flat }, { begin: [at, 0], size: [1, size] }, flat);
    this.#workspace.end(flat);
    return this.#turned(slice, row);
  }

  /** Joins rows along a new first axis and disposes of them. */
  #stack(rows: readonly TfTensor[], type: TensorType): TfTensor {
    const size = sizeOf(type.shape.slice(1));
    if (size === 0) {
      for (const row of rows) this.#workspace.end(row);
      return this.#empty(type);
    }
    const [first, ...others] = rows;
    if (first !== undefined && others.length === 0) return this.#turned(first, type.shape); // TensorFlow joins two or more
    const flat = rows.map((row) => this.#turned(row, [1, size]));
    const joined = this.#move("Concat", flat, { axis: 0 }, flat[0] as TfTensor); // loops without rounds are not lowered
    for (const row of flat) this.#workspace.end(row);
    return this.#turned(joined, type.shape);
  }

  *#scan({ length, reverse, carried, scanned, body, stacked }: ScanStep): Steps<readonly TfTensor[]> {
    let state = carried.map((slot) => this.#share(this.get(slot)));
    const rows: TfTensor[][] = stacked.map(() => []);
    for (let i = 0; i < length; i++) {
      const at = reverse ? length - 1 - i : i;
      const slices = scanned.map(({ slot, type }) => this.#slice(this.get(slot), type, at));
      const results = yield* this.block(body, [...state, ...slices]);
      state = results.slice(0, carried.length);
      results.slice(carried.length).forEach((row, n) => rows[n]?.push(row));
    }
    if (reverse) for (const list of rows) list.reverse();
    return [...state, ...stacked.map((type, n) => this.#stack(rows[n] as TfTensor[], type))]; // a list per output
  }

  *#while({ carried, condition, body }: WhileStep): Steps<readonly TfTensor[]> {
    let state: readonly TfTensor[] = carried.map((slot) => this.#share(this.get(slot)));
    for (;;) {
      const [verdict] = (yield* this.block(condition, state)) as [TfTensor]; // the verifier saw one output
      const goesOn = (yield verdict)[0] === 1;
      this.#workspace.end(verdict);
      if (!goesOn) return state;
      state = yield* this.block(body, state);
    }
  }
}

/**
 * Runs a plan. The inputs stay the caller's; the outputs, which are among what is alive in the workspace, become the caller's.
 * @param constants of {@link makeConstants}
 */
export function* execute(
  workspace: Workspace,
  plan: Plan,
  constants: readonly TfTensor[],
  inputs: readonly TfTensor[],
): Steps<readonly TfTensor[]> {
  const run = new Run(workspace, plan);
  plan.constants.forEach(({ slot }, i) => run.set(slot, constants[i] as TfTensor)); // one per constant
  return yield* run.block(plan.main, inputs);
}
