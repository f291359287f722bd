/**
 * Writes the nodes of one ONNX graph. Nested graphs (bodies of loops and branches) get a child emitter: it
 * shares names and known tensors with its parent and may read the parent's values, as ONNX's scoping allows.
 *
 * Consumed by the lowering rules. To add a helper here, two op families should need it; else it belongs to
 * its family's file.
 */
import { sameShape, sizeOf } from "../../dsl/program/program.ts";
import type { TensorType } from "../../dsl/program/program.ts";
import { encodeElements } from "./elements.ts";
import { ElementType } from "./proto.ts";
import type { Attributes, AttributeValue, GraphProto, NodeProto, TensorProto } from "./proto.ts";
import { alignedHeld, broadcastShapes, elementOf, isWhole, stripLeading } from "./value.ts";
import type { Value } from "./value.ts";

export const int = (value: number): AttributeValue => ({ kind: "int", value });
export const ints = (value: readonly number[]): AttributeValue => ({ kind: "ints", value });
export const string = (value: string): AttributeValue => ({ kind: "string", value });
export const graph = (value: GraphProto): AttributeValue => ({ kind: "graph", value });

const { float32, float64, float16, int32, int64, uint32, bool, uint8, uint64 } = ElementType;

/** Element types that hold every value of a type, bits of 32-bit integers included. */
const KEEPING: Readonly<Record<ElementType, readonly ElementType[]>> = {
  [bool]: [float32, float64, float16, int32, int64, uint32],
  [float16]: [float32, float64],
  [float32]: [float64],
  [int32]: [int64, uint32, float64],
  [uint32]: [int64, int32, float64],
  [float64]: [],
  [int64]: [],
  [uint8]: [],
  [uint64]: [],
};

/** What all graphs of a model share: value names and known tensors. */
class ModelScope {
  readonly initializers: TensorProto[] = [];
  /** The operands of casts, by the names of their results. */
  readonly origins = new Map<string, Value>();
  readonly #known = new Map<string, string>();
  readonly #taken: Set<string>;
  #count = 0;

  constructor(reserved: Iterable<string>) {
    this.#taken = new Set(reserved);
  }

  fresh(stem: string): string {
    let name: string;
    do name = `${stem}_${this.#count++}`;
    while (this.#taken.has(name));
    return name;
  }

  /** Name of the tensor; equal small tensors are stored once. */
  tensor(element: ElementType, shape: readonly number[], values: ArrayLike<number>): string {
    const key =
      values.length <= 16
        ? `${element}[${shape.join()}]${Array.from(values, (x) => (Object.is(x, -0) ? "-0" : x)).join()}`
        : undefined;
    const known = key === undefined ? undefined : this.#known.get(key);
    if (known !== undefined) return known;
    const name = this.fresh("const");
    this.initializers.push({ name, type: element, shape, data: encodeElements(element, values) });
    if (key !== undefined) this.#known.set(key, name);
    return name;
  }
}

export class Emitter {
  readonly nodes: NodeProto[] = [];
  readonly #scope: ModelScope;
  readonly #own = new Set<string>();
  /**
   * What is being lowered ("dot %12"), for the names of nodes, which the engine's messages and profiles show.
   */
  origin = "";

  private constructor(scope: ModelScope) {
    this.#scope = scope;
  }

  /** The emitter of a model's main graph, which never makes up a name in `reserved`. */
  static forModel(reserved: Iterable<string>): Emitter {
    return new Emitter(new ModelScope(reserved));
  }

