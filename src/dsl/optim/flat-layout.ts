/**
 * Many tensors as few vectors: where each leaf of a tree lies in flat vectors, and the way there and back. A training whose state is
 * flat updates all parameters by a handful of operations, instead of a handful for each.
 *
 * Differentiate with respect to the tree, and pack the gradients: the derivative of many slices would be as many pads.
 *
 * Consumed by flat-optimizer.ts, by training programs, and by what keeps flat states in files under the leaves' names.
 */
import { isSpec, TensorSpec } from "../fn.ts";
import type { TensorsOf } from "../fn.ts";
import { OpError } from "../ops/definition.ts";
import { formatType, sizeOf } from "../program/program.ts";
import { blaming, typed } from "../surface/operand.ts";
import { isTraced } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import { flatten, leafPaths } from "../trace/pytree.ts";
import type { TreeDef } from "../trace/pytree.ts";
import { flattenTensors, rebuild, sameStructure } from "../trace/tree-trace.ts";
import type { DType, Tensor } from "../types/index.ts";

/**
 * A tree P of tensors, packed into vectors. It is a tree of tensors itself, so it can go in and out of functions, be compiled and
 * donated, and be given to `ema`, `globalNorm` and `clipByGlobalNorm`. An optimizer takes it by `optimizer.flat(layout)`, which knows
 * what lies where.
 */
export interface Flat<P> {
  readonly vectors: readonly Tensor<[number]>[];
  /** Absent at run time: it keeps the packed parameters of different models apart. */
  readonly packs?: P;
}

/** Where a leaf lies. */
export interface FlatLeaf {
  /** Such as `blocks.0.qkv.weight`. */
  readonly path: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly size: number;
  /** Index of the vector. */
  readonly vector: number;
  /** Index of the first element in it. */
  readonly offset: number;
}

/** One of the vectors. */
export interface FlatVector {
  readonly dtype: DType;
  readonly size: number;
  /** What lies in it, without gaps, in the order of the offsets. */
  readonly leaves: readonly FlatLeaf[];
}

/** Where all leaves of trees of one structure lie. */
export interface FlatLayout<P> {
  /** The leaves in the order of the tree. */
  readonly leaves: readonly FlatLeaf[];
  /** The structure, so that `unflatten(tree, leaves.map(…))` makes a tree of whatever the leaves become. */
  readonly tree: TreeDef;
  readonly vectors: readonly FlatVector[];
  /** The specification of a packed tree. */
  readonly spec: { readonly vectors: readonly TensorSpec<readonly [number]>[] };
  /** One concatenation for each vector. @throws OpError when the tree is not the layout's */
  pack(tree: P): Flat<P>;
  /** Slices of the vectors. @throws OpError when the vectors are not the layout's */
  unpack(flat: Flat<P>): P;
}

/** The tensors of a tree whose leaves are specifications or tensors. */
export type TreeOf<T> = T extends Tensor
  ? T
  : T extends TensorSpec
    ? TensorsOf<T>
    : { readonly [K in keyof T]: TreeOf<T[K]> };

/** Most elements of a vector: 128 MiB of f32, the largest buffer that every WebGPU device binds. */
const MOST = 2 ** 25;

/**
 * The layout of a tree of specifications or of tensors. There are vectors for each dtype, as many as it takes for none to be longer
 * than 2²⁵ elements; a leaf is never split, and a longer one has a vector of its own. In a vector lie first the leaves of the highest
 * rank, so that what is chosen by shape, such as the matrices that decay, is one piece.
 * @param most elements of a vector, where another limit is wanted
 * @throws OpError for dimensions without a size and for anything that is neither a specification nor a tensor
 */
export function flatLayout<const T>(like: T, most = MOST): FlatLayout<TreeOf<T>> {
  return blaming(() => layoutOf<TreeOf<T>>(like, most));
}

