/**
 * What a tuner found out, as plain JSON: for each adapter with its driver, how the dots of a size and layout are best computed where
 * that is not what the heuristic says. Sizes count by their logarithm, so one measurement serves all dots of about that size.
 *
 * A table may come from anywhere: it names ways to compute a dot, and only those that `candidates.ts` offers are accepted. So a wrong
 * table costs time, and nothing else.
 *
 * Consumed by the WebGPU device, by the tuner and by `tune-file.ts`. `SCHEMA` goes up when the form changes, or the kernels so much
 * that old times mean nothing. Safe in a browser.
 */
import type { TargetLimits } from "../../compiler/kernel/plan.ts";
import { namedDot } from "../../compiler/schedule/dot/candidates.ts";
import type { DotLayout, DotShape } from "../../compiler/schedule/dot/problem.ts";
import type { DotChoice } from "../../compiler/schedule/dot-kernel.ts";
import type { Gpu } from "./gpu.ts";

export const SCHEMA = 3;

/** A way to compute a dot, in the words of `candidates.ts`. */
export interface TunedDot {
  readonly rung: string;
  /** Slices along k; 1: not cut. */
  readonly slices: number;
}

/** By adapter, then by dot. */
export interface TuneTable {
  readonly schema: typeof SCHEMA;
  readonly adapters: Readonly<Record<string, Readonly<Record<string, TunedDot>>>>;
}

export const EMPTY_TABLE: TuneTable = { schema: SCHEMA, adapters: {} };

/** An adapter with its driver, as far as it tells. */
export const adapterKey = ({ vendor, architecture, name }: Gpu["adapter"]): string =>
  [vendor, architecture, name].join("/");

/** Dots of the same key are computed the same way: each extent up to the next power of two, the layout, the type of the operands. */
export function dotKey(
  { batch, rows, columns, inner }: DotShape,
  { left, right, dtype = "f32" }: DotLayout,
): string {
  const sizes = [batch, rows, columns, inner].map((extent) => 2 ** Math.ceil(Math.log2(Math.max(1, extent))));
  return `${sizes.join("x")} ${left ?? "none"},${right ?? "none"} ${dtype}`;
}

/** Entry of a record that may come from a file: what every object inherits is no entry. */
const own = <T>(record: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined;

/** What the table has for an adapter, as the scheduler takes it. */
export function tunedDots({ adapters }: TuneTable, adapter: string, limits: TargetLimits): DotChoice {
  const known = own(adapters, adapter);
  return (shape, layout) => {
    const found = known === undefined ? undefined : own(known, dotKey(shape, layout));
    return found === undefined ? undefined : namedDot(shape, layout, limits, found);
  };
}

/** The table with new results for an adapter: undefined removes what it had, so that the heuristic decides again. */
export function withResults(
  table: TuneTable,
  adapter: string,
  results: ReadonlyMap<string, TunedDot | undefined>,
): TuneTable {
  const kept = Object.entries(own(table.adapters, adapter) ?? {}).filter(([key]) => !results.has(key));
  const found = [...results].flatMap(([key, dot]) => (dot === undefined ? [] : [[key, dot] as const]));
  return {
    schema: SCHEMA,
    adapters: { ...table.adapters, [adapter]: Object.fromEntries([...kept, ...found]) },
  };
}

const MOST_ADAPTERS = 256;
const MOST_DOTS = 10_000;
const LONGEST = 500;

type Json = Readonly<Record<string, unknown>>;
const isRecord = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isDot = (value: unknown): value is TunedDot =>
  isRecord(value) &&
  typeof value["rung"] === "string" &&
  value["rung"].length <= LONGEST &&
  Number.isSafeInteger(value["slices"]) &&
  (value["slices"] as number) >= 1; // an integer, as was checked

/** The table in a text, or a few words saying what is wrong with it. */
export function parseTable(text: string): TuneTable | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "it is not JSON";
  }
  if (!isRecord(value) || value["schema"] !== SCHEMA) return `it is no table of version ${SCHEMA}`;
  const { adapters } = value;
  if (!isRecord(adapters) || Object.keys(adapters).length > MOST_ADAPTERS)
    return "its adapters are not as they should be";
  const read: [string, Readonly<Record<string, TunedDot>>][] = [];
  for (const [adapter, dots] of Object.entries(adapters)) {
    if (!isRecord(dots) || adapter.length > LONGEST || Object.keys(dots).length > MOST_DOTS)
      return "an adapter's entry is not as it should be";
    const entries: [string, TunedDot][] = [];
    for (const [key, dot] of Object.entries(dots)) {
      if (key.length > LONGEST || !isDot(dot)) return "a dot's entry is not as it should be";
      entries.push([key, { rung: dot.rung, slices: dot.slices }]);
    }
    read.push([adapter, Object.fromEntries(entries)]);
  }
  return { schema: SCHEMA, adapters: Object.fromEntries(read) };
}
