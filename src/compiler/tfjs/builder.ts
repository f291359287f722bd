/**
 * Writes a plan step by step. One builder writes one block; builders of nested blocks share slots and constants with the outermost.
 *
 * Consumed by every rule. Shapes of values are checked by `lower/index.ts`, so the methods trust theirs.
 */
import type { Program, TensorType } from "../../dsl/program/program.ts";
import { sameShape, sizeOf } from "../../dsl/program/program.ts";
import type { DType } from "../../dsl/types/dtype.ts";
import { alignedHeld, broadcastShapes, isWhole, mergedShapes, stripLeading } from "../held-shape.ts";
import { fuseProducts } from "./fuse.ts";
import type { Slots } from "./fuse.ts";
import { storageOf } from "./plan.ts";
import type { Attributes, Block, CallStep, Constant, Plan, Slot, Step, Target } from "./plan.ts";
import { kernelsOf, outputsOf, releasesOf } from "./releases.ts";
import type { Value } from "./value.ts";

/** Kernels of more axes than this are called with neighbouring axes merged: some compute nonsense above six, the others get slow. */
const FEW_AXES = 4;

/** Constants of at most so many elements are kept for all runs when they are only one number; larger ones are filled in each run. */
const KEPT_FILL = 1024;

/** Kernels that broadcast floats as fast as they compute; the others are about thirty times slower at it on WebAssembly. */
const FAST_BROADCAST: ReadonlySet<string> = new Set(["Add", "Sub", "Multiply", "RealDiv"]);

/** Kernels that move rows of floats by their numbers, which no backend gets wrong up to {@link ROWS}. */
const BY_INDEX: ReadonlySet<string> = new Set(["GatherV2", "ScatterNd"]);

/** So many rows have numbers that float32 has exactly. */
const ROWS = 2 ** 24;

/** Kernels that only name data. */
const VIEWS: ReadonlySet<string> = new Set(["Reshape", "Identity"]);

/** Numbers as text that tells −0 from 0. */
const textOf = (values: number | readonly number[]): string =>
  [values]
    .flat()
    .map((x) => (Object.is(x, -0) ? "-0" : String(x)))
    .join();

type Call = Pick<CallStep, "kernel" | "inputs" | "attributes">;

/** What all blocks of a plan share. */
class PlanScope implements Slots {
  readonly constants: Constant[] = [];
  readonly target: Target;
  readonly #known = new Map<string, Slot>();
  /** What is stored in each slot. */
  readonly #types: TensorType[] = [];

  constructor(target: Target) {
    this.target = target;
  }

  get slots(): number {
    return this.#types.length;
  }

  newSlot(type: TensorType): Slot {
    return this.#types.push(type) - 1;
  }

  typeOf(slot: Slot): TensorType {
    return this.#types[slot] as TensorType; // slots come from here
  }

  splatOf(slot: Slot): number | undefined {
    const values = this.constants.find((constant) => constant.slot === slot)?.values;
    return typeof values === "number" ? values : undefined;
  }

