/**
 * Tracing functions over pytrees: flattening arguments, tracing on the leaves, remembering the structure of the result.
 * Consumed by `fn`, by the transforms and by the control-flow surface.
 */
import { OpError } from "../ops/definition.ts";
import { formatType } from "../program/program.ts";
import type { Program, TensorType } from "../program/program.ts";
import { isTraced, traceFlat } from "./builder.ts";
import type { TracedTensor } from "./builder.ts";
import { describe, flatten, unflatten } from "./pytree.ts";
import type { Flat, TreeDef } from "./pytree.ts";

/** Leaves and structure of a tree of tensors. @throws OpError that says what is `expected` and names the path of anything else */
export const flattenTensors = (value: unknown, expected?: string): Flat<TracedTensor> =>
  flatten(value, isTraced, expected);

export interface TracedTree {
  readonly program: Program;
  readonly captures: readonly TracedTensor[];
  readonly outputTree: TreeDef;
}

/**
 * Traces `body`, which takes and returns pytrees, on inputs of the given structure and types. Program inputs: (captures, leaves).
 * @throws OpError that begins with `expected` when the body returns something else than tensors
 */
export function traceTree(
  tree: TreeDef,
  types: readonly TensorType[],
  body: (input: never) => unknown,
  expected?: string,
): TracedTree {
  let outputTree: TreeDef = { kind: "array", items: [] };
  const { program, captures } = traceFlat(types, (leaves) => {
    const input = unflatten(tree, leaves);
    // The structure was taken from arguments of the type that the body expects.
    const flat = flattenTensors(body(input as never), expected);
    outputTree = flat.tree;
    return flat.leaves;
  });
  return { program, captures, outputTree };
}

/** Rebuilds a tree of tensors, typed by the caller. */
export const rebuild = <T>(tree: TreeDef, leaves: readonly TracedTensor[]): T => unflatten(tree, leaves) as T;

/** Checks that two structures agree. */
export function sameStructure(what: string, a: TreeDef, b: TreeDef): void {
  if (JSON.stringify(a) !== JSON.stringify(b))
    throw new OpError(`${what}: the structures differ: ${describeTree(a)} vs ${describeTree(b)}`);
}

/** A value of any kind as text, for messages: `a tensor f32[2]`, `a list of 3`, `undefined`. */
export function describeValue(value: unknown): string {
  if (isTraced(value)) return `a tensor ${formatType(value)}`;
  return Array.isArray(value) ? `a list of ${value.length}` : describe(value);
}

/** A structure as text: `{a: *, b: [*, *]}`. */
export function describeTree(tree: TreeDef): string {
  switch (tree.kind) {
    case "leaf":
      return "*";
    case "array":
      return `[${tree.items.map(describeTree).join(", ")}]`;
    case "object":
      return `{${tree.entries.map(([key, item]) => `${key}: ${describeTree(item)}`).join(", ")}}`;
  }
}
