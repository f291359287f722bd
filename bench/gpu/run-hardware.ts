/**
 * The benchmark of hardware: checks programs of every kind against the interpreter, then times products, attention, dispatches and training
 * steps, and says which kernels take the time. It prints tables as it goes and one JSON object at the end, with the card and its driver.
 * Nothing is fetched, and nothing written but what `--out` says.
 *
 * It keeps to a time: what is left when that is up is named and left out. The exit code is 1 when a value was wrong or a part failed.
 * Consumed by hardware.ts, which is bundled, and by run.ts.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { UserError } from "../../src/runtime/files/errors.ts";
import { WebGpuDevice } from "../../src/runtime/webgpu/device.ts";
import { openNodeGpu } from "../../src/runtime/webgpu/node.ts";
import { loadVulkanLoader } from "../../src/runtime/webgpu/vulkan.ts";
import type { Scale } from "../benchmark.ts";
import { DisagreementError } from "../case.ts";
import type { Comparison } from "../case.ts";
import { limitOf } from "../cases/limit.ts";
import { describeAdapter, describeMachine } from "../machine.ts";
import { formatComparison, formatMachine, resultsPath } from "../report.ts";
import { timeTurns } from "../timing.ts";
import { countCalls } from "../webgpu/calls.ts";
import { stepOptions, traceStep } from "../webgpu/flm-step.ts";
import type { StepName } from "../webgpu/flm-step.ts";
import { checksAt, randomChecks, runChecks } from "./checks.ts";
import type { Check } from "./checks.ts";
import { HardwareReport } from "./report.ts";
import { attentionTiming, dispatchTiming, product, profileStep, stepTiming, tuneStep } from "./timings.ts";
import type { Timing } from "./timings.ts";
import { productWays } from "./ways.ts";

const PARTS = [
  "checks",
  "limit",
  "matmul",
  "attention",
  "dispatch",
  "steps",
  "tuned",
  "random",
  "profile",
] as const;
type Part = (typeof PARTS)[number];

export const HARDWARE_HELP = `  --adapter NAME  part of the adapter's name; by default the best
  --minutes N     how long it may take at most (7)
  --only PARTS    some of ${PARTS.join(", ")}
  --out FILE      where to write the JSON too, after every part
  --tiny          tiny sizes, to try the script itself`;

export interface HardwareOptions {
  readonly adapter: string | undefined;
  readonly minutes: number;
  readonly out: string | undefined;
  readonly only: readonly Part[];
  /** A folder that gets a file named by date and adapter, where `out` says nothing. */
  readonly results?: string;
  readonly scale: Scale;
}

/** @throws Error for an option that is not known */
export function parseHardwareOptions(args: readonly string[]): HardwareOptions | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      adapter: { type: "string" },
      minutes: { type: "string", default: "7" },
      out: { type: "string" },
      only: { type: "string", default: PARTS.join(",") },
      tiny: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && Number.isFinite(minutes)))
    throw new UserError(`--minutes must be a positive number, got "${values.minutes}".`);
  const only = values.only.split(",");
  for (const part of only)
    if (!PARTS.some((known) => known === part))
      throw new UserError(`--only takes some of ${PARTS.join(", ")}; "${part}" is none.`);
  return {
    only: PARTS.filter((part) => only.includes(part)),
    adapter: values.adapter,
    minutes,
    out: values.out,
    scale: values.tiny ? "tiny" : "full",
  };
}

/** Batches of the small model, tried until one fits in memory. */
const SMALL_BATCHES = [32, 8, 2, 1];

/** Time that is kept for a part that must first compile a large program. */
const COMPILING_MS = 20_000;

const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** Runs all of it, prints the report and ends the process. */
export async function runHardware(options: HardwareOptions): Promise<never> {
  const report = new HardwareReport(options.out);
  const finish = (): never => {
    report.save();
    process.stdout.write(report.json());
    process.exit(report.right ? 0 : 1);
  };
  // Nothing here blocks for long, so this rings on time.
  const limit = 60_000 * options.minutes;
  setTimeout(() => {
    report.leaveOut("what was going on when the time was up");
    finish();
  }, limit + COMPILING_MS).unref(); // prettier-ignore
  try {
    await new Hardware(options, report, performance.now() + limit).run();
  } catch (error) {
    report.fail("opening the device", error instanceof UserError ? error.message : error);
  }
  return finish();
}

