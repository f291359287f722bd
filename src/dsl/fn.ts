/**
 * Declared functions: a specification of the inputs (shapes with named dimensions, dtypes) and a body. They can be called
 * like any function while tracing, transformed, and compiled with sizes for the names.
 */
import { OpError } from "./ops/definition.ts";
import type { Program, TensorType } from "./program/program.ts";
import { blaming } from "./surface/operand.ts";
import { flatten, leafPaths, unflatten } from "./trace/pytree.ts";
import type { TreeDef } from "./trace/pytree.ts";
import { quoted, sizesOfShape, withSizes } from "./trace/sizes.ts";
import type { Sizes } from "./trace/sizes.ts";
import { flattenTensors, sameStructure, traceTree } from "./trace/tree-trace.ts";
import { formatType } from "./program/program.ts";
import type { DType, Dim, Shape, ShapeOf, Tensor } from "./types/index.ts";

/** The declared type of one input. */
export class TensorSpec<S extends Shape = Shape, D extends DType = DType> {
  readonly shape: S;
  readonly dtype: D;

  constructor(shape: S, dtype: D) {
    this.shape = shape;
    this.dtype = dtype;
  }
}

/** Declares an f32 input: `f32("batch", 64)`. */
export const f32 = <const S extends readonly Dim[]>(...shape: S): TensorSpec<S, "f32"> =>
  new TensorSpec(shape, "f32");
/** Declares an f16 input. */
export const f16 = <const S extends readonly Dim[]>(...shape: S): TensorSpec<S, "f16"> =>
  new TensorSpec(shape, "f16");
/** Declares an i32 input. */
export const i32 = <const S extends readonly Dim[]>(...shape: S): TensorSpec<S, "i32"> =>
  new TensorSpec(shape, "i32");
/** Declares a u32 input. */
export const u32 = <const S extends readonly Dim[]>(...shape: S): TensorSpec<S, "u32"> =>
  new TensorSpec(shape, "u32");
/** Declares a bool input. */
export const bool = <const S extends readonly Dim[]>(...shape: S): TensorSpec<S, "bool"> =>
  new TensorSpec(shape, "bool");

/** How a message about a specification that is none begins. */
const UNDECLARED = "expected a tree of declared inputs such as f32(2)";

/** The tensors that a tree of specifications declares. */
export type TensorsOf<Spec> =
  Spec extends TensorSpec<infer S, infer D>
    ? Tensor<S extends readonly [] ? [] : Mutable<S>, D>
    : Spec extends readonly unknown[]
      ? { readonly [K in keyof Spec]: TensorsOf<Spec[K]> }
      : { readonly [K in keyof Spec]: TensorsOf<Spec[K]> };

type Mutable<S extends Shape> = [...S];

/** A declared function. */
export interface Fn<In, Out> {
  (input: In): Out;
  /** Tree of {@link TensorSpec}s: what the function takes. */
  readonly spec: unknown;
}

/**
 * Declares a function of one pytree: `fn({ x: f32("batch", 3) }, ({ x }) => …)`.
 * Called while tracing, it checks its argument against the specification.
 */
export function fn<const Spec, Out>(
  spec: Spec,
  body: (input: TensorsOf<Spec>) => Out,
): Fn<TensorsOf<Spec>, Out> {
  const declared = blaming(() => flatten(spec, isSpec, UNDECLARED));
  const call = (input: TensorsOf<Spec>): Out => {
    // Inside the body, the names stand for the sizes of this call's tensors.
    const sizes = blaming(() => sizesAgainst(declared.tree, declared.leaves, input));
    return withSizes(sizes, () => body(input));
  };
  return Object.assign(call, { spec });
}

/** Gives `f` the specification of a declared function, so that a transformed function can be compiled too. */
export const withSpec = <In, Out>(spec: unknown, f: (input: In) => Out): Fn<In, Out> =>
  Object.assign((input: In): Out => f(input), { spec });

export const isSpec = (value: unknown): value is TensorSpec => value instanceof TensorSpec;

/** The specification of a declared function, if it is one. */
export const specOf = (f: unknown): unknown => (typeof f === "function" && "spec" in f ? f.spec : undefined);

