/**
 * `npm run bench`: times Fluxion against jax-js and tfjs, both on WebAssembly, and its own compilation; prints tables and writes
 * JSON. With `--device webgpu`, against both and ONNX Runtime on a WebGPU adapter. `npm run bench -- --only mlp --seconds 5` runs one
 * for at least five seconds. Nothing here asserts a time.
 */
import { parseArgs } from "node:util";
import { UserError } from "../src/runtime/files/errors.ts";
import { openNodeGpu } from "../src/runtime/webgpu/node.ts";
import { BENCHMARKS } from "./benchmarks.ts";
import type { Benchmark } from "./benchmark.ts";
import type { Phases } from "./case.ts";
import { lineOf } from "./contenders.ts";
import { describeAdapter, describeMachine, load, loadWarning } from "./machine.ts";
import type { Adapter } from "./machine.ts";
import { startCpuPeers, versions } from "./peers.ts";
import type { Peers, Target } from "./peers.ts";
import { formatComparison, formatMachine, formatPhases, resultsPath, saveReport } from "./report.ts";
import { startTfjsPeers } from "./tfjs/peers.ts";
import { timeTurns } from "./timing.ts";
import type { ComparisonResult } from "./timing.ts";

const namesOf = (target: Target): string => BENCHMARKS[target].map(({ name }) => name).join(", ");

/** Where results go. */
const RESULTS = "bench/results";

const HELP = `npm run bench -- [options]
  --device NAME   cpu (default), webgpu, or tfjs: Fluxion on each device on TensorFlow.js
  --adapter NAME  part of the name of a WebGPU adapter; by default the best
  --only NAME     one benchmark; on cpu: ${namesOf("cpu")};
                  on webgpu: ${namesOf("webgpu")}; on tfjs: ${namesOf("tfjs")}
  --seconds N     least time for each comparison (10)
  --hardware      on webgpu: checks, then times Fluxion alone at the sizes of a GPU; --help tells its own options
  --out FILE      where to write the results; by default bench/results/<date>-<cpu or adapter>.json when all benchmarks ran`;

interface Options {
  readonly target: Target;
  readonly adapter: string | undefined;
  readonly benchmarks: readonly Benchmark[];
  readonly seconds: number;
  readonly out: string | undefined;
  readonly help: boolean;
}