class Hardware {
  readonly #options: HardwareOptions;
  readonly #report: HardwareReport;
  readonly #end: number;
  #device: WebGpuDevice | undefined;

  constructor(options: HardwareOptions, report: HardwareReport, end: number) {
    this.#options = options;
    this.#report = report;
    this.#end = end;
  }

  async run(): Promise<void> {
    // A loader may lie beside the script where the system has none.
    if (process.platform === "linux" && !loadVulkanLoader())
      loadVulkanLoader(fileURLToPath(new URL("./libvulkan.so.1", import.meta.url)));
    const { scale } = this.#options;
    const device = await this.#open();
    const { gpu } = device.context;
    const machine = describeMachine({}, describeAdapter(gpu));
    this.#report.machine = { ...machine, limits: gpu.limits, subgroups: gpu.subgroups ?? null };
    const { results } = this.#options;
    if (results !== undefined)
      this.#report.path ??= resultsPath(results, machine).replace(/\.json$/, "-hardware.json");
    say(formatMachine(machine));

    const wanted = (part: Part): boolean => this.#options.only.includes(part);
    if (wanted("checks")) await this.#part("checks", () => this.#check("checks", checksAt(scale), 0.35));
    if (wanted("limit"))
      await this.#part("limit", async (device) => this.#time(await limitOf(device.context.gpu, scale)));
    if (wanted("matmul")) await this.#products(gpu.software);
    if (wanted("attention")) await this.#attention(gpu.software);
    for (const submits of wanted("dispatch") ? [false, true] : [])
      await this.#part(submits ? "dispatch and submit" : "dispatch", async (device) =>
        this.#time(await dispatchTiming(device, scale === "full" ? 256 : 8, submits)),
      );
    const steps: readonly StepName[] =
      scale === "tiny" ? ["tiny"] : gpu.software ? ["quick"] : ["quick", "default", "small"];
    const batches = new Map<StepName, number>();
    for (const name of wanted("steps") ? steps : []) await this.#step(name, batches);
    for (const name of wanted("tuned") ? steps : []) await this.#tunedStep(name, batches);
    if (wanted("random"))
      await this.#part("random programs", () =>
        this.#check("random programs", randomChecks(scale === "full" ? 60 : 3), 0.5),
      );
    await this.#close();
    // Last, on a device of its own: it gives every dispatch a pass.
    if (wanted("profile")) for (const [name, batch] of batches) await this.#profile(name, batch);
    await this.#close();
  }

  get #left(): number {
    return this.#end - performance.now();
  }

  async #open(profile = false): Promise<WebGpuDevice> {
    const { adapter } = this.#options;
    this.#device ??= new WebGpuDevice(await openNodeGpu(adapter === undefined ? {} : { adapter }), {
      profile,
    });
    return this.#device;
  }

  async #close(): Promise<void> {
    await this.#device?.dispose().catch(() => undefined); // it may be lost
    this.#device = undefined;
  }

  /** A part of the work: its error is the report's, and the rest goes on, on a new device. */
  async #part(
    name: string,
    work: (device: WebGpuDevice) => Promise<void>,
    { leastMs = 2000, profile = false } = {},
  ): Promise<void> {
    if (this.#left < leastMs) return this.#report.leaveOut(name);
    const began = performance.now();
    try {
      await work(await this.#open(profile));
    } catch (error) {
      this.#report.fail(name, error);
      await this.#close();
    }
    say(`-- ${name}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
    this.#report.save();
  }

  /** Checks until a share of the time is used up. A check that loses the device is wrong, and the next one gets a new device. */
  async #check(name: string, checks: readonly Check[], share: number): Promise<void> {
    const until = performance.now() + share * this.#left;
    let [done, device] = [0, await this.#open()];
    await runChecks(
      () => device,
      checks,
      async (checked) => {
        this.#report.add(checked);
        done++;
        if (checked.failure !== undefined) {
          await this.#close();
          device = await this.#open();
        }
        if (performance.now() < until || done === checks.length) return true;
        this.#report.leaveOut(`${name}: ${checks.length - done} of ${checks.length}`);
        return false;
      },
    );
  }

  async #time(comparison: Comparison): Promise<void> {
    try {
      const result = await timeTurns(comparison, this.#options.scale === "full" ? 2 : 0, countCalls);
      this.#report.comparisons.push(result);
      say(formatComparison(result));
    } finally {
      await comparison.dispose();
    }
  }

  /** Times something, unless the rounds would take too long. @returns how long it takes once, in milliseconds */
  async #timeIfQuick(name: string, { comparison, onceMs }: Timing): Promise<number> {
    const rounds = 8 * comparison.contenders.length;
    if (rounds * onceMs > Math.min(60_000, this.#left)) {
      this.#report.leaveOut(`${name}, of which one takes ${onceMs.toFixed(0)} ms`);
      await comparison.dispose();
    } else await this.#time(comparison);
    return onceMs;
  }

  /** Products of growing size. Where the processor does the GPU's work, they end early. */
  async #products(software: boolean): Promise<void> {
    const sizes = this.#options.scale === "tiny" ? [64] : software ? [512] : [512, 1024, 2048, 4096];
    for (const dtype of ["f32", "f16"] as const) {
      let estimate = 0;
      for (const size of sizes) {
        const name = `matmul ${size} ${dtype}`;
        const leastMs = Math.max(5000, 16 * estimate);
        await this.#part(
          name,
          async (device) => {
            estimate = 8 * (await this.#timeIfQuick(name, await product(device, size, dtype)));
          },
          { leastMs },
        );
      }
      const size = sizes.at(-1) as number; // there are some
      const lies = this.#options.scale === "tiny" ? (["NN"] as const) : (["NN", "NT", "TN"] as const);
      for (const lie of lies) {
        const name = `ways of matmul ${size} ${dtype} ${lie}`;
        await this.#part(
          name,
          async (device) => void (await this.#timeIfQuick(name, await productWays(device, size, dtype, lie))),
          { leastMs: Math.max(5000, 16 * estimate) },
        );
      }
    }
  }

  async #attention(software: boolean): Promise<void> {
    const sizes =
      this.#options.scale === "tiny"
        ? { batch: 1, heads: 2, length: 9, depth: 8 }
        : software
          ? { batch: 1, heads: 4, length: 256, depth: 64 }
          : { batch: 4, heads: 12, length: 1024, depth: 64 };
    for (const dtype of ["f32", "f16"] as const)
      for (const backward of [false, true]) {
        const name = `attention ${dtype} ${backward ? "forward and backward" : "forward"}`;
        await this.#part(name, async (device) => {
          await this.#timeIfQuick(name, await attentionTiming(device, sizes, dtype, backward));
        });
      }
  }

  /** A training step, at the largest batch that memory has room for. @param batches that were timed; this one is added */
  async #step(name: StepName, batches: Map<StepName, number>): Promise<void> {
    const tried = name === "small" ? SMALL_BATCHES : [stepOptions(name).batch];
    for (const [i, batch] of tried.entries()) {
      const title = name === "small" ? `flm ${name}, batch ${batch}` : `flm ${name}`;
      let full = false;
      const work = async (device: WebGpuDevice): Promise<void> => {
        try {
          const timing = await stepTiming(device, name, { ...stepOptions(name), batch });
          const { phases, facts, losses } = timing;
          this.#report.steps[name] = { batch, phases, facts, losses, memory: device.memoryStats() };
          batches.set(name, batch);
          await this.#timeIfQuick(title, timing);
        } catch (error) {
          // No memory, a buffer beyond the adapter's limits, a driver that gives up: less may do.
          full = i < tried.length - 1 && !(error instanceof DisagreementError);
          if (!full) throw error;
          this.#report.leaveOut(`${title}: ${(error as Error).message}`);
          await this.#close();
        }
      };
      await this.#part(title, work, { leastMs: COMPILING_MS });
      if (!full) return;
    }
  }

  /** A step once more, with its dots as the tuner finds them fastest. */
  async #tunedStep(name: StepName, batches: ReadonlyMap<StepName, number>): Promise<void> {
    const options = { ...stepOptions(name), batch: batches.get(name) ?? stepOptions(name).batch };
    const work = async (device: WebGpuDevice): Promise<void> => {
      const traced = await traceStep(options);
      this.#report.tuned[name] = await tuneStep(device, traced);
      const timing = await stepTiming(device, `${name}, tuned`, options, traced);
      await this.#timeIfQuick(`flm ${name}, tuned`, timing);
    };
    await this.#part(`flm ${name}, tuned`, work, { leastMs: 2 * COMPILING_MS });
  }

  async #profile(name: StepName, batch: number): Promise<void> {
    await this.#part(
      `profile ${name}`,
      async (device) => {
        this.#report.profiles[name] = await profileStep(device, { ...stepOptions(name), batch }, 3);
      },
      { leastMs: COMPILING_MS, profile: true },
    );
  }
}