  /** The emitter of a graph nested in this one. */
  child(): Emitter {
    return new Emitter(this.#scope);
  }

  get initializers(): readonly TensorProto[] {
    return this.#scope.initializers;
  }

  fresh(stem: string): string {
    return this.#scope.fresh(stem);
  }

  /** Whether a node of this graph (not of an outer one) makes the value. */
  makes(name: string): boolean {
    return this.#own.has(name);
  }

  /** Appends a node and names its outputs. */
  node(
    op: string,
    inputs: readonly string[],
    attributes: Attributes = {},
    outputCount = 1,
  ): readonly string[] {
    const outputs = Array.from({ length: outputCount }, () => this.#scope.fresh(op));
    const own = outputs[0] ?? this.#scope.fresh(op);
    this.nodes.push({
      op,
      name: this.origin === "" ? own : `${this.origin}/${own}`,
      inputs,
      outputs,
      attributes,
    });
    for (const output of outputs) this.#own.add(output);
    return outputs;
  }

  /** A node with one output of the given type, all of whose elements are stored. */
  make(
    op: string,
    inputs: readonly string[],
    element: ElementType,
    shape: readonly number[],
    attributes: Attributes = {},
  ): Value {
    const name = this.node(op, inputs, attributes)[0] as string; // one output was asked for
    return { name, element, shape, held: shape };
  }

  /** A known tensor. */
  tensor(element: ElementType, shape: readonly number[], values: ArrayLike<number>): Value {
    if (values.length === 1) return { ...this.splat(element, shape, values[0] as number) };
    return { name: this.#scope.tensor(element, shape, values), element, shape, held: shape };
  }

  /** A tensor of equal elements, stored as one number. */
  splat(element: ElementType, shape: readonly number[], value: number): Value {
    return { name: this.#scope.tensor(element, [], [value]), element, shape, held: [], splat: value };
  }

  scalar(element: ElementType, value: number): Value {
    return this.splat(element, [], value);
  }

  /** A tensor without elements. */
  empty({ dtype, shape }: TensorType): Value {
    const element = elementOf(dtype);
    return { name: this.#scope.tensor(element, shape, []), element, shape, held: shape };
  }

  /** Name of a known int64 vector: the form in which ONNX takes shapes, axes and bounds. */
  indices(values: readonly number[]): string {
    return this.#scope.tensor(ElementType.int64, [values.length], values);
  }

  /**
   * An elementwise op: operands broadcast, and what is equal along an axis in all of them stays stored once.
   */
  elementwise(
    op: string,
    operands: readonly Value[],
    options: { readonly element?: ElementType; readonly attributes?: Attributes } = {},
  ): Value {
    const name = this.node(
      op,
      operands.map((operand) => operand.name),
      options.attributes,
    )[0] as string; // one output
    // Elementwise ops have operands; the condition of a Where comes first.
    const first = operands.at(-1) as Value;
    return {
      name,
      element: options.element ?? first.element,
      shape: broadcastShapes(operands.map((operand) => operand.shape)),
      held: broadcastShapes(operands.map((operand) => operand.held)),
    };
  }

  /**
   * Converts as C++ does. Going back from where nothing was lost gives the original: besides saving the work, ONNX
   * Runtime would remove such a pair itself, and forgets then that a nested graph reads its result.
   */
  cast(value: Value, element: ElementType): Value {
    if (value.element === element) return value;
    const before = this.#scope.origins.get(value.name);
    if (before?.element === element && KEEPING[element].includes(value.element)) {
      return { ...value, name: before.name, element };
    }
    const result = this.elementwise("Cast", [value], { element, attributes: { to: int(element) } });
    this.#scope.origins.set(result.name, value);
    return result;
  }

  /** The same value under a stored shape of equal size. */
  #holdAs(value: Value, held: readonly number[]): Value {
    if (sameShape(value.held, held)) return value;
    // A stored extent of 0 means "as before" to Reshape unless allowzero is set.
    const attributes: Attributes = held.includes(0) ? { allowzero: int(1) } : {};
    // One output.
    const name = this.node("Reshape", [value.name, this.indices(held)], attributes)[0] as string;
    return { ...value, name, held };
  }

  /** The value with all its axes in the stored shape, those of extent 1 for broadcasts too. */
  aligned(value: Value): Value {
    return this.#holdAs(value, alignedHeld(value));
  }

  /** The value with every element stored; axes in `compact` may stay broadcast (the stored rank is whole). */
  whole(value: Value, compact: readonly number[] = []): Value {
    if (isWhole(value)) return value;
    const held = alignedHeld(value);
    const target = value.shape.map((extent, axis) =>
      compact.includes(axis) ? (held[axis] as number) : extent,
    );
    if (sameShape(held, target)) return this.#holdAs(value, target);
    if (sizeOf(target) === 0)
      return { ...value, name: this.#scope.tensor(value.element, target, []), held: target };
    return {
      ...value,
      name: this.node("Expand", [value.name, this.indices(target)])[0] as string,
      held: target,
    };
  }

  /** Reshapes; `value` is written out first unless only axes of extent 1 come and go. */
  reshape(value: Value, shape: readonly number[]): Value {
    if (sameShape(value.shape, shape)) return value;
    if (value.held.length === 0) return { ...value, shape };
    const held = isWhole(value) ? undefined : alignedHeld(value);
    const axes = value.shape.flatMap((extent, axis) => (extent === 1 ? [] : [axis]));
    if (
      held !== undefined &&
      sameShape(
        axes.map((axis) => value.shape[axis] as number),
        shape.filter((extent) => extent !== 1),
      )
    ) {
      const stored = axes.map((axis) => held[axis] as number);
      // As many as extents other than 1.
      const aligned = shape.map((extent) => (extent === 1 ? 1 : (stored.shift() as number)));
      return { ...this.#holdAs(value, stripLeading(aligned)), shape };
    }
    return { ...this.#holdAs(this.whole(value), shape), shape };
  }

  /** Repeats: axis i of `value` becomes axis dims[i] of `shape`. Nothing is written out. */
  broadcast(value: Value, shape: readonly number[], dims: readonly number[]): Value {
    const held = alignedHeld(value);
    const target = Array<number>(shape.length).fill(1);
    // Dims and held have the operand's rank.
    dims.forEach((dim, axis) => (target[dim] = held[axis] as number));
    return { ...this.#holdAs(value, stripLeading(target)), shape };
  }

  /** Permutes axes: output axis i is input axis perm[i]. */
  transpose(value: Value, perm: readonly number[]): Value {
    const shape = perm.map((axis) => value.shape[axis] as number);
    if (value.held.length === 0 || perm.every((axis, i) => axis === i)) return { ...value, shape };
    const aligned = this.aligned(value);
    const held = perm.map((axis) => aligned.held[axis] as number);
    const moved = perm.filter((axis) => aligned.held[axis] !== 1);
    const inOrder = moved.every((axis, i) => i === 0 || axis > (moved[i - 1] as number));
    if (inOrder) return { ...this.#holdAs(value, held), shape };
    const name = this.node("Transpose", [aligned.name], { perm: ints(perm) })[0] as string; // one output
    return { name, element: value.element, shape, held };
  }

  /**
   * Computes in f32 where operands are f16, which ONNX Runtime's kernels mostly lack, and rounds the results
   * back.
   */
  inFloat32(
    operands: readonly Value[],
    compute: (operands: readonly Value[]) => readonly Value[],
  ): readonly Value[] {
    if (!operands.some((operand) => operand.element === ElementType.float16)) return compute(operands);
    const wide = operands.map((operand) =>
      operand.element === ElementType.float16 ? this.cast(operand, ElementType.float32) : operand,
    );
    return compute(wide).map((result) =>
      result.element === ElementType.float32 ? this.cast(result, ElementType.float16) : result,
    );
  }
}
