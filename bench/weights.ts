/**
 * Weights as a training has them after a while: none is zero, so that every gradient flows and every derivative says something. Consumed by
 * the cases that time training steps.
 */
import { flatten, leafPaths, TensorSpec, unflatten } from "../src/dsl/index.ts";
import { hostTensor } from "../src/compiler/host-tensor.ts";
import type { HostTensor } from "../src/compiler/host-tensor.ts";
import type { DitConfig } from "../src/models/networks/dit.ts";
import { weightsSpec } from "../src/models/training/state.ts";
import { normal, sizeOf } from "./numbers.ts";

/** One of them, by its place in the tree. */
export interface NamedWeight {
  readonly path: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The weights of a network in the order of its tree. */
export function usedWeights(network: DitConfig): readonly NamedWeight[] {
  const { leaves, tree } = flatten(weightsSpec(network), (value) => value instanceof TensorSpec);
  return leafPaths(tree).map((path, i) => {
    const shape = (leaves[i] as TensorSpec).shape as readonly number[]; // a traced program's sizes are numbers
    const data = normal(i + 1, sizeOf(shape), shape.length === 1 ? 0.1 : 1 / Math.sqrt(shape.at(-1) ?? 1));
    return { path, shape, data: path.includes("norm") ? data.map((x) => 1 + x) : data };
  });
}

/** The same as a tree of host tensors. */
export function usedWeightsTree(network: DitConfig): unknown {
  const { tree } = flatten(weightsSpec(network), (value) => value instanceof TensorSpec);
  return unflatten<HostTensor>(
    tree,
    usedWeights(network).map(({ shape, data }) => hostTensor("f32", shape, data)),
  );
}
