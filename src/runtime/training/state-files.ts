/**
 * Trees of device values to and from checkpoint tensors. A tensor's name is its path in the tree, or the authors' name for the
 * network's parameters, so that published weights and ours are interchangeable.
 *
 * Consumed by the training loop and by sampling.
 */
import type { HostTensor } from "../../compiler/host-tensor.ts";
import { flatten, leafPaths, TensorSpec, unflatten } from "../../dsl/index.ts";
import type { DType } from "../../dsl/index.ts";
import type { DitConfig } from "../../models/networks/dit.ts";
import { officialParameters } from "../../models/networks/official-names.ts";
import type { Device, DeviceValue } from "../device.ts";
import type { ExpectedTensor, StoredTensor } from "../safetensors/tensor.ts";

const STORED = { f32: "F32", f16: "F16", i32: "I32", u32: "U32", bool: "BOOL" } as const satisfies Record<
  DType,
  string
>;

const isValue = (value: unknown): value is DeviceValue =>
  typeof value === "object" && value !== null && "read" in value;
const isSpec = (value: unknown): value is TensorSpec => value instanceof TensorSpec;

/** Gives a path its name in a file. */
export type Naming = (path: string) => string;

/** The authors' names for a network's parameters. */
export function officialNaming(config: DitConfig): Naming {
  const names = new Map(officialParameters(config).map(({ path, name }) => [path, name]));
  return (path) => names.get(path) ?? path;
}

/** Reads every value of a tree and names it for a file. */
export async function treeTensors(
  tree: unknown,
  naming: Naming = (path) => path,
): Promise<Map<string, StoredTensor>> {
  const { leaves, tree: structure } = flatten(tree, isValue);
  const names = leafPaths(structure).map(naming);
  const tensors = await Promise.all(leaves.map((leaf) => leaf.read()));
  // `read` gives each dtype in its storage form, which is also the file's.
  return new Map(
    tensors.map(({ shape, dtype, data }, i) => [
      names[i] as string,
      { dtype: STORED[dtype], shape, data } as StoredTensor,
    ]),
  );
}

/** What a file of such a tree must hold, from the tree's specification. */
export function expectedTensors(
  spec: unknown,
  naming: Naming = (path) => path,
): ReadonlyMap<string, ExpectedTensor> {
  const { leaves, tree } = flatten(spec, isSpec);
  const names = leafPaths(tree).map(naming);
  return new Map(
    leaves.map(({ shape, dtype }, i) => [
      names[i] as string,
      { dtype: STORED[dtype], shape: shape.map(Number) },
    ]),
  );
}

/** Uploads the tensors of a file as a tree of the given specification; they were checked against `expectedTensors`. */
export function uploadTensors(
  device: Device,
  spec: unknown,
  tensors: ReadonlyMap<string, StoredTensor>,
  naming: Naming = (path) => path,
): unknown {
  const { leaves, tree } = flatten(spec, isSpec);
  const names = leafPaths(tree).map(naming);
  const values = leaves.map(({ shape, dtype }, i) => {
    const stored = tensors.get(names[i] as string);
    if (stored === undefined) throw new Error(`the checkpoint has no tensor "${names[i]}"`);
    return device.upload({ shape: shape.map(Number), dtype, data: stored.data } as HostTensor);
  });
  return unflatten(tree, values);
}