function layoutOf<P>(like: unknown, most: number): FlatLayout<P> {
  const isLeaf = (value: unknown): value is TensorSpec | TracedTensor => isSpec(value) || isTraced(value);
  const { leaves: types, tree } = flatten(
    like,
    isLeaf,
    "flatLayout: expected a tree of specifications or tensors",
  );
  const paths = leafPaths(tree);
  const sizes = types.map(({ shape }, i) => numbersOf(shape, paths[i] as string));
  const order = types.map((_, i) => i).sort((i, j) => rankOf(types, j) - rankOf(types, i));
  const open = new Map<DType, { index: number; size: number }>();
  let count = 0;
  const leaves: FlatLeaf[] = [];
  for (const i of order) {
    const { dtype } = types[i] as TensorSpec;
    const shape = sizes[i] as readonly number[];
    const size = sizeOf(shape);
    let vector = open.get(dtype);
    if (vector === undefined || vector.size + size > most) {
      vector = { index: count++, size: 0 };
      open.set(dtype, vector);
    }
    leaves[i] = { path: paths[i] as string, shape, dtype, size, vector: vector.index, offset: vector.size };
    vector.size += size;
  }
  const vectors = Array.from({ length: count }, (_, n): FlatVector => {
    const inside = order.map((i) => leaves[i] as FlatLeaf).filter(({ vector }) => vector === n);
    const { dtype } = inside[0] as FlatLeaf; // a vector is begun for a leaf
    return { dtype, size: inside.reduce((total, { size }) => total + size, 0), leaves: inside };
  });
  const spec = { vectors: vectors.map(({ dtype, size }) => new TensorSpec([size] as const, dtype)) };

  const pack = (value: P): Flat<P> =>
    blaming(() => {
      const given = flattenTensors(value);
      sameStructure("pack: the tree and the layout", given.tree, tree);
      given.leaves.forEach((leaf, i) => {
        const { path, shape, dtype } = leaves[i] as FlatLeaf;
        if (leaf.dtype !== dtype || leaf.shape.join() !== shape.join())
          throw new OpError(
            `pack: ${path} is ${formatType(leaf)}, and ${formatType({ shape, dtype })} in the layout`,
          );
      });
      const inOrder = order.map((i) => [leaves[i] as FlatLeaf, given.leaves[i] as TracedTensor] as const);
      return {
        vectors: vectors.map((_, n) =>
          joined(
            inOrder.flatMap(([{ vector, size }, leaf]) => (vector === n ? [prim.reshape(leaf, [size])] : [])),
          ),
        ),
      };
    });

  const unpack = (flat: Flat<P>): P =>
    blaming(() => {
      const given = vectorsOf("unpack", flat, vectors);
      return rebuild(
        tree,
        leaves.map(({ shape, size, vector, offset }) =>
          prim.reshape(prim.sliceAxis(given[vector] as TracedTensor, 0, offset, offset + size), shape),
        ),
      );
    });

  return { leaves, tree, vectors, spec, pack, unpack };
}

const rankOf = (types: readonly { readonly shape: readonly unknown[] }[], i: number): number =>
  types[i]?.shape.length ?? 0;

function numbersOf(shape: readonly (number | string)[], path: string): readonly number[] {
  return shape.map((dim) => {
    if (typeof dim === "number") return dim;
    throw new OpError(`flatLayout: dimension '${dim}' of ${path} has no size; a layout needs numbers`);
  });
}

/** Vectors one after another. */
export const joined = (parts: readonly TracedTensor[]): Tensor<[number]> =>
  typed(parts.length === 1 ? (parts[0] as TracedTensor) : prim.concat(parts, 0));

/** The vectors of something packed. @throws OpError when they are others than expected */
export function vectorsOf(
  what: string,
  flat: { readonly vectors: readonly Tensor[] },
  expected: readonly Pick<FlatVector, "dtype" | "size">[],
): readonly TracedTensor[] {
  const { leaves } = flattenTensors(flat.vectors, `${what}: expected packed tensors`);
  const given = leaves.map(formatType).join(", ");
  const right = expected.map(({ dtype, size }) => formatType({ dtype, shape: [size] })).join(", ");
  if (given !== right) throw new OpError(`${what}: the vectors are ${given}, and ${right} in the layout`);
  return leaves;
}
