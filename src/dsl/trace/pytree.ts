/**
 * Pytrees: tensors nested in objects and arrays. Functions over pytrees are traced as functions over the flat list of leaves.
 * Keys are visited in sorted order, so that equal structures flatten equally however they were written.
 */
import { OpError } from "../ops/definition.ts";

/** A leaf, or an array or object of pytrees. */
export type Tree<Leaf> = Leaf | readonly Tree<Leaf>[] | { readonly [key: string]: Tree<Leaf> };

/** The structure of a pytree without its leaves: plain data. */
export type TreeDef =
  | { readonly kind: "leaf" }
  | { readonly kind: "array"; readonly items: readonly TreeDef[] }
  | { readonly kind: "object"; readonly entries: readonly (readonly [key: string, tree: TreeDef])[] };

export interface Flat<Leaf> {
  readonly leaves: readonly Leaf[];
  readonly tree: TreeDef;
}

/** Whether a value is a plain object (not a class instance), hence a node of a tree. */
function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * Leaves in order and the structure.
 * @param expected how the message begins when something else is found
 * @throws OpError naming the path of anything that is neither a leaf nor a node
 */
export function flatten<Leaf>(
  value: unknown,
  isLeaf: (value: unknown) => value is Leaf,
  expected = "expected a tree of tensors",
): Flat<Leaf> {
  const leaves: Leaf[] = [];
  const visit = (node: unknown, path: string): TreeDef => {
    if (isLeaf(node)) {
      leaves.push(node);
      return { kind: "leaf" };
    }
    if (Array.isArray(node))
      return { kind: "array", items: node.map((item, i) => visit(item, `${path}[${i}]`)) };
    if (isPlainObject(node)) {
      const keys = Object.keys(node).sort();
      return {
        kind: "object",
        entries: keys.map((key) => [key, visit(node[key], `${path}.${key}`)] as const),
      };
    }
    throw new OpError(`${expected}, found ${describe(node)}${path === "" ? "" : ` at ${path}`}`);
  };
  const tree = visit(value, "");
  return { leaves, tree };
}

/** A value that is no node as text, for messages: `null`, `a number`, `a Map`. */
export function describe(value: unknown): string {
  if (value === null) return "null";
  if (isPlainObject(value)) return "an object";
  if (typeof value === "object") return `a ${value.constructor.name}`;
  return typeof value === "undefined" ? "undefined" : `a ${typeof value}`;
}

/** The pytree with the given leaves; inverse of {@link flatten}. */
export function unflatten<Leaf>(tree: TreeDef, leaves: readonly Leaf[]): Tree<Leaf> {
  let next = 0;
  const build = (def: TreeDef): Tree<Leaf> => {
    switch (def.kind) {
      case "leaf": {
        if (next >= leaves.length)
          throw new Error(`unflatten: the tree has more than ${leaves.length} leaves`);
        return leaves[next++] as Leaf;
      }
      case "array":
        return def.items.map(build);
      case "object":
        return Object.fromEntries(def.entries.map(([key, item]) => [key, build(item)]));
    }
  };
  const value = build(tree);
  if (next !== leaves.length) throw new Error(`unflatten: ${leaves.length} leaves for a tree of ${next}`);
  return value;
}

/** Path of every leaf in order, such as `params.blocks.0.qkv`. */
export function leafPaths(tree: TreeDef, prefix = ""): readonly string[] {
  const join = (key: string | number): string => (prefix === "" ? String(key) : `${prefix}.${key}`);
  switch (tree.kind) {
    case "leaf":
      return [prefix];
    case "array":
      return tree.items.flatMap((item, i) => leafPaths(item, join(i)));
    case "object":
      return tree.entries.flatMap(([key, item]) => leafPaths(item, join(key)));
  }
}

/** Number of leaves. */
export function leafCount(tree: TreeDef): number {
  switch (tree.kind) {
    case "leaf":
      return 1;
    case "array":
      return tree.items.reduce((sum, item) => sum + leafCount(item), 0);
    case "object":
      return tree.entries.reduce((sum, [, item]) => sum + leafCount(item), 0);
  }
}
