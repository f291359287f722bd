/**
 * `npm run bench`: times Fluxion against jax-js and tfjs, both on WebAssembly, and its own compilation; prints tables and writes
 * JSON. `npm run bench -- --only mlp --seconds 5` runs one for at least five seconds. Nothing here asserts a time.
 */
import { parseArgs } from "node:util";
import { UserError } from "../src/runtime/files/errors.ts";
import { BENCHMARKS } from "./benchmarks.ts";
import type { Benchmark, Phases } from "./case.ts";
import { describeMachine, load, loadWarning } from "./machine.ts";
import { startPeers, stopPeers } from "./peers.ts";
import { formatComparison, formatMachine, formatPhases, resultsPath, saveReport } from "./report.ts";
import { timeTurns } from "./timing.ts";
import type { ComparisonResult } from "./timing.ts";

const HELP = `npm run bench -- [options]
  --only NAME     one benchmark: ${BENCHMARKS.map(({ name }) => name).join(", ")}
  --seconds N     least time for each comparison (10)
  --out FILE      where to write the results; by default bench/results/<date>-<cpu>.json when all benchmarks ran`;

interface Options {
  readonly benchmarks: readonly Benchmark[];
  readonly seconds: number;
  readonly out: string | undefined;
  readonly help: boolean;
}

/** @throws UserError for an unknown option, benchmark or number */
function parseOptions(argv: readonly string[]): Options {
  const options = {
    only: { type: "string" },
    seconds: { type: "string" },
    out: { type: "string" },
    help: { type: "boolean" },
  } as const;
  let values;
  try {
    ({ values } = parseArgs({ args: [...argv], options }));
  } catch (error) {
    throw new UserError(`${error instanceof Error ? error.message : String(error)}\n${HELP}`);
  }
  const seconds = values.seconds === undefined ? 10 : Number(values.seconds);
  if (!(seconds > 0 && Number.isFinite(seconds)))
    throw new UserError(`--seconds must be a positive number, got "${values.seconds}".`);
  const benchmarks = BENCHMARKS.filter(({ name }) => values.only === undefined || values.only === name);
  if (benchmarks.length === 0) {
    throw new UserError(
      `There is no benchmark "${values.only}"; choose one of ${BENCHMARKS.map(({ name }) => name).join(", ")}.`,
    );
  }
  return { benchmarks, seconds, out: values.out, help: values.help === true };
}

const print = (text: string): void => void process.stdout.write(`${text}\n\n`);

async function run(argv: readonly string[]): Promise<void> {
  const { benchmarks, seconds, out, help } = parseOptions(argv);
  if (help) return print(HELP);
  const before = load();
  const machine = await describeMachine();
  const warning = loadWarning(before, machine.cores);
  print(formatMachine(machine));
  if (warning !== undefined) print(`Warning: ${warning}`);

  const phases: Phases[] = [];
  for (const benchmark of benchmarks) {
    if (benchmark.kind !== "phases") continue;
    const measured = await benchmark.measure("full");
    phases.push(measured);
    print(formatPhases(measured));
  }
  const comparisons: ComparisonResult[] = [];
  const peers = await startPeers();
  for (const benchmark of benchmarks) {
    if (benchmark.kind !== "comparison") continue;
    for (const prepare of benchmark.comparisons("full")) {
      const comparison = await prepare(peers);
      const result = await timeTurns(comparison, seconds);
      await comparison.dispose();
      comparisons.push(result);
      print(formatComparison(result));
    }
  }
  await stopPeers(peers);

  const path =
    out ?? (benchmarks.length === BENCHMARKS.length ? resultsPath("bench/results", machine) : undefined);
  if (path === undefined) return;
  await saveReport(path, {
    machine,
    load: { before, after: load() },
    ...(warning === undefined ? {} : { warning }),
    comparisons,
    phases,
  });
  print(`Written to ${path}.`);
}

try {
  await run(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode;
}
