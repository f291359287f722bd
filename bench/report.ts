/**
 * Results as text for people and as JSON for later. Consumed by run.ts.
 */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { writeFileAtomic } from "../src/runtime/files/atomic.ts";
import type { Phases } from "./case.ts";
import type { Machine } from "./machine.ts";
import { summarize } from "./timing.ts";
import type { ComparisonResult, Summary } from "./timing.ts";

export interface Report {
  readonly machine: Machine;
  readonly load: { readonly before: number; readonly after: number };
  readonly warning?: string;
  readonly comparisons: readonly ComparisonResult[];
  readonly phases: readonly Phases[];
}

const digits = (x: number): string => (x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2));
const range = ({ lowerQuartile, upperQuartile }: Summary): string =>
  `${digits(lowerQuartile)}-${digits(upperQuartile)}`;

/** Rows as columns of equal width; the first is aligned left. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ");
  return rows.map((row) => `  ${line(row).trimEnd()}`).join("\n");
}

export function formatComparison(result: ComparisonResult): string {
  const flops = result.contenders.some(({ gflops }) => gflops !== undefined);
  const times = table([
    ["", "median ms", "quartiles", "least ms", "CPU ms", ...(flops ? ["GFLOP/s"] : [])],
    ...result.contenders.map(({ name, ms, cpuMs, gflops }) => [
      name,
      digits(ms.median),
      range(ms),
      digits(ms.least),
      digits(cpuMs.median),
      ...(gflops === undefined ? [] : [digits(gflops)]),
    ]),
  ]);
  const ratios = result.ratios.map(({ of, to, ratio, cpuRatio, ofLeast, aim, note }) => {
    const spread = ({ lowerQuartile, upperQuartile }: Summary): string =>
      `quartiles ${lowerQuartile.toFixed(3)}-${upperQuartile.toFixed(3)}`;
    const verdict = aim === undefined ? "" : `; aim ≤ ${aim}: ${ratio.median <= aim ? "met" : "missed"}`;
    const known = note === undefined ? "" : `\n    ${note}`;
    return (
      `  ${of} / ${to} = ${ratio.median.toFixed(3)} (${spread(ratio)}; least times ${ofLeast.toFixed(3)}; ` +
      `CPU time ${cpuRatio.median.toFixed(3)}, ${spread(cpuRatio)})${verdict}${known}`
    );
  });
  const agreements = result.agreements.map(
    ({ what, difference, tolerance }) =>
      `  agrees: ${what}, to ${difference.toExponential(1)} (tolerance ${tolerance})`,
  );
  return [`${result.name}: ${result.what} (${result.rounds} rounds)`, times, ...ratios, ...agreements].join(
    "\n",
  );
}

export function formatPhases({ name, what, repetitions, aim, facts }: Phases): string {
  const [first, ...later] = repetitions;
  const names = first?.map((phase) => phase.name) ?? [];
  const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
  const row = (
    label: string,
    pick: (phases: (typeof repetitions)[number]) => readonly [wall: number, cpu: number],
  ): readonly string[] => {
    const cold = first === undefined ? [0, 0] : pick(first);
    const warm = (i: 0 | 1): number => summarize(later.map((phases) => pick(phases)[i])).median;
    return [
      label,
      digits(cold[0] ?? 0),
      digits(cold[1] ?? 0),
      ...(later.length === 0 ? [] : [digits(warm(0)), digits(warm(1))]),
    ];
  };
  const rows = table([
    ["", "first, ms", "of CPU", ...(later.length === 0 ? [] : ["later, ms", "of CPU"])],
    ...names.map((phase, i) => row(phase, (phases) => [phases[i]?.wallMs ?? 0, phases[i]?.cpuMs ?? 0])),
    row("together", (phases) => [
      sum(phases.map(({ wallMs }) => wallMs)),
      sum(phases.map(({ cpuMs }) => cpuMs)),
    ]),
  ]);
  const total = sum(first?.map(({ wallMs }) => wallMs) ?? []);
  const verdict =
    aim === undefined ? [] : [`  aim ≤ ${aim} ms in a fresh process: ${total <= aim ? "met" : "missed"}`];
  const known = Object.entries(facts).map(([fact, value]) => `${fact} ${value}`);
  return [
    `${name}: ${what}`,
    rows,
    ...verdict,
    ...(known.length === 0 ? [] : [`  ${known.join(", ")}`]),
  ].join("\n");
}

export function formatMachine(machine: Machine): string {
  const packages = Object.entries(machine.packages).map(([name, version]) => `${name} ${version}`);
  return `${machine.date}, ${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB, ${machine.platform}, Node ${machine.node}\n${packages.join(", ")}`;
}

/** bench/results/2026-11-30-intel-xeon-processor.json */
export function resultsPath(folder: string, { date, cpu }: Machine): string {
  const name = cpu
    .replace(/\((r|tm)\)/gi, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
  return `${folder}/${date.slice(0, 10)}-${name}.json`;
}

/** Four significant digits: more are noise. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;

export async function saveReport(path: string, report: Report): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomic(path, `${JSON.stringify(report, rounded, 2)}\n`);
}
