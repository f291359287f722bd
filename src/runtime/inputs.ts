/**
 * What a call of a compiled function accepts for its inputs, and how that becomes tensors of the declared types.
 *
 * Consumed by `compile.ts`. To accept another kind of value: `Input`, and a case in `toInput`. Every message names the input by its
 * path, as `state.params.w`.
 */
import { hostTensor } from "../compiler/host-tensor.ts";
import type { HostTensor } from "../compiler/host-tensor.ts";
import { OpError } from "../dsl/ops/definition.ts";
import { formatType, sizeOf } from "../dsl/program/program.ts";
import type { TensorType } from "../dsl/program/program.ts";
import type { TreeDef } from "../dsl/trace/pytree.ts";
import type { Tensor } from "../dsl/types/index.ts";
import type { DeviceValue } from "./device.ts";

/** Arrays whose entries are numbers as they stand. A Uint16Array is none: it holds the bits of f16 numbers. */
type NumberArray = Float32Array | Float64Array | Int32Array | Uint32Array | Uint8Array;

/** Numbers (for a bool input also booleans) in row-major order, or nested as the shape says. */
export type NestedNumbers = readonly (number | boolean | NumberArray | NestedNumbers)[];

/** What a call accepts for a tensor: a value of the device, a host tensor, a number or boolean (for a scalar), or its entries. */
export type Input = DeviceValue | HostTensor | number | boolean | NumberArray | NestedNumbers;
/** A tree of tensors as a call accepts it. */
export type Inputs<T> = T extends Tensor ? Input : { readonly [K in keyof T]: Inputs<T[K]> };

export const isDeviceValue = (value: unknown): value is DeviceValue =>
  typeof value === "object" && value !== null && "read" in value && "dispose" in value;
export const isHostTensor = (value: unknown): value is HostTensor =>
  typeof value === "object" && value !== null && "data" in value && "dtype" in value;
const isNumberArray = (value: unknown): value is NumberArray =>
  [Float32Array, Float64Array, Int32Array, Uint32Array, Uint8Array].some((kind) => value instanceof kind);
const isList = (value: unknown): value is NumberArray | readonly unknown[] =>
  Array.isArray(value) || isNumberArray(value);

/** What a value is, for messages. */
function nameOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (isDeviceValue(value) || isHostTensor(value)) return "a tensor";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value !== "object") return `a ${typeof value}`;
  const { constructor } = value as { readonly constructor?: { readonly name?: string } }; // any object may be given
  const name = constructor?.name ?? "";
  return name === "" || name === "Object" ? "an object" : /^[AEIO]/.test(name) ? `an ${name}` : `a ${name}`;
}

const fail = (message: string): never => {
  throw new OpError(message);
};

/** Keys as text; of many the first few. */
const listed = (keys: readonly string[]): string =>
  keys.length === 0
    ? "nothing"
    : keys.length <= 8
      ? keys.join(", ")
      : `${keys.slice(0, 7).join(", ")} and ${keys.length - 7} more`;

/** Keys and parts of a node of a structure. */
const partsOf = (node: Exclude<TreeDef, { kind: "leaf" }>): readonly (readonly [string, TreeDef])[] =>
  node.kind === "array" ? node.items.map((item, i) => [String(i), item] as const) : node.entries;

/**
 * What stands in `value` at each leaf of the declared structure, in order.
 * @throws OpError naming the first place where the two do not agree
 */
