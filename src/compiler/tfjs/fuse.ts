/**
 * Fusion: a product, the bias that is added to its columns, and an activation after that, as one call of `_FusedMatMul`. A pure pass over
 * the steps of one block, so nothing is fused across the borders of loops and branches.
 *
 * Consumed by the builder as it closes a block. To add an activation: its name in `Activation` (plan.ts), a case in `activationOf`, and
 * what backends get wrong in it in targets.ts.
 */
import { sameShape, sizeOf } from "../../dsl/program/program.ts";
import type { TensorType } from "../../dsl/program/program.ts";
import { stripLeading } from "../held-shape.ts";
import { storageOf } from "./plan.ts";
import type { Activation, CallStep, Slot, Step, Target } from "./plan.ts";
import { inputsOf } from "./releases.ts";

export const FUSED = "_FusedMatMul";

/** What the pass has to know of slots, and the way to a new one. */
export interface Slots {
  readonly target: Target;
  typeOf(slot: Slot): TensorType;
  /** The number that every element of a known tensor is; undefined where there is none, or it is not known. */
  splatOf(slot: Slot): number | undefined;
  newSlot(type: TensorType): Slot;
}

/** A product and what follows it, as positions of steps. */
interface Chain {
  readonly product: CallStep;
  readonly bias: Slot;
  readonly activation: Activation | "linear";
  readonly last: CallStep;
  readonly positions: readonly number[];
}

/** The step at which a slot is read, where that is once, in this block, by a kernel of the plan's own backend. */
type Reader = (slot: Slot) => { readonly step: CallStep; readonly at: number } | undefined;

function readersOf(steps: readonly Step[], outputs: readonly Slot[]): Reader {
  const readers = new Map<Slot, number[]>();
  const note = (slot: Slot, at: number): void => void readers.set(slot, [...(readers.get(slot) ?? []), at]);
  steps.forEach((step, at) => inputsOf(step).forEach((slot) => note(slot, at)));
  for (const slot of outputs) note(slot, steps.length);
  return (slot) => {
    const [at, ...others] = readers.get(slot) ?? [];
    const step = at === undefined || others.length > 0 ? undefined : steps[at];
    return at === undefined || step?.kind !== "call" || step.cpu !== undefined ? undefined : { step, at };
  };
}

/** Operands by name, of any kernel but Concat. */
const operandsOf = ({ inputs }: CallStep): Readonly<Record<string, Slot>> =>
  Array.isArray(inputs) ? {} : (inputs as Readonly<Record<string, Slot>>);

/**
 * The other operand of a sum with a product of so many columns, where it is one number for each column. The product may have another
 * shape by then, so what counts is that the operand repeats along it as the columns do.
 */
function biasOf(sum: CallStep, product: Slot, columns: number, slots: Slots): Slot | undefined {
  const { a, b } = operandsOf(sum);
  const bias = a === product ? b : a;
  if (sum.kernel !== "Add" || bias === undefined) return undefined;
  const { shape } = slots.typeOf(sum.output);
  const own = stripLeading(slots.typeOf(bias).shape);
  const repeats = sizeOf(own) === columns && sameShape(own, shape.slice(shape.length - own.length));
  return repeats && sizeOf(shape) === sizeOf(slots.typeOf(product).shape) ? bias : undefined;
}

/** Which activation a step is. */
function activationOf(step: CallStep, slots: Slots): Activation | undefined {
  const { b } = operandsOf(step);
  if (step.kernel === "Sigmoid") return "sigmoid";
  return step.kernel === "Maximum" && b !== undefined && slots.splatOf(b) === 0 ? "relu" : undefined;
}

/** What can be fused with the product at a position. */
function chainAt(steps: readonly Step[], start: number, readerOf: Reader, slots: Slots): Chain | undefined {
  const product = steps[start];
  if (product?.kind !== "call" || product.kernel !== "BatchMatMul" || product.cpu !== undefined)
    return undefined;
  const { shape, dtype } = slots.typeOf(product.output);
  const [batch, , columns] = shape as [number, number, number]; // products have rank 3
  const { unfused = [] } = slots.target;
  if (storageOf(dtype) !== "float32" || (batch !== 1 && unfused.includes("batches"))) return undefined;

  let last = product;
  const positions = [start];
  /** The step that reads what there is so far, after reshapes on the way, with the slot that it reads. */
  const next = (): { step: CallStep; read: Slot; path: readonly number[] } | undefined => {
    const path: number[] = [];
    let read = last.output;
    for (;;) {
      const reader = readerOf(read);
      if (reader === undefined) return undefined;
      path.push(reader.at);
      if (reader.step.kernel !== "Reshape") return { step: reader.step, read, path };
      read = reader.step.output;
    }
  };

  const sum = next();
  const bias = sum && biasOf(sum.step, sum.read, columns, slots);
  if (sum === undefined || bias === undefined) return undefined;
  last = sum.step;
  positions.push(...sum.path);
  const after = next();
  const activation = after && activationOf(after.step, slots);
  if (after === undefined || activation === undefined || unfused.includes(activation))
    return { product, bias, activation: "linear", last, positions };
  return { product, bias, activation, last: after.step, positions: [...positions, ...after.path] };
}

/** The steps of a chain as one product. */
function fused({ product, bias, activation, last }: Chain, slots: Slots): readonly Step[] {
  const type = slots.typeOf(product.output);
  const held = type.shape.slice(-1);
  const steps: Step[] = [];
  const call = (
    kernel: string,
    inputs: CallStep["inputs"],
    attributes: CallStep["attributes"],
    output: Slot,
  ) => void steps.push({ kind: "call", kernel, inputs, attributes, output });
  const reshaped = (x: Slot, shape: readonly number[], output: Slot): Slot => {
    call("Reshape", { x }, { shape }, output);
    return output;
  };
  const vector: TensorType = { shape: held, dtype: slots.typeOf(bias).dtype };
  const flat = sameShape(slots.typeOf(bias).shape, held) ? bias : reshaped(bias, held, slots.newSlot(vector));
  // In data of its own, as the right operand is: WebAssembly remembers with the bias, while its data live, every right operand it met.
  const own = slots.newSlot(vector);
  call("Identity", { x: flat }, {}, own);
  const { a, b } = operandsOf(product) as { readonly a: Slot; readonly b: Slot }; // a product has these
  const output = sameShape(slots.typeOf(last.output).shape, type.shape) ? last.output : slots.newSlot(type);
  call(FUSED, { a, b, bias: own }, { ...product.attributes, activation, leakyreluAlpha: 0 }, output);
  if (output !== last.output) reshaped(output, slots.typeOf(last.output).shape, last.output);
  return steps;
}

/**
 * The steps of a block with products fused where the result is read nowhere else on the way. A fused product stands where the last of its
 * steps stood, when the bias is there.
 * @param outputs the slots that the block gives
 */
export function fuseProducts(
  steps: readonly Step[],
  outputs: readonly Slot[],
  slots: Slots,
): readonly Step[] {
  if (slots.target.avoided?.includes(FUSED) === true) return steps;
  const readerOf = readersOf(steps, outputs);
  /** What stands at a position instead of what stood there. */
  const instead = new Map<number, readonly Step[]>();
  steps.forEach((_, start) => {
    const chain = chainAt(steps, start, readerOf, slots);
    // Where two products are added, the first takes the second for its bias.
    if (chain === undefined || chain.positions.some((at) => instead.has(at))) return;
    for (const at of chain.positions) instead.set(at, []);
    instead.set(Math.max(...chain.positions), fused(chain, slots));
  });
  return steps.flatMap((step, at) => instead.get(at) ?? [step]);
}
