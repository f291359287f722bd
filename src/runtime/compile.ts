/**
 * From a declared function to something that runs: trace with sizes, optimize, compile for a device; then call it on pytrees
 * of device values and host tensors.
 *
 * Consumed by training, sampling, tests and users. State lives across calls as the device values that a call returns; inputs
 * named in `donate` are consumed by the call, so that their storage serves its outputs.
 */
import { inlineCalls } from "../compiler/passes/inline.ts";
import { optimize } from "../compiler/passes/pipeline.ts";
import type { HostTensor } from "../compiler/host-tensor.ts";
import { trace } from "../dsl/fn.ts";
import type { Fn, TracedFunction } from "../dsl/fn.ts";
import type { Program, TensorType } from "../dsl/program/program.ts";
import { blame } from "../dsl/trace/builder.ts";
import { flatten, unflatten } from "../dsl/trace/pytree.ts";
import type { Sizes } from "../dsl/trace/sizes.ts";
import type { Tensor } from "../dsl/types/index.ts";
import type { Device, DeviceValue, Executable } from "./device.ts";
import { isDeviceValue, isHostTensor, leavesOf, toInput } from "./inputs.ts";
import type { Inputs } from "./inputs.ts";

export type { Input, Inputs } from "./inputs.ts";

/** A tree of tensors as its values on a device. */
export type OnDevice<T> = T extends Tensor ? DeviceValue : { readonly [K in keyof T]: OnDevice<T[K]> };

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

  /** The inputs in order. @throws OpError naming the caller's line */
  function fromInput(input: unknown, types: readonly TensorType[]): readonly (DeviceValue | HostTensor)[] {
    try {
      return leavesOf(traced.inputTree, input).map((value, i) =>
        toInput(value, types[i] as TensorType, traced.inputNames[i] ?? ""),
      ); // one type and one name per leaf
    } catch (error) {
      throw blame(error);
    }
  }

  async function run(input: Inputs<In>): Promise<OnDevice<Out>> {
    const given = fromInput(input, executable.inputTypes);
    const temporary: DeviceValue[] = [];
    try {
      const values = given.map((value) => {
        if (isDeviceValue(value)) return value;
        const uploaded = device.upload(value);
        temporary.push(uploaded);
        return uploaded;
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
