/**
 * Trees of device values to and from checkpoint tensors. A tensor's name is its path in the tree, or the authors' name for the
 * network's parameters, so that published weights and ours are interchangeable. A training state has flat vectors on the device; a
 * file has the weights in them one by one, as if the state were a tree, and so does not depend on how they are packed.
 *
 * Consumed by the training loop and by sampling.
 */
import type { HostTensor } from "../../compiler/host-tensor.ts";
import { flatten, leafPaths, TensorSpec, unflatten } from "../../dsl/index.ts";
import type { DType, optim } from "../../dsl/index.ts";
import type { DitConfig } from "../../models/networks/dit.ts";
import { officialParameters } from "../../models/networks/official-names.ts";
import { mapState } from "../../models/training/state.ts";
import type { StateOf } from "../../models/training/state.ts";
import { uploadTree } from "../compile.ts";
import type { Device, DeviceValue } from "../device.ts";
import { isHostTensor } from "../inputs.ts";
import type { ExpectedTensor, StoredTensor } from "../safetensors/tensor.ts";

const STORED = { f32: "F32", f16: "F16", i32: "I32", u32: "U32", bool: "BOOL" } as const satisfies Record<
  DType,
  string
>;

const isValue = (value: unknown): value is Readable =>
  typeof value === "object" && value !== null && "read" in value;
const isSpec = (value: unknown): value is TensorSpec => value instanceof TensorSpec;

/** Gives a path its name in a file. */
export type Naming = (path: string) => string;

/** The authors' names for a network's parameters. */
export function officialNaming(config: DitConfig): Naming {
  const names = new Map(officialParameters(config).map(({ path, name }) => [path, name]));
  return (path) => names.get(path) ?? path;
}

/** What can be read as a tensor: a device value, or a part of one. */
type Readable = Pick<DeviceValue, "read">;

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

/** The tensors of a file as a tree of the given specification; they were checked against `expectedTensors`. */
function treeOf(
  spec: unknown,
  tensors: ReadonlyMap<string, StoredTensor>,
  naming: Naming = (path) => path,
): unknown {
  const { leaves, tree } = flatten(spec, isSpec);
  const names = leafPaths(tree).map(naming);
  const found = leaves.map(({ shape, dtype }, i) => {
    const stored = tensors.get(names[i] as string);
    if (stored === undefined) throw new Error(`the checkpoint has no tensor "${names[i]}"`);
    return { shape: shape.map(Number), dtype, data: stored.data } as HostTensor;
  });
  return unflatten(tree, found);
}

/** Uploads the tensors of a file as a tree of the given specification; they were checked against `expectedTensors`. */
export const uploadTensors = (
  device: Device,
  spec: unknown,
  tensors: ReadonlyMap<string, StoredTensor>,
  naming?: Naming,
): unknown => uploadTree(device, treeOf(spec, tensors, naming));

/** Packed weights on a device. */
export interface PackedValues {
  readonly vectors: readonly DeviceValue[];
}

/** A training state on a device. */
export type DeviceState = StateOf<PackedValues, DeviceValue>;

/** A layout of any weights. */
export type Layout = optim.FlatLayout<unknown>;

/** Packed weights as a tree of what reads them: each vector is read once, and the weights are views of it. */
export function weightsIn({ leaves, tree }: Layout, { vectors }: PackedValues): unknown {
  const whole = vectors.map((value) => {
    let reading: Promise<HostTensor> | undefined;
    return () => (reading ??= value.read());
  });
  const part = ({ shape, vector, offset, size }: optim.FlatLeaf): Readable => ({
    async read() {
      const { dtype, data } = await (whole[vector] as (typeof whole)[number])();
      return { shape, dtype, data: data.subarray(offset, offset + size) };
    },
  });
  return unflatten<Readable>(tree, leaves.map(part));
}

/** Reads a training state and names its tensors for a file. */
export const stateTensors = (state: DeviceState, layout: Layout): Promise<Map<string, StoredTensor>> =>
  treeTensors(mapState(state, (weights) => weightsIn(layout, weights)));

/** The specification of a training state with trees for packed weights: what a file of it holds. */
const unpackedSpec = (spec: StateSpec, { leaves, tree }: Layout): StateOf<unknown, TensorSpec> =>
  mapState(spec, () =>
    unflatten(
      tree,
      leaves.map(({ shape, dtype }) => new TensorSpec(shape, dtype)),
    ),
  );

/** The specification of a training state. */
export type StateSpec = StateOf<unknown, TensorSpec>;

/** What the file of a training state must hold. */
export const expectedState = (spec: StateSpec, layout: Layout): ReadonlyMap<string, ExpectedTensor> =>
  expectedTensors(unpackedSpec(spec, layout));

/** Uploads the tensors of a file as a training state; they were checked against `expectedState`. */
export function uploadState(
  device: Device,
  spec: StateSpec,
  layout: Layout,
  tensors: ReadonlyMap<string, StoredTensor>,
): DeviceState {
  const { optimizer, ...rest } = treeOf(unpackedSpec(spec, layout), tensors) as StateOf<unknown, HostTensor>;
  const step = device.upload(optimizer.step);
  return mapState({ ...rest, optimizer: { ...optimizer, step } }, (weights) =>
    uploadTree(device, packed(layout, weights)),
  );
}

/** A tree of host tensors as the vectors of a layout. */
function packed({ vectors, leaves }: Layout, tree: unknown): { readonly vectors: readonly HostTensor[] } {
  const tensors = flatten(tree, isHostTensor).leaves;
  const whole = vectors.map(({ size }, n) => {
    const first = tensors[leaves.findIndex(({ vector }) => vector === n)] as HostTensor; // no vector is empty of leaves
    const kind = first.data.constructor as new (length: number) => HostTensor["data"]; // that of its leaves
    return { shape: [size], dtype: first.dtype, data: new kind(size) };
  });
  leaves.forEach(({ vector, offset }, i) => whole[vector]?.data.set((tensors[i] as HostTensor).data, offset));
  return { vectors: whole };
}