/** Sizes of the names. Checks structure, ranks, dtypes and literal sizes; one name has one size. */
function sizesAgainst(tree: TreeDef, specs: readonly TensorSpec[], input: unknown): Sizes {
  const flat = flattenTensors(input);
  sameStructure("the argument is not what the function declares", flat.tree, tree);
  const paths = leafPaths(tree);
  const sizes = new Map<string, number>();
  flat.leaves.forEach((tensor, i) => {
    const spec = specs[i] as TensorSpec;
    const wrong = (): OpError =>
      new OpError(
        `${paths[i] === "" ? "the argument" : paths[i]} is ${formatType(tensor)}, declared as ${spec.dtype}[${spec.shape.join(",")}]`,
      );
    if (tensor.dtype !== spec.dtype || tensor.shape.length !== spec.shape.length) throw wrong();
    spec.shape.forEach((dim, axis) => {
      const size = tensor.shape[axis] as number;
      if (typeof dim === "number" ? dim !== size : (sizes.get(dim) ?? size) !== size) throw wrong();
      if (typeof dim === "string") sizes.set(dim, size);
    });
  });
  return Object.fromEntries(sizes);
}

/** A function as a closed program over the leaves of its input, with the structures and the names of both sides. */
export interface TracedFunction {
  readonly program: Program;
  readonly inputTree: TreeDef;
  readonly inputNames: readonly string[];
  readonly outputTree: TreeDef;
  readonly outputNames: readonly string[];
}

/**
 * Traces a declared function with sizes for its named dimensions: those of its specification, and those that only its body asks
 * for, as `zeros(["samples"])` does. A size for any other name is an error: it is a slip, or it would silently have no effect.
 * @throws OpError when a name has no size, a size has no name or an op in the body breaks its rule; the message names the line
 */
export function trace(f: Fn<never, unknown>, sizes: Sizes = {}): TracedFunction {
  return blaming(() => {
    const { leaves, tree } = flatten(f.spec, isSpec, UNDECLARED);
    return withSizes(sizes, (asked) => {
      const types = leaves.map(({ shape, dtype }): TensorType => ({ shape: sizesOfShape(shape), dtype }));
      const { program, captures, outputTree } = traceTree(tree, types, f, "the function must return tensors");
      if (captures.length > 0)
        throw new OpError("the function uses a tensor of another function; pass it as an input");
      allKnown(sizes, asked());
      const named = (paths: readonly string[], alone: string): readonly string[] =>
        paths.map((path) => (path === "" ? alone : path));
      return {
        program,
        inputTree: tree,
        inputNames: named(leafPaths(tree), "input"),
        outputTree,
        outputNames: named(leafPaths(outputTree), "output"),
      };
    });
  });
}

/** Checks that every name that got a size was asked for. */
function allKnown(sizes: Sizes, asked: readonly string[]): void {
  const unknown = Object.keys(sizes).filter((name) => !asked.includes(name));
  if (unknown.length === 0) return;
  const known = asked.length === 0 ? "it has none" : `it has ${quoted(asked)}`;
  throw new OpError(`sizes: the function has no dimension ${quoted(unknown)}; ${known}`);
}

/** A tree of specifications like a tree of things with shape and dtype (parameters, host tensors). */
export function specLike<Leaf extends { readonly shape: readonly number[]; readonly dtype: DType }>(
  value: unknown,
  isLeaf: (value: unknown) => value is Leaf,
): unknown {
  const { leaves, tree } = flatten(value, isLeaf);
  return unflatten(
    tree,
    leaves.map(({ shape, dtype }) => new TensorSpec(shape, dtype)),
  );
}

/** The specification of what a declared function returns for the given sizes: the input of a function that goes on from there. */
export function outputSpec<Out>(f: Fn<never, Out>, sizes: Sizes = {}): SpecOf<Out> {
  const { program, outputTree } = trace(f, sizes);
  const specs = program.outputs.map((id) => {
    const { shape, dtype } = program.types[id] as TensorType;
    return new TensorSpec(shape, dtype);
  });
  return unflatten(outputTree, specs) as SpecOf<Out>; // one specification per leaf
}

/** A tree of specifications of the structure of a tree of tensors. Shapes of literal sizes are kept; names have become sizes that only run time knows. */
export type SpecOf<T> = T extends Tensor
  ? TensorSpec<SizedShape<ShapeOf<T>>, T["dtype"]>
  : { readonly [K in keyof T]: SpecOf<T[K]> };

type SizedShape<S extends Shape> = S extends readonly number[] ? S : Shape;
