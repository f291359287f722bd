/**
 * Results as text for people and as JSON for later. Consumed by run.ts.
 */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { writeFileAtomic } from "../src/runtime/files/atomic.ts";
import type { Phase, Phases } from "./case.ts";
import type { Machine } from "./machine.ts";
import type { Calls, Target } from "./peers.ts";
import { summarize } from "./timing.ts";
import type { ComparisonResult, ContenderResult, Summary } from "./timing.ts";

export interface Report {
  readonly machine: Machine;
  readonly load: { readonly before: number; readonly after: number };
  readonly warning?: string;
  /** Who did not take part in anything, and why. */
  readonly absent?: Readonly<Record<string, string>>;
  /** Benchmarks that ended with an error. */
  readonly failures?: Readonly<Record<string, string>>;
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
  const columns: readonly (readonly [name: string, cell: (row: ContenderResult) => string])[] = [
    ["median ms", ({ ms }) => digits(ms.median)],
    ["quartiles", ({ ms }) => range(ms)],
    ["least ms", ({ ms }) => digits(ms.least)],
    ["CPU ms", ({ cpuMs }) => digits(cpuMs.median)],
    ["GFLOP/s", ({ gflops }) => (gflops === undefined ? "" : digits(gflops))],
    ["tokens/s", ({ tokensPerSecond: rate }) => (rate === undefined ? "" : digits(rate))],
    ["dispatches", ({ calls }) => (calls === undefined ? "" : `${calls.dispatches}`)],
    ["submits", ({ calls }) => (calls === undefined ? "" : submitsOf(calls))],
    ["µs/dispatch", ({ microsecondsPerDispatch: us }) => (us === undefined ? "" : digits(us))],
  ];
  // A column that nobody fills is left out.
  const shown = columns.filter(([, cell]) => result.contenders.some((row) => cell(row) !== ""));
  const times = table([
    ["", ...shown.map(([name]) => name)],
    ...result.contenders.map((row) => [row.name, ...shown.map(([, cell]) => cell(row))]),
  ]);
  const ratios = result.ratios.map(({ of, to, ratio, cpuRatio, ofLeast, aim, note }) => {
    const spread = ({ lowerQuartile, upperQuartile }: Summary): string =>
      `quartiles ${lowerQuartile.toFixed(3)}-${upperQuartile.toFixed(3)}`;
    const verdict =
      aim === undefined ? "" : `; aim ≤ ${aim.toFixed(3)}: ${ratio.median <= aim ? "met" : "missed"}`;
    const known = note === undefined ? "" : `\n    ${note}`;
    return (
      `  ${of} / ${to} = ${ratio.median.toFixed(3)} (${spread(ratio)}; least times ${ofLeast.toFixed(3)}; ` +
      `CPU time ${cpuRatio.median.toFixed(3)}, ${spread(cpuRatio)})${verdict}${known}`
    );
  });
  const agreements = result.agreements.map(
    ({ what, difference, tolerance }) =>
      `  agrees: ${what}, to ${difference.toExponential(1)} (tolerance ${Number(tolerance.toPrecision(2))})`,
  );
  return [
    `${result.name}: ${result.what} (${result.rounds} rounds)`,
    times,
    ...result.contenders.flatMap(({ name, note }) => (note === undefined ? [] : [`  ${name}: ${note}`])),
    ...ratios,
    ...verdictsOf(result),
    ...agreements,
    ...result.absent.map(({ name, error, wrong }) => `  ${wrong ? "WRONG" : "absent"}: ${name}: ${error}`),
  ].join("\n");
}

/** "1 + 1 copying" */
const submitsOf = ({ submits, submitsWithKernels: kernels }: Calls): string =>
  submits === kernels ? `${kernels}` : `${kernels} + ${submits - kernels} copying`;

/** How the first contender stands to the comparison's bounds. */
function verdictsOf({ contenders: [ours], bounds }: ComparisonResult): readonly string[] {
  if (ours?.calls === undefined || bounds === undefined) return [];
  const verdict = (what: string, value: number, bound: number | undefined): readonly string[] =>
    bound === undefined
      ? []
      : [`  ${ours.name}: ${what} ${digits(value)}; aim ≤ ${bound}: ${value <= bound ? "met" : "missed"}`];
  return [
    ...verdict("submits with kernels", ours.calls.submitsWithKernels, bounds.submits),
    ...verdict("µs per dispatch", ours.microsecondsPerDispatch ?? Number.NaN, bounds.microsecondsPerDispatch),
  ];
}

const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);

/** Medians over repetitions of the time of a phase, or of all of them together. */
function phaseTimes(repetitions: readonly (readonly Phase[])[], position?: number): readonly string[] {
  if (repetitions.length === 0) return [];
  return (["wallMs", "cpuMs"] as const).map((time) => {
    const one = (phases: readonly Phase[]): number =>
      position === undefined ? sum(phases.map((phase) => phase[time])) : (phases[position]?.[time] ?? 0);
    return digits(summarize(repetitions.map(one)).median);
  });
}

/** The median of all phases together, in milliseconds. */
export const togetherMs = (repetitions: readonly (readonly Phase[])[]): number =>
  summarize(repetitions.map((phases) => sum(phases.map(({ wallMs }) => wallMs)))).median;

export function formatPhases({ name, what, first, later, aim, facts }: Phases): string {
  const row = (label: string, position?: number): readonly string[] => [
    label,
    ...phaseTimes(first, position),
    ...phaseTimes(later, position),
  ];
  const rows = table([
    ["", "first, ms", "of CPU", ...(later.length === 0 ? [] : ["later, ms", "of CPU"])],
    ...(first[0] ?? []).map((phase, i) => row(phase.name, i)),
    row("together"),
  ]);
  const total = togetherMs(first);
  const verdict =
    aim === undefined ? [] : [`  aim ≤ ${aim} ms the first time: ${total <= aim ? "met" : "missed"}`];
  const known = Object.entries(facts).map(([fact, value]) => `${fact} ${Number(value.toPrecision(4))}`);
  return [
    `${name}: ${what} (medians of ${first.length} first and ${later.length} later)`,
    rows,
    ...verdict,
    ...(known.length === 0 ? [] : [`  ${known.join(", ")}`]),
  ].join("\n");
}

export function formatMachine(machine: Machine): string {
  const { gpu } = machine;
  const packages = Object.entries(machine.packages).map(([name, version]) => `${name} ${version}`);
  return [
    `${machine.date}, ${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB, ${machine.platform}, Node ${machine.node}`,
    ...(gpu === undefined
      ? []
      : [
          `WebGPU on ${gpu.adapter}${gpu.software ? ", a software adapter" : ""}, ${gpu.driver}; ${gpu.features.join(", ")}`,
        ]),
    packages.join(", "),
  ].join("\n");
}

/** bench/results/2026-11-30-intel-xeon-processor.json; on a GPU the adapter's name. */
export function resultsPath(folder: string, { date, cpu, gpu }: Machine, target?: Target): string {
  const name = (gpu?.adapter ?? cpu)
    .replace(/\((r|tm)\)/gi, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
  return `${folder}/${date.slice(0, 10)}-${name}${target === "tfjs" ? "-tfjs" : ""}.json`;
}

/** Four significant digits: more are noise. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;

export const toJson = (report: unknown): string => `${JSON.stringify(report, rounded, 2)}\n`;

export async function saveReport(path: string, report: Report): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomic(path, toJson(report));
}
