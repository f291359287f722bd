/**
 * Functions over trees of tensors, for parameters, gradients and optimizer states. Consumed by src/dsl/optim
 * and by training code. Structures must agree; an OpError names both when they do not.
 */
import { flattenTensors, rebuild, sameStructure } from "./trace/tree-trace.ts";
import { leafPaths } from "./trace/pytree.ts";
import { blaming, traced } from "./surface/operand.ts";
import type { Tensor } from "./types/index.ts";

/**
 * `f` of the leaves at every place of one or more trees of one structure, as a tree of that structure. `f`
 * gets the leaves as tensors of unknown shape; the result has the type of the first tree, so keep shapes and
 * dtypes.
 * @throws OpError when the structures differ
 */
export function mapTree<P>(
  f: (leaf: Tensor, ...others: Tensor[]) => Tensor,
  tree: P,
  ...others: readonly P[]
): P {
  return mapTreeWithPath((_path, leaf, ...rest) => f(leaf, ...rest), tree, ...others);
}

/** {@link mapTree}, whose function gets the path of the leaf first, such as `blocks.0.qkv.weight`. */
export function mapTreeWithPath<P>(
  f: (path: string, leaf: Tensor, ...others: Tensor[]) => Tensor,
  tree: P,
  ...others: readonly P[]
): P {
  return blaming(() => {
    const first = flattenTensors(tree);
    const rest = others.map((other) => {
      const flat = flattenTensors(other);
      sameStructure("mapTree", flat.tree, first.tree);
      return flat.leaves as unknown as readonly Tensor[]; // traced tensors are tensors
    });
    const paths = leafPaths(first.tree);
    const leaves = (first.leaves as unknown as readonly Tensor[]).map((leaf, i) =>
      traced("mapTree", f(paths[i] as string, leaf, ...rest.map((list) => list[i] as Tensor))),
    );
    return rebuild<P>(first.tree, leaves);
  });
}

/** The leaves of a tree in order: arrays by position, objects by sorted key. */
export const treeLeaves = (tree: unknown): readonly Tensor[] =>
  blaming(() => flattenTensors(tree).leaves as unknown as readonly Tensor[]);