/** @throws UserError for an unknown option, device, benchmark or number */
function parseOptions(argv: readonly string[]): Options {
  const options = {
    device: { type: "string" },
    adapter: { type: "string" },
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
  const { device: target = "cpu", adapter, only, out } = values;
  if (target !== "cpu" && target !== "webgpu" && target !== "tfjs")
    throw new UserError(`There are no benchmarks for the device "${target}"; choose cpu, webgpu or tfjs.`);
  if (adapter !== undefined && target !== "webgpu")
    throw new UserError("--adapter chooses a WebGPU adapter; add --device webgpu.");
  const seconds = values.seconds === undefined ? 10 : Number(values.seconds);
  if (!(seconds > 0 && Number.isFinite(seconds)))
    throw new UserError(`--seconds must be a positive number, got "${values.seconds}".`);
  const benchmarks = BENCHMARKS[target].filter(({ name }) => only === undefined || only === name);
  if (benchmarks.length === 0)
    throw new UserError(`There is no benchmark "${only}" on ${target}; choose one of ${namesOf(target)}.`);
  return { target, adapter, benchmarks, seconds, out, help: values.help === true };
}

const print = (text: string): void => void process.stdout.write(`${text}\n\n`);

/** The benchmark of hardware, which has options of its own. */
async function hardware(argv: readonly string[]): Promise<void> {
  // Dawn is an optional dependency.
  const { HARDWARE_HELP, parseHardwareOptions, runHardware } = await import("./gpu/run-hardware.ts");
  const rest = argv.filter((arg, i) => arg !== "--hardware" && arg !== "--device" && argv[i - 1] !== "--device"); // prettier-ignore
  const options = parseHardwareOptions(rest);
  if (options === "help")
    return print(`npm run bench -- --device webgpu --hardware [options]\n${HARDWARE_HELP}`);
  await runHardware({ ...options, ...(options.out === undefined ? { results: RESULTS } : {}) });
}

async function run(argv: readonly string[]): Promise<void> {
  if (argv.includes("--hardware")) return hardware(argv);
  const { target, adapter, benchmarks, seconds, out, help } = parseOptions(argv);
  if (help) return print(HELP);
  const before = load();

  // Phases are measured first, in processes that have done nothing else; but who computes is to be said above them.
  const gpu = target === "webgpu" ? await adapterNamed(adapter) : undefined;
  const machine = describeMachine(await versions(target), gpu);
  const warning = loadWarning(before, machine.cores);
  print(formatMachine(machine));
  if (warning !== undefined) print(`Warning: ${warning}`);

  const failures: Record<string, string> = {};
  /** The other benchmarks go on when one ends with an error, and in the end that is said once more. */
  const attempt = async (name: string, work: () => Promise<void>): Promise<void> => {
    await work().catch((error: unknown) => {
      failures[name] = lineOf(error);
      print(`${name} FAILED: ${error instanceof Error ? error.stack : String(error)}`);
    });
  };
  const phases: Phases[] = [];
  for (const benchmark of benchmarks) {
    if (benchmark.kind !== "phases") continue;
    await attempt(benchmark.name, async () => {
      for (const measured of await benchmark.measure("full", adapter)) {
        phases.push(measured);
        print(formatPhases(measured));
      }
    });
  }
  const comparisons: ComparisonResult[] = [];
  const peers = await startPeers(target, adapter);
  for (const [name, error] of peers.absent) print(`absent: ${name}: ${error}`);
  for (const benchmark of benchmarks) {
    if (benchmark.kind !== "comparison") continue;
    for (const prepare of benchmark.comparisons("full", peers)) {
      await attempt(benchmark.name, async () => {
        const comparison = await prepare();
        try {
          const result = await timeTurns(comparison, seconds, peers.gpu?.count);
          comparisons.push(result);
          print(formatComparison(result));
        } finally {
          await comparison.dispose();
        }
      });
    }
  }
  await peers.stop();

  const wrong = comparisons.filter(({ absent }) => absent.some((one) => one.wrong)).map(({ name }) => name);
  if (wrong.length > 0) print(`Contenders disagree in ${wrong.join(", ")}.`);
  const failed = Object.keys(failures);
  if (failed.length > 0) print(`Failed: ${failed.join(", ")}.`);
  if (wrong.length + failed.length > 0) process.exitCode = 1;

  const path =
    out ??
    (benchmarks.length === BENCHMARKS[target].length ? resultsPath(RESULTS, machine, target) : undefined);
  if (path === undefined) return;
  await saveReport(path, {
    machine,
    load: { before, after: load() },
    ...(warning === undefined ? {} : { warning }),
    ...(peers.absent.size === 0 ? {} : { absent: Object.fromEntries(peers.absent) }),
    ...(failed.length === 0 ? {} : { failures }),
    comparisons,
    phases,
  });
  print(`Written to ${path}.`);
}

async function startPeers(target: Target, adapter: string | undefined): Promise<Peers> {
  switch (target) {
    case "cpu":
      return startCpuPeers();
    case "webgpu": // Dawn is an optional dependency
      return (await import("./webgpu/peers.ts")).startWebGpuPeers(adapter);
    case "tfjs":
      return startTfjsPeers();
  }
}

/** What the adapter says of itself. @throws UserError when there is none of that name */
async function adapterNamed(name: string | undefined): Promise<Adapter> {
  const gpu = await openNodeGpu(name === undefined ? {} : { adapter: name });
  const described = describeAdapter(gpu);
  gpu.device.destroy();
  return described;
}

try {
  await run(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode;
}
