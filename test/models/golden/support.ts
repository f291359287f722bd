/**
 * What the golden tests share: cases and weights as host tensors, a function run on the interpreter in f64 and on the cpu
 * device in f32, and comparison with the recorded numbers.
 */
import { fileURLToPath } from "node:url";
import { expect, vi } from "vitest";
import { exactTensor } from "../../../src/compiler/host-tensor.ts";
import type { ExactTensor, HostTensor } from "../../../src/compiler/host-tensor.ts";
import { dit } from "../../../src/models/networks/dit.ts";
import type { Dit } from "../../../src/models/networks/dit.ts";
import { ditConfigOf, ditFromTensors, ditToTensors } from "../../../src/models/networks/checkpoint.ts";
import type { DitTree } from "../../../src/models/networks/checkpoint.ts";
import { OFFICIAL_PREFIX } from "../../../src/models/networks/official-names.ts";
import type { DitSizes } from "../../../src/models/networks/official-names.ts";
import { openDevice } from "../../../src/runtime/devices.ts";
import { readSafetensors } from "../../../src/runtime/files/safetensors.ts";
import { at, goldenCase, tensor } from "../../golden/golden.ts";
import type { GoldenCase, GoldenValue } from "../../golden/golden.ts";
import type { Hosted, Tensors } from "../../support/evaluate.ts";
import { inDoubles, on } from "../../support/targets.ts";
import type { Runner } from "../../support/targets.ts";

export { ints, floats, scalarOf } from "../../support/evaluate.ts";
export { at, numbers, scalar } from "../../golden/golden.ts";

// Compiling for a device takes seconds where many tests run at once.
vi.setConfig({ testTimeout: 60_000 });

export const tiny = (name: string): GoldenCase => goldenCase("tiny", name);

/** A recorded tensor for the host. */
export function host(value: GoldenValue, ...path: readonly (string | number)[]): ExactTensor {
  const { shape, dtype, data } = tensor(value, ...path);
  return exactTensor(dtype === "int" ? "i32" : "f32", shape, data);
}

/** Recorded tensors for the host, by the names that they are recorded under. */
export const hosts = <K extends string>(value: GoldenValue, ...names: readonly K[]): Record<K, ExactTensor> =>
  Object.fromEntries(names.map((name) => [name, host(value, name)])) as Record<K, ExactTensor>; // of all names

/** The tensors of a golden file, unrounded. */
export async function stored(name: string): Promise<ReadonlyMap<string, ExactTensor>> {
  const { tensors } = await readSafetensors(
    fileURLToPath(new URL(`../../golden/tiny/${name}`, import.meta.url)),
  );
  return new Map(
    [...tensors].map(([key, { shape, data }]) => [key, exactTensor("f32", shape, Array.from(data, Number))]),
  );
}

/** The network of a golden file of weights, and its parameters. */
export async function stateOf(
  name: string,
): Promise<{ readonly network: Dit; readonly params: DitTree<ExactTensor> }> {
  const tensors = await stored(name);
  const config = ditConfigOf(tensors, { length: 6 });
  return { network: dit(config), params: ditFromTensors(config, tensors) };
}

/** The two ways to run, by what is expected of them. */
export type Precision = "f64" | "f32";

/** A recorded value by its path in a case, and what was computed for it. */
export type Entry = readonly [path: readonly (string | number)[], actual: HostTensor];

/** How `f32_max_abs_diff` writes a path: `stages.block0`, `states[2]`. */
const written = (path: readonly (string | number)[]): string =>
  path.reduce<string>(
    (text, step) => (typeof step === "number" ? `${text}[${step}]` : text === "" ? step : `${text}.${step}`),
    "",
  );

/** Largest |x|. */
const size = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((most, x) => Math.max(most, Math.abs(x)), 0);

/** Largest |a − b|; NaN when one is. @throws Error when the counts differ */
function distance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length)
    throw new Error(`${actual.length} values instead of ${expected.length}`);
  return Array.from(actual).reduce((most, x, i) => {
    const d = Math.abs(x - (expected[i] as number));
    return Number.isNaN(d) || d > most ? d : most;
  }, 0);
}

/** Largest error in f64, and largest multiple of the recorded f32 error, of everything compared so far in a test file. */
const worst = { f64: 0, f32: 0, where: "" };

/** Prints what the comparisons of a test file came to. */
export const summarize = (name: string): void =>
  console.log(
    `golden ${name}: f64 errors up to ${worst.f64.toExponential(1)}; f32 up to ${worst.f32.toFixed(1)} times the recorded ones (${worst.where})`,
  );

/** Tolerance in f64, absolute. */
export const TOLERANCE = 1e-9;

/** A tolerance in f32: a few times the recorded error of another f32 run, and what rounding the result itself may do. */
const tolerance32 = (recorded: number, scale: number): number => 8 * recorded + 2.5e-7 * scale;

/** Compares values with those of a case: in f64 to 1e-9, in f32 to a few times the recorded f32 error; integers exactly. */
export function expectGolden(
  precision: Precision,
  golden: GoldenCase,
  entries: readonly Entry[],
  tolerance = TOLERANCE,
): void {
  for (const [path, actual] of entries) {
    const found = at(golden.outputs, ...path);
    const expected =
      typeof found === "number"
        ? { shape: [], dtype: "float", data: [found] }
        : tensor(golden.outputs, ...path);
    const name = written(path);
    const error = distance(actual.data, expected.data);
    const scale = size(expected.data);
    const recorded = golden.f32_max_abs_diff[name] ?? 0;
    const allowed =
      expected.dtype === "int" ? 0 : precision === "f64" ? tolerance : tolerance32(recorded, scale);
    expect(actual.shape, name).toEqual(expected.shape);
    expect(error, name).toBeLessThanOrEqual(allowed);
    note(precision, error, error / Math.max(recorded, 1e-7 * scale), name);
  }
}

function note(precision: Precision, error: number, ratio: number, name: string): void {
  if (precision === "f64") worst.f64 = Math.max(worst.f64, error);
  else if (ratio > worst.f32) Object.assign(worst, { f32: ratio, where: name });
}

/** Compares a tree of parameters with the tensors of a golden file, for which no f32 errors are recorded. */
export function expectTensors(
  precision: Precision,
  sizes: DitSizes,
  actual: DitTree<HostTensor>,
  expected: ReadonlyMap<string, ExactTensor>,
  tolerance = TOLERANCE,
): void {
  for (const [name, { shape, data }] of ditToTensors(sizes, actual)) {
    // Files of gradients and of trained weights lack the prefix.
    const other = expected.get(name) ?? expected.get(name.slice(OFFICIAL_PREFIX.length));
    if (other === undefined) throw new Error(`the file has no ${name}`);
    expect(shape, name).toEqual(other.shape);
    const error = distance(data, other.data);
    expect(error, name).toBeLessThanOrEqual(precision === "f64" ? tolerance : 6e-5 * size(other.data));
    note(precision, error, 0, name);
  }
}

export const PRECISIONS: readonly Precision[] = ["f64", "f32"];

let cpu: Promise<Runner> | undefined;

/** What runs in a precision; the device is opened once per test file. */
export async function runner(precision: Precision): Promise<Runner> {
  if (precision === "f64") return inDoubles;
  cpu ??= openDevice("cpu").then(on);
  return cpu;
}

/** Runs a function once. */
export async function run<In extends object, Out>(
  precision: Precision,
  inputs: In,
  body: (inputs: Tensors<In>) => Out,
): Promise<Hosted<Out>> {
  const prepare = await runner(precision);
  return (await prepare(inputs, body))(inputs);
}