export function leavesOf(tree: TreeDef, value: unknown): readonly unknown[] {
  const leaves: unknown[] = [];
  const wrong = (problem: string): never => fail(`the inputs are not what the function declares: ${problem}`);
  const visit = (node: TreeDef, given: unknown, path: string): void => {
    if (node.kind === "leaf") {
      leaves.push(given);
      return;
    }
    const parts = partsOf(node);
    const keys = parts.map(([key]) => key);
    const isNode = node.kind === "array" ? Array.isArray(given) : isRecord(given);
    if (!isNode) {
      const needed = node.kind === "array" ? `a list of ${keys.length}` : `an object with ${listed(keys)}`;
      wrong(`${path === "" ? "the argument" : path} is ${nameOf(given)}, and ${needed} is needed`);
    }
    const entries = given as Readonly<Record<string, unknown>>; // a list or an object, by its keys
    const pathOf = (key: string): string => (path === "" ? key : `${path}.${key}`);
    const extra = Object.keys(entries).find((key) => !keys.includes(key));
    if (extra !== undefined)
      wrong(
        `there is no ${pathOf(extra)}; ${path === "" ? "the function takes" : `${path} has`} ${listed(keys)}`,
      );
    for (const [key, part] of parts) {
      if (!Object.hasOwn(entries, key) || entries[key] === undefined) wrong(`${pathOf(key)} is missing`);
      visit(part, entries[key], pathOf(key));
    }
  };
  visit(tree, value, "");
  return leaves;
}

/** Whether a value is an object with named parts, no list and no tensor. */
const isRecord = (value: unknown): boolean =>
  typeof value === "object" &&
  value !== null &&
  !isList(value) &&
  !isDeviceValue(value) &&
  !isHostTensor(value);

/**
 * A value given for the input `name`: device values and host tensors as they are, numbers as a host tensor of the input's type.
 * @throws OpError saying what was given and what is needed
 */
export function toInput(value: unknown, type: TensorType, name: string): DeviceValue | HostTensor {
  if (isDeviceValue(value) || isHostTensor(value)) return value;
  if (typeof value === "number" || typeof value === "boolean")
    return toTensor([numberAt(value, type, name)], type, name);
  if (isNumberArray(value)) return toTensor(value, type, name);
  if (Array.isArray(value)) return toTensor(entriesOf(value, type, name), type, name);
  if (value instanceof Uint16Array)
    return fail(
      `${name}: a Uint16Array holds the bits of f16 numbers; give the tensor that read() returned, or its toNumbers()`,
    );
  return fail(`${name} takes ${formatType(type)}, as a tensor or as numbers, got ${nameOf(value)}`);
}

function toTensor(numbers: ArrayLike<number>, type: TensorType, name: string): HostTensor {
  const size = sizeOf(type.shape);
  if (numbers.length !== size)
    fail(
      `${name} takes ${size} number${size === 1 ? "" : "s"} ([${type.shape.join(",")}]), got ${numbers.length}`,
    );
  return hostTensor(type.dtype, type.shape, numbers);
}

/** One entry; booleans are for bool. */
function numberAt(value: unknown, { dtype }: TensorType, at: string): number {
  if (typeof value === "number") return value;
  if (typeof value !== "boolean") return fail(`${at} is ${nameOf(value)}, and a number is needed`);
  return dtype === "bool"
    ? Number(value)
    : fail(`${at} is ${value}, and its dtype is ${dtype}; give ${Number(value)}`);
}

/** The entries of a list: flat in row-major order, or nested as the shape says. */
function entriesOf(list: readonly unknown[], type: TensorType, name: string): readonly number[] {
  const { shape } = type;
  const entries: number[] = [];
  const rows = (given: NumberArray | readonly unknown[], axis: number, at: string): void => {
    if (given.length !== shape[axis])
      fail(`${at} has ${given.length} entries, and axis ${axis} of ${formatType(type)} has ${shape[axis]}`);
    for (let i = 0; i < given.length; i++) {
      const [item, place] = [given[i], `${at}[${i}]`];
      if (axis === shape.length - 1) entries.push(numberAt(item, type, place));
      else if (isList(item)) rows(item, axis + 1, place);
      else fail(`${place} is ${nameOf(item)}, and a list is needed: ${name} is ${formatType(type)}`);
    }
  };
  if (isList(list[0]) && shape.length > 0) rows(list, 0, name);
  // By index, not by iteration: a hole must not pass for a number.
  else for (let i = 0; i < list.length; i++) entries.push(numberAt(list[i], type, `${name}[${i}]`));
  return entries;
}
