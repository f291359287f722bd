/**
 * Functions of the language on trees of host tensors, on any device: compiled once, then called. In doubles on the interpreter, which
 * is the specification, and in single precision on others.
 *
 * Consumed by tests that hold on every device: those of golden numbers and of the groups of identities.
 */
import { afterAll } from "vitest";
import { exactTensor } from "../../src/compiler/host-tensor.ts";
import type { ExactTensor } from "../../src/compiler/host-tensor.ts";
import { fn, specLike } from "../../src/dsl/index.ts";
import type { Fn } from "../../src/dsl/index.ts";
import { flatten, unflatten } from "../../src/dsl/trace/pytree.ts";
import { compile, disposeTree } from "../../src/runtime/compile.ts";
import type { Device, DeviceValue } from "../../src/runtime/device.ts";
import { listDevices, openDevice } from "../../src/runtime/devices.ts";
import { compiled } from "./evaluate.ts";
import type { Hosted, Tensors } from "./evaluate.ts";

const isHost = (value: unknown): value is ExactTensor =>
  typeof value === "object" && value !== null && "data" in value && ArrayBuffer.isView(value.data);

const isValue = (value: unknown): value is DeviceValue =>
  typeof value === "object" && value !== null && "read" in value;

/** How a function of the language is run on trees of host tensors: compiled once for inputs like these, then called. */
export type Runner = <In extends object, Out>(
  like: In,
  body: (inputs: Tensors<In>) => Out,
) => Promise<(inputs: In) => Promise<Hosted<Out>>>;

/** On the interpreter, in f64. */
export const inDoubles: Runner = async (like, body) => {
  const call = compiled(like, body);
  return async (inputs) => call(inputs);
};

/** On a device. */
export const on =
  (device: Device): Runner =>
  async <In extends object, Out>(like: In, body: (inputs: Tensors<In>) => Out) => {
    // specLike and unflatten forget the structure that In and Out state.
    const f = fn(specLike(like, isHost), body as unknown as (inputs: unknown) => Out) as Fn<unknown, Out>;
    const executable = await compile(f, { device });
    return async (inputs: In): Promise<Hosted<Out>> => {
      const outputs = await executable.run(inputs as never);
      const { leaves, tree } = flatten(outputs, isValue);
      const read = await Promise.all(leaves.map((leaf) => leaf.read()));
      disposeTree(outputs);
      // f32 results are numbers all the same.
      return unflatten(
        tree,
        read.map(({ shape, dtype, data }) => exactTensor(dtype, shape, data)),
      ) as Hosted<Out>;
    };
  };

/** A device that identities are tested on. */
export interface Target {
  readonly name: string;
  /** Compiles a function for it. */
  readonly prepare: Runner;
  /** The first of two tolerances in doubles, the second in single precision. */
  within(f64: number, f32: number): number;
}

/** What identities are tested on. Other devices are these with other limits, and have tests of their own. */
const NAMES: readonly string[] = ["interpreter", "cpu", "webgpu"];

/** Every such device that can be used here, opened for the tests of a file and disposed of after them; what cannot be used is printed. */
export async function openTargets(): Promise<readonly Target[]> {
  const targets: Target[] = [];
  for (const { name, available, detail } of await listDevices()) {
    if (!NAMES.includes(name)) continue;
    if (!available) {
      console.log(`Identities on ${name} are not tested: ${detail}`);
      continue;
    }
    if (name === "interpreter") {
      targets.unshift({ name, prepare: inDoubles, within: (f64) => f64 });
      continue;
    }
    const device = await openDevice(name);
    afterAll(() => device.dispose());
    targets.push({ name, prepare: on(device), within: (_, f32) => f32 });
  }
  return targets;
}
