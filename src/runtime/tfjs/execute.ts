/**
 * Carries out plans on the selected backend, from the first step to the last without a pause. What the host must see (branches, loops,
 * ops without a kernel) is read synchronously, which the backends that run here can do.
 *
 * Consumed by `tfjs-device.ts`. To add a kind of step: a case in `#step`.
 */
import { interpret } from "../../compiler/interpret/interpret.ts";
import type {
  Block,
  CallStep,
  Constant,
  HostStep,
  Plan,
  ScanStep,
  Slot,
  Step,
  WhileStep,
} from "../../compiler/tfjs/plan.ts";
import { storageOf } from "../../compiler/tfjs/plan.ts";
import { inputTypes, sizeOf } from "../../dsl/program/program.ts";
import type { TensorType } from "../../dsl/program/program.ts";
import type { TfArray, TfEngine, TfTensor } from "./engine.ts";
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

/** One run of a plan: the tensors in its slots. */
class Run {
  readonly #engine: TfEngine;
  readonly #slots: (TfTensor | undefined)[];

  constructor(engine: TfEngine, slots: number) {
    this.#engine = engine;
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
  block({ inputs, steps, outputs, releases }: Block, given: readonly TfTensor[]): readonly TfTensor[] {
    inputs.forEach((slot, i) => this.set(slot, given[i] as TfTensor)); // the plan gives as many
    this.#release(releases[0]);
    steps.forEach((step, i) => {
      this.#step(step);
      this.#release(releases[i + 1]);
    });
    return outputs.map((slot) => this.get(slot));
  }

  #release(slots: readonly Slot[] = []): void {
    for (const slot of slots) {
      this.get(slot).dispose();
      this.#slots[slot] = undefined;
    }
  }

  #fill(slots: readonly Slot[], tensors: readonly TfTensor[]): void {
    slots.forEach((slot, i) => this.set(slot, tensors[i] as TfTensor)); // the plan gives as many
  }

  #step(step: Step): void {
    switch (step.kind) {
      case "call":
        return this.set(step.output, this.#call(step));
      case "host":
        return this.#fill(step.outputs, this.#host(step));
      case "scan":
        return this.#fill(step.outputs, this.#scan(step));
      case "cond":
        return this.#fill(
          step.outputs,
          this.block(this.#isTrue(step.predicate) ? step.onTrue : step.onFalse, []),
        );
      case "while":
        return this.#fill(step.outputs, this.#while(step));
    }
  }

  #call({ kernel, inputs, attributes }: CallStep): TfTensor {
    const given = Array.isArray(inputs)
      ? inputs.map((slot: Slot) => this.get(slot))
      : Object.fromEntries(Object.entries(inputs).map(([name, slot]) => [name, this.get(slot)]));
    return this.#engine.runKernel(kernel, given, attributes);
  }

  #host({ program, inputs }: HostStep): readonly TfTensor[] {
    const given = inputTypes(program).map((type, i) =>
      fromBackend(type, this.get(inputs[i] as Slot).dataSync()),
    );
    return interpret(program, given).map((tensor) => toBackend(this.#engine, tensor));
  }

  #isTrue(slot: Slot): boolean {
    return this.get(slot).dataSync()[0] === 1;
  }

  /** Another tensor of the same data, which is disposed of on its own. */
  #share(tensor: TfTensor): TfTensor {
    return this.#reshape(tensor, tensor.shape);
  }

  #reshape(tensor: TfTensor, shape: readonly number[]): TfTensor {
    return this.#engine.runKernel("Reshape", { x: tensor }, { shape });
  }

  /** Reshapes a tensor that nobody else needs. */
  #turned(tensor: TfTensor, shape: readonly number[]): TfTensor {
    const result = this.#reshape(tensor, shape);
    tensor.dispose();
    return result;
  }

  /** Element `at` of the first axis. */
  #slice(tensor: TfTensor, { shape, dtype }: TensorType, at: number): TfTensor {
    const row = shape.slice(1);
    const size = sizeOf(row);
    if (size === 0)
      return toBackend(this.#engine, { shape: row, dtype, data: new ARRAYS[storageOf(dtype)](0) });
    const flat = this.#reshape(tensor, [shape[0] as number, size]); // what is scanned has a first axis
    const slice = this.#engine.runKernel("Slice", { x: flat }, { begin: [at, 0], size: [1, size] });
    flat.dispose();
    return this.#turned(slice, row);
  }

  /** Joins rows along a new first axis and disposes of them. */
  #stack(rows: readonly TfTensor[], { shape, dtype }: TensorType): TfTensor {
    const size = sizeOf(shape.slice(1));
    if (size === 0) {
      for (const row of rows) row.dispose();
      return toBackend(this.#engine, { shape, dtype, data: new ARRAYS[storageOf(dtype)](0) });
    }
    const [first, ...others] = rows;
    if (first !== undefined && others.length === 0) return this.#turned(first, shape); // TensorFlow joins two or more
    const flat = rows.map((row) => this.#turned(row, [1, size]));
    const joined = this.#engine.runKernel("Concat", flat, { axis: 0 });
    for (const row of flat) row.dispose();
    return this.#turned(joined, shape);
  }

  #scan({ length, reverse, carried, scanned, body, stacked }: ScanStep): readonly TfTensor[] {
    let state = carried.map((slot) => this.#share(this.get(slot)));
    const rows: TfTensor[][] = stacked.map(() => []);
    for (let i = 0; i < length; i++) {
      const at = reverse ? length - 1 - i : i;
      const slices = scanned.map(({ slot, type }) => this.#slice(this.get(slot), type, at));
      const results = this.block(body, [...state, ...slices]);
      state = results.slice(0, carried.length);
      results.slice(carried.length).forEach((row, n) => rows[n]?.push(row));
    }
    if (reverse) for (const list of rows) list.reverse();
    return [...state, ...stacked.map((type, n) => this.#stack(rows[n] as TfTensor[], type))]; // a list per output
  }

  #while({ carried, condition, body }: WhileStep): readonly TfTensor[] {
    let state: readonly TfTensor[] = carried.map((slot) => this.#share(this.get(slot)));
    const goesOn = (): boolean => {
      const [verdict] = this.block(condition, state);
      const yes = verdict?.dataSync()[0] === 1;
      verdict?.dispose();
      return yes;
    };
    while (goesOn()) state = this.block(body, state);
    return state;
  }
}

/**
 * Runs a plan. The inputs stay the caller's, the outputs become the caller's.
 * @param constants of {@link makeConstants}
 */
export function execute(
  engine: TfEngine,
  plan: Plan,
  constants: readonly TfTensor[],
  inputs: readonly TfTensor[],
): readonly TfTensor[] {
  const run = new Run(engine, plan.slots);
  plan.constants.forEach(({ slot }, i) => run.set(slot, constants[i] as TfTensor)); // one per constant
  return run.block(plan.main, inputs);
}
