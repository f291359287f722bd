/**
 * The WebGPU device: programs are scheduled into kernels, printed as WGSL, and recorded once to be run many times. Safe in a browser.
 *
 * Consumed by `devices.ts`, and by browser programs through `open.ts`.
 */
import type { HostTensor } from "../../compiler/host-tensor.ts";
import type { Plan, TargetLimits } from "../../compiler/kernel/plan.ts";
import type { DotChoice } from "../../compiler/schedule/dot-kernel.ts";
import { schedule } from "../../compiler/schedule/schedule.ts";
import { printWgsl } from "../../compiler/wgsl/print.ts";
import { formatType } from "../../dsl/program/program.ts";
import type { Program } from "../../dsl/program/program.ts";
import { checkDonation, checkUpload, closedMessage } from "../device.ts";
import type { CompileOptions, Device, DeviceValue } from "../device.ts";
import { UserError } from "../files/errors.ts";
import { boundBytes, createContext } from "./context.ts";
import type { Context } from "./context.ts";
import { OutOfMemoryError } from "./errors.ts";
import { WebGpuExecutable } from "./executable.ts";
import type { ExecutableOwner } from "./executable.ts";
import { openGpu } from "./gpu.ts";
import type { AdapterSource, Gpu, OpenGpuOptions } from "./gpu.ts";
import { checkSize, loadPlan } from "./load.ts";
import { failWith } from "./memory.ts";
import type { MemoryStats } from "./stats.ts";
import { adapterKey, EMPTY_TABLE, tunedDots } from "./tune-table.ts";
import type { TuneTable } from "./tune-table.ts";
import { WebGpuValue } from "./values.ts";
import { toWords } from "./words.ts";

export interface WebGpuOptions {
  /** Times every dispatch (`WebGpuExecutable.timings`). Runs are slower then. */
  readonly profile?: boolean;
  /** How dots are best computed, as a tuner found: what it has for this adapter is used. */
  readonly tuned?: TuneTable;
}

export interface LoadOptions extends CompileOptions {
  /** Times every dispatch of this program (`WebGpuExecutable.timings`). Default: as the device was opened. */
  readonly profile?: boolean;
}

export class WebGpuDevice implements Device, ExecutableOwner {
  readonly name = "webgpu";
  /** What kernels are made for. */
  readonly limits: TargetLimits;
  readonly context: Context;
  readonly #executables = new Set<WebGpuExecutable>();
  #tuned: TuneTable;
  #closed = false;

  /**
   * Takes the GPU over, and destroys it at its end.
   * @throws UserError when it is to time dispatches and the GPU cannot
   */
  constructor(gpu: Gpu, { profile = false, tuned = EMPTY_TABLE }: WebGpuOptions = {}) {
    this.#tuned = tuned;
    const f16 = gpu.features.has("shader-f16");
    this.context = createContext(gpu, (kernel) => printWgsl(kernel, { f16 }), profile);
    this.limits = this.context.limits;
    if (profile) this.checkTimestamps();
  }

  /** @throws UserError when the GPU cannot time dispatches */
  checkTimestamps(): void {
    const { features, adapter } = this.context.gpu;
    if (!features.has("timestamp-query"))
      throw new UserError(`Kernels cannot be timed: ${adapter.name} has no timestamps.`);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** How programs that are compiled from now on compute their dots. */
  get dots(): DotChoice {
    return tunedDots(this.#tuned, adapterKey(this.context.gpu.adapter), this.limits);
  }

  /** Replaces the table of tuned dots. What is compiled already stays as it is. */
  useTuned(table: TuneTable): void {
    this.#tuned = table;
  }

  describe(): string {
    return this.context.gpu.describe();
  }

  memoryStats(): MemoryStats {
    const { memory, pool, readback } = this.context;
    const executables = [...this.#executables].map((executable) => executable.memory);
    const plans = executables.reduce((sum, { bytes }) => sum + bytes, 0);
    const constants = executables.reduce((sum, { pooledBytes }) => sum + pooledBytes, 0);
    return {
      values: pool.usage.used - constants,
      plans,
      pooled: pool.usage.idle + readback.bytes,
      total: memory.bytes,
      peak: memory.peak,
    };
  }

  upload(tensor: HostTensor): DeviceValue {
    this.#checkOpen();
    const { context } = this;
    context.failures.checkAlive();
    checkUpload(tensor);
    const type = { shape: tensor.shape, dtype: tensor.dtype };
    checkSize(context, type, "an upload");
    const words = toWords(tensor, context.f16);
    const scope = context.failures.open(() => `the upload of ${formatType(type)}`);
    try {
      const storage = context.pool.take(boundBytes(context, type));
      context.gpu.device.queue.writeBuffer(storage.block.buffer, 0, words);
      void failWith(scope.close(), [storage]);
      return new WebGpuValue(this, type, storage);
    } finally {
      void scope.close();
    }
  }

  async compile(program: Program, options: CompileOptions = {}): Promise<WebGpuExecutable> {
    this.#checkOpen();
    checkDonation(options.donate ?? [], program.inputs.length);
    const donated = options.donate ?? [];
    return this.load(schedule(program, { limits: this.limits, dots: this.dots, donated }), options);
  }

  /**
   * Makes a plan ready to run.
   * @throws PlanError when it breaks the rules; Error when the GPU refuses it; UserError when it is to be timed and the GPU has no clock
   */
  async load(plan: Plan, options: LoadOptions = {}): Promise<WebGpuExecutable> {
    this.#checkOpen();
    const { profile = this.context.profile } = options;
    if (profile) this.checkTimestamps();
    this.context.failures.check();
    const donated = checkDonation(options.donate ?? [], plan.inputs.length);
    for (const { role } of plan.buffers)
      if (role.kind === "input" && role.written === true && !donated.has(role.position))
        throw new Error(`the plan overwrites input ${role.position}, which is not donated`);
    const load = () => loadPlan({ ...this.context, profile }, plan, options.name ?? "the program");
    const loaded = await load().catch((error: unknown) => {
      // What was kept for reuse has been given back by now.
      if (error instanceof OutOfMemoryError) return load();
      throw error;
    });
    if (this.#closed) {
      loaded.destroy();
      throw new Error(closedMessage(this.name));
    }
    const executable = new WebGpuExecutable(this, loaded, options);
    this.#executables.add(executable);
    return executable;
  }

  async dispose(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { failures, pool, readback, gpu } = this.context;
    failures.close();
    await Promise.all([...this.#executables].map((executable) => executable.dispose()));
    pool.clear();
    readback.clear();
    gpu.device.destroy();
  }

  forget(executable: WebGpuExecutable): void {
    this.#executables.delete(executable);
  }

  #checkOpen(): void {
    if (!this.#closed) return;
    this.context.failures.checkLost();
    throw new Error(closedMessage(this.name));
  }
}

/**
 * Opens the device.
 * @param source where adapters come from; default: the browser
 * @throws UserError when there is no adapter, none of that name, or it cannot do what is asked
 */
export async function openWebGpu(
  { profile = false, tuned = EMPTY_TABLE, ...options }: OpenGpuOptions & WebGpuOptions = {},
  source?: AdapterSource,
): Promise<WebGpuDevice> {
  return new WebGpuDevice(await openGpu(options, source), { profile, tuned });
}