  #isInteger(slot: Slot): boolean {
    return storageOf(this.typeOf(slot).dtype) === "int32";
  }

  /** Where a kernel is called: undefined on the plan's own backend. */
  place({ kernel, inputs, attributes }: Call, dtype: DType, rank: number, rows: number): CallStep["cpu"] {
    const { integers, avoided = [], boolless = [], mostAxes = Infinity } = this.target;
    const operands = Object.values(inputs);
    const words = operands.filter((slot) => this.#isInteger(slot));
    const computesWithWords =
      integers === "cpu" &&
      (storageOf(dtype) === "int32" || words.length > 0) &&
      !(storageOf(dtype) === "float32" && BY_INDEX.has(kernel) && rows <= ROWS) &&
      !(kernel === "ArgMax" && words.length === 0);
    const isLeftOut =
      avoided.includes(kernel) ||
      (boolless.includes(kernel) && operands.some((slot) => this.typeOf(slot).dtype === "bool"));
    const { axis, reductionIndices } = attributes;
    const reduced = [axis, reductionIndices].find((axes) => Array.isArray(axes)) ?? [];
    const most = VIEWS.has(kernel) ? 0 : rank + (reduced as readonly number[]).length;
    if (!computesWithWords && !isLeftOut && most <= mostAxes) return undefined;
    return { copied: operands.filter((slot) => integers !== "cpu" || !this.#isInteger(slot)) };
  }

  /** A known tensor; equal small ones are stored once. */
  constant(dtype: DType, shape: readonly number[], values: number | readonly number[]): Slot {
    const stored = (x: number): number => (dtype === "u32" ? x | 0 : x);
    const small = typeof values === "number" || values.length <= 16;
    const key = small ? `${storageOf(dtype)}[${shape.join()}]${textOf(values)}` : "";
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const slot = this.newSlot({ dtype, shape });
    if (small) this.#known.set(key, slot);
    this.constants.push({
      slot,
      storage: storageOf(dtype),
      shape,
      values: typeof values === "number" ? stored(values) : values.map(stored),
    });
    return slot;
  }
}

export class PlanBuilder {
  readonly #scope: PlanScope;
  readonly #steps: Step[] = [];
  /** Slots that steps of this block fill. */
  readonly #made = new Set<Slot>();

  private constructor(scope: PlanScope) {
    this.#scope = scope;
  }

  static forPlan(target: Target): PlanBuilder {
    return new PlanBuilder(new PlanScope(target));
  }

  get target(): Target {
    return this.#scope.target;
  }

  /** The builder of a block nested in this one. */
  child(): PlanBuilder {
    return new PlanBuilder(this.#scope);
  }

  /** A value of a type whose elements are all stored, in a new slot that the caller sees filled. */
  stored({ dtype, shape }: TensorType): Value {
    return { slot: this.#scope.newSlot({ dtype, shape }), dtype, shape, held: shape };
  }

  push(step: Step): void {
    this.#steps.push(step);
    for (const slot of outputsOf(step)) this.#made.add(slot);
  }

  /** Calls a kernel whose result has the stored shape `shape`. @param rows of the operand that is indexed, where one is */
  call(
    kernel: string,
    inputs: CallStep["inputs"],
    dtype: DType,
    shape: readonly number[],
    attributes: Attributes = {},
    rows = 0,
  ): Value {
    const value = this.stored({ dtype, shape });
    const cpu = this.#scope.place({ kernel, inputs, attributes }, dtype, shape.length, rows);
    this.push({ kind: "call", kernel, inputs, attributes, output: value.slot, ...(cpu && { cpu }) });
    if (cpu !== undefined || storageOf(dtype) !== "int32" || this.#scope.target.integers !== "cpu")
      return value;
    // An integer that a kernel of floats found goes where all integers are.
    const there = this.stored({ dtype, shape });
    const copy = { kind: "call", kernel: "Identity", inputs: { x: value.slot }, attributes: {} } as const;
    this.push({ ...copy, output: there.slot, cpu: { copied: [value.slot] } });
    return there;
  }

  /** Carries out a program on the host, on the inputs as they are stored. */
  host(program: Program, inputs: readonly Value[], outputs: readonly TensorType[]): readonly Value[] {
    const operands = inputs.map((input) => input.slot);
    const results = outputs.map((type) => this.stored(type));
    this.push({ kind: "host", program, inputs: operands, outputs: results.map(({ slot }) => slot) });
    return results;
  }

  /** A known tensor. */
  tensor(type: TensorType, values: readonly number[]): Value {
    const { dtype, shape } = type;
    return { slot: this.#scope.constant(dtype, shape, values), dtype, shape, held: shape };
  }

  /** A tensor of equal elements, stored as one number. */
  splat({ dtype, shape }: TensorType, value: number): Value {
    return { slot: this.#scope.constant(dtype, [], value), dtype, shape, held: [], splat: value };
  }

  scalar(dtype: DType, value: number): Value {
    return this.splat({ dtype, shape: [] }, value);
  }

  /** A tensor without elements. */
  empty(type: TensorType): Value {
    return this.tensor(type, []);
  }

  /** The same elements under another dtype of the same storage. */
  as(value: Value, dtype: DType): Value {
    const { splat, ...rest } = value;
    if (splat === undefined) return { ...rest, dtype };
    const wrapped = dtype === "u32" ? splat >>> 0 : dtype === "i32" ? splat | 0 : splat;
    return { ...rest, dtype, splat: wrapped };
  }

  /** The same value under a stored shape of equal size. */
  holdAs(value: Value, held: readonly number[]): Value {
    if (sameShape(value.held, held)) return value;
    const { slot } = this.call("Reshape", { x: value.slot }, value.dtype, held, { shape: held });
    return { ...value, slot, held };
  }

  /** The value with every element stored. */
  whole(value: Value): Value {
    if (isWhole(value)) return value;
    const { shape, dtype, splat } = value;
    const size = sizeOf(shape);
    if (size === 0) return this.empty({ dtype, shape });
    const held = alignedHeld(value);
    if (sameShape(held, shape)) return this.holdAs(value, shape);
    if (splat !== undefined && size <= KEPT_FILL)
      return { ...value, slot: this.#scope.constant(dtype, shape, splat), held: shape };
    if (splat !== undefined && Number.isFinite(splat) && !Object.is(splat, -0))
      return this.#filled(dtype, shape, splat);
    return { ...this.#expanded(value, shape), shape };
  }

  /** The value stored under a shape to which its stored one broadcasts. */
  #expanded(value: Value, held: readonly number[]): Value {
    const { dtype } = value;
    if (storageOf(dtype) === "float32") {
      // Times one, since the kernel for products broadcasts about fifty times faster than the one for repetition on WebAssembly.
      return this.elementwise("Multiply", { a: value, b: this.#filled("f32", held, 1) }, dtype);
    }
    if (dtype === "bool") {
      const numbers = this.call("Cast", { x: value.slot }, "f32", value.held, { dtype: "float32" });
      const all = this.#expanded({ ...numbers, shape: held }, held);
      return { ...this.call("Cast", { x: all.slot }, dtype, held, { dtype: "bool" }), shape: value.shape };
    }
    // Merged with the full shape, axes alternate between those that are stored and those that repeat.
    const own = [...Array<number>(held.length - value.held.length).fill(1), ...value.held];
    const [some, full] = mergedShapes([own, held]) as readonly [readonly number[], readonly number[]];
    const reps = full.map((extent, axis) => extent / (some[axis] as number)); // of one rank
    const tiled = this.call("Tile", { x: this.holdAs(value, some).slot }, dtype, full, { reps });
    return { ...this.holdAs(tiled, held), shape: value.shape };
  }

  /** Equal elements, all stored. The number is finite. */
  #filled(dtype: DType, shape: readonly number[], value: number): Value {
    if (sizeOf(shape) <= KEPT_FILL)
      return { slot: this.#scope.constant(dtype, shape, value), dtype, shape, held: shape, splat: value };
    const stored = dtype === "u32" ? value | 0 : value;
    const attributes = { shape, value: stored, dtype: storageOf(dtype) };
    return { ...this.call("Fill", {}, dtype, shape, attributes), splat: value };
  }

  /** An elementwise kernel: operands broadcast, and what is equal along an axis in all of them stays stored once. */
  elementwise(kernel: string, operands: Readonly<Record<string, Value>>, dtype: DType): Value {
    const names = Object.keys(operands);
    const values = Object.values(operands);
    const held = broadcastShapes(values.map((value) => value.held));
    const shape = broadcastShapes(values.map((value) => value.shape));
    if (!FAST_BROADCAST.has(kernel)) {
      // One number for all is no burden.
      const slow = (value: Value): boolean =>
        storageOf(value.dtype) !== "int32" && sizeOf(value.held) > 1 && sizeOf(value.held) < sizeOf(held);
      if (values.some(slow)) {
        const expanded = values.map((value) => (slow(value) ? this.#expanded(value, held) : value));
        const again = Object.fromEntries(names.map((name, i) => [name, expanded[i] as Value]));
        return { ...this.elementwise(kernel, again, dtype), shape };
      }
    }
    const few = held.length <= FEW_AXES;
    const shapes = few ? values.map((value) => value.held) : mergedShapes(values.map((value) => value.held));
    // A shape per operand, a name per operand.
    const given = values.map((value, i) => this.holdAs(value, shapes[i] as readonly number[]).slot);
    const inputs = Object.fromEntries(names.map((name, i) => [name, given[i] as Slot]));
    const result = this.call(kernel, inputs, dtype, broadcastShapes(shapes));
    return { ...this.holdAs(result, held), shape, held };
  }

  /** Reshapes; `value` is written out first unless only axes of extent 1 come and go. */
  reshape(value: Value, shape: readonly number[]): Value {
    if (sameShape(value.shape, shape)) return value;
    if (value.held.length === 0) return { ...value, shape };
    const long = (extents: readonly number[]): readonly number[] => extents.filter((extent) => extent !== 1);
    if (!isWhole(value) && sameShape(long(value.shape), long(shape))) {
      const held = alignedHeld(value);
      const stored = value.shape.flatMap((extent, axis) => (extent === 1 ? [] : [held[axis] as number]));
      const aligned = shape.map((extent) => (extent === 1 ? 1 : (stored.shift() as number))); // as many as long ones
      return { ...this.holdAs(value, stripLeading(aligned)), shape };
    }
    return { ...this.holdAs(this.whole(value), shape), shape };
  }

  /** The value in another shape, with every element stored: as kernels take it. */
  shaped(value: Value, shape: readonly number[]): Value {
    return this.whole(this.reshape(this.whole(value), shape));
  }

  /** Repeats: axis i of `value` becomes axis dims[i] of `shape`. Nothing is written out. */
  broadcast(value: Value, shape: readonly number[], dims: readonly number[]): Value {
    const held = alignedHeld(value);
    const target = Array<number>(shape.length).fill(1);
    // Dims and held have the operand's rank.
    dims.forEach((dim, axis) => (target[dim] = held[axis] as number));
    return { ...this.holdAs(value, stripLeading(target)), shape };
  }

  /** Permutes axes: output axis i is input axis perm[i]. */
  transpose(value: Value, perm: readonly number[]): Value {
    const shape = perm.map((axis) => value.shape[axis] as number);
    if (value.held.length === 0 || perm.every((axis, i) => axis === i)) return { ...value, shape };
    const aligned = alignedHeld(value);
    const held = perm.map((axis) => aligned[axis] as number);
    const moved = perm.filter((axis) => aligned[axis] !== 1);
    const inOrder = moved.every((axis, i) => i === 0 || axis > (moved[i - 1] as number));
    if (inOrder || sizeOf(held) === 0) return { ...this.holdAs(value, held), shape };
    const { slot } = this.call("Transpose", { x: this.holdAs(value, aligned).slot }, value.dtype, held, {
      perm,
    });
    return { slot, dtype: value.dtype, shape, held };
  }

  /** Closes the block. @param owned whether the block disposes of its inputs, or may return them; else they stay its caller's */
  block(inputs: readonly Value[], outputs: readonly Value[], owned: boolean): Block {
    const mine = inputs.map(({ slot }) => slot);
    const returned = new Set<Slot>();
    const results = outputs.map((output) => {
      const whole = this.whole(output);
      const own = this.#made.has(whole.slot) || (owned && mine.includes(whole.slot));
      const { shape, dtype } = whole;
      const slot =
        own && !returned.has(whole.slot)
          ? whole.slot
          : this.call("Reshape", { x: whole.slot }, dtype, shape, { shape }).slot;
      returned.add(slot);
      return slot;
    });
    const steps = fuseProducts(this.#steps, results, this.#scope);
    return {
      inputs: mine,
      steps,
      outputs: results,
      releases: releasesOf(steps, results, owned ? mine : []),
    };
  }

  plan(main: Block): Plan {
    const { constants, slots, target } = this.#scope;
    return { constants, main, slots, kernels: [...new Set(kernelsOf(main))].sort(), target };
  }
}
