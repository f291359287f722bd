// Reads the golden cases (see README.md). Consumed by parity tests: `goldenCase("common",
// "f_time_table_V11")`, then `numbers(golden.outputs, "exact_tau")`. Readers throw on a wrong path, so a
// renamed case cannot pass unnoticed.

import { readFileSync } from "node:fs";

export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly dtype: "float" | "int";
  readonly data: readonly number[];
}

export type GoldenValue =
  | number
  | string
  | GoldenTensor
  | readonly GoldenValue[]
  | { readonly [name: string]: GoldenValue };

export interface GoldenCase {
  readonly description: string;
  readonly inputs: { readonly [name: string]: GoldenValue };
  readonly outputs: { readonly [name: string]: GoldenValue };
  readonly f32_max_abs_diff: { readonly [path: string]: number };
}

const files = new Map<string, { readonly cases: { readonly [name: string]: GoldenCase } }>();

/** One case of `common/cases.json` or `tiny/cases.json`. */
export function goldenCase(config: "common" | "tiny", name: string): GoldenCase {
  let file = files.get(config);
  if (file === undefined) {
    // JSON.parse is untyped; the format is fixed by the files next to this one.
    file = JSON.parse(readFileSync(new URL(`./${config}/cases.json`, import.meta.url), "utf8")) as {
      readonly cases: { readonly [name: string]: GoldenCase };
    };
    files.set(config, file);
  }
  const found = file.cases[name];
  if (found === undefined) throw new Error(`No golden case ${name} in ${config}/cases.json.`);
  return found;
}

/** The value under a path of member names and list positions. */
export function at(value: GoldenValue, ...path: readonly (string | number)[]): GoldenValue {
  let here: unknown = value;
  for (const step of path) {
    here = typeof here === "object" && here !== null ? Reflect.get(here, String(step)) : undefined;
  }
  if (here === undefined) throw new Error(`No golden value under ${path.join(".")}.`);
  // Everything reachable in a GoldenValue is a GoldenValue.
  return here as GoldenValue;
}

/** The tensor under a path. */
export function tensor(value: GoldenValue, ...path: readonly (string | number)[]): GoldenTensor {
  const found = at(value, ...path);
  if (typeof found !== "object" || !("data" in found) || !("shape" in found)) {
    throw new Error(`The golden value under ${path.join(".")} is not a tensor.`);
  }
  // The two members identify a tensor in this format.
  return found as GoldenTensor;
}

/** The numbers under a path: a tensor's row-major data, or a list of plain numbers. */
export function numbers(value: GoldenValue, ...path: readonly (string | number)[]): readonly number[] {
  const found = at(value, ...path);
  const data: readonly unknown[] = Array.isArray(found) ? found : tensor(found).data;
  return data.map((entry) => {
    if (typeof entry !== "number")
      throw new Error(`The golden value under ${path.join(".")} holds more than numbers.`);
    return entry;
  });
}

/** The plain number under a path. */
export function scalar(value: GoldenValue, ...path: readonly (string | number)[]): number {
  const found = at(value, ...path);
  if (typeof found !== "number") throw new Error(`The golden value under ${path.join(".")} is not a number.`);
  return found;
}
