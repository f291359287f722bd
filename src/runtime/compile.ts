/**
 * From a declared function to something that runs: trace with sizes, optimize, compile for a device; then call it on pytrees
 * of device values and host tensors.
 *
 * Consumed by training, sampling, tests and users. State lives across calls as the device values that a call returns; inputs
 * named in `donate` are consumed by the call, so that their storage serves its outputs.
 */
import { inlineCalls } from "../compiler/passes/inline.ts";
import { optimize } from "../compiler/passes/pipeline.ts";
import { hostTensor } from "../compiler/host-tensor.ts";
import type { HostTensor } from "../compiler/host-tensor.ts";
import { trace } from "../dsl/fn.ts";
import type { Fn, TracedFunction } from "../dsl/fn.ts";
import type { Program, TensorType } from "../dsl/program/program.ts";
import { flatten, unflatten } from "../dsl/trace/pytree.ts";
import type { Sizes } from "../dsl/trace/sizes.ts";
import { describeTree, sameStructure } from "../dsl/trace/tree-trace.ts";
import type { Tensor } from "../dsl/types/index.ts";
import type { Device, DeviceValue, Executable } from "./device.ts";

/** A tree of tensors as its values on a device. */
export type OnDevice<T> = T extends Tensor ? DeviceValue : { readonly [K in keyof T]: OnDevice<T[K]> };

/** What a call accepts for a tensor: a device value, a host tensor, a number (for a scalar) or its numbers in row-major order. */
export type Input =
  | DeviceValue
  | HostTensor
  | number
  | readonly number[]
  | Float32Array
  | Int32Array
  | Uint32Array;
/** A tree of tensors as a call accepts it. */
export type Inputs<T> = T extends Tensor ? Input : { readonly [K in keyof T]: Inputs<T[K]> };

export interface CompileFunctionOptions {
  readonly device: Device;
  /** Sizes of the named dimensions. */
  readonly sizes?: Sizes;
  /** Input paths, or prefixes of paths, that a call consumes: `["state"]`. */
  readonly donate?: readonly string[];
  readonly name?: string;
  /** false compiles the program as it was traced. */
  readonly optimize?: boolean;
}

/** A compiled function. */
export interface Compiled<In, Out> {
  /** Runs it. The caller owns the returned values; inputs given as host data are uploaded for this call only. */
  run(input: Inputs<In>): Promise<OnDevice<Out>>;
  /** The program that was compiled, and the names of its inputs and outputs. */
  readonly traced: TracedFunction;
  dispose(): Promise<void>;
}

const isDeviceValue = (value: unknown): value is DeviceValue =>
  typeof value === "object" && value !== null && "read" in value && "dispose" in value;
const isHostTensor = (value: unknown): value is HostTensor =>
  typeof value === "object" && value !== null && "data" in value && "dtype" in value;
const isNumbers = (value: unknown): value is readonly number[] | Float32Array | Int32Array | Uint32Array =>
  // Not any view: the bits of an f16 tensor, say, are no numbers.
  value instanceof Float32Array ||
  value instanceof Int32Array ||
  value instanceof Uint32Array ||
  (Array.isArray(value) && value.every((item) => typeof item === "number") && value.length > 0);
const isInput = (value: unknown): value is Input =>
  typeof value === "number" || isDeviceValue(value) || isHostTensor(value) || isNumbers(value);

/** Positions of the inputs that the given paths name. @throws Error for a path that names none */
function donatedPositions(names: readonly string[], donate: readonly string[]): readonly number[] {
  return donate.flatMap((path) => {
    const found = names.flatMap((name, i) => (name === path || name.startsWith(`${path}.`) ? [i] : []));
    if (found.length === 0)
      throw new Error(`donate: there is no input "${path}"; the inputs are ${names.join(", ")}`);
    return found;
  });
}

/**
 * Compiles a declared function for a device.
 * @throws OpError when the function breaks an op's rule for these sizes, naming the user's line; Error when the device refuses
 */
export async function compile<In, Out>(
  f: Fn<In, Out>,
  options: CompileFunctionOptions,
): Promise<Compiled<In, Out>> {
  const traced = trace(f as unknown as Fn<never, unknown>, options.sizes ?? {});
  const program: Program =
    options.optimize === false ? traced.program : optimize(inlineCalls(traced.program));
  const executable: Executable = await options.device.compile(program, {
    donate: donatedPositions(traced.inputNames, options.donate ?? []),
    inputNames: traced.inputNames,
    outputNames: traced.outputNames,
    ...(options.name === undefined ? {} : { name: options.name }),
  });
  const { device } = options;

  async function run(input: Inputs<In>): Promise<OnDevice<Out>> {
    const flat = flatten(input, isInput);
    if (describeTree(flat.tree) !== describeTree(traced.inputTree))
      sameStructure("the inputs are not what the function declares", flat.tree, traced.inputTree);
    const temporary: DeviceValue[] = [];
    try {
      const values = flat.leaves.map((leaf, i) => {
        if (isDeviceValue(leaf)) return leaf;
        const value = device.upload(
          toHost(leaf, executable.inputTypes[i] as TensorType, traced.inputNames[i] ?? ""),
        );
        temporary.push(value);
        return value;
      });
      const outputs = await executable.run(values);
      // The tree of outputs was traced from the function's own result.
      return unflatten(traced.outputTree, outputs) as OnDevice<Out>;
    } finally {
      for (const value of temporary) value.dispose();
    }
  }

  return { run, traced: { ...traced, program }, dispose: () => executable.dispose() };
}

function toHost(value: Exclude<Input, DeviceValue>, type: TensorType, name: string): HostTensor {
  if (isHostTensor(value)) return value;
  const numbers = typeof value === "number" ? [value] : value;
  const size = type.shape.reduce((product, dim) => product * dim, 1);
  if (numbers.length !== size)
    throw new Error(`${name} takes ${size} numbers ([${type.shape.join(",")}]), got ${numbers.length}`);
  return hostTensor(type.dtype, type.shape, numbers);
}

/** Uploads a tree of host tensors. */
export function uploadTree<T>(device: Device, tree: T): OnDeviceTree<T> {
  const { leaves, tree: structure } = flatten(tree, isHostTensor);
  return unflatten(
    structure,
    leaves.map((leaf) => device.upload(leaf)),
  ) as OnDeviceTree<T>;
}

/** Reads a tree of device values back. */
export async function readTree(tree: unknown): Promise<readonly HostTensor[]> {
  return Promise.all(flatten(tree, isDeviceValue).leaves.map((value) => value.read()));
}

/** Disposes of every value in a tree. */
export function disposeTree(tree: unknown): void {
  for (const value of flatten(tree, isDeviceValue).leaves) value.dispose();
}

/** A tree of host tensors with device values in their place. */
export type OnDeviceTree<T> = T extends HostTensor
  ? DeviceValue
  : { readonly [K in keyof T]: OnDeviceTree<T[K]> };
