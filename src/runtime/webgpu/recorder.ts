/**
 * Records the work of one run: one encoder and one compute pass as far as possible, and a submit at the end or where the run has to
 * stop in between. Consumed by executables.
 */
import type { Cuts } from "./cuts.ts";
import type { Failures, Scope } from "./failures.ts";
import { messageOf } from "./gpu.ts";
import type { Grid } from "./grid.ts";
import type { Profiler } from "./profiler.ts";

/** A dispatch as it is recorded. */
export interface Recorded {
  readonly index: number;
  readonly pipeline: GPUComputePipeline;
  readonly grid: Grid;
  readonly flops: number;
  readonly bytes: number;
}

export interface RecorderOptions {
  /** What is recorded, for messages. */
  readonly what: string;
  /** Whether the run looks at the outcomes itself. */
  readonly expected: boolean;
  readonly profiler: Profiler | undefined;
  readonly cuts: Cuts;
  /** Called before each submit, for what has to be in the queue ahead of it. */
  readonly ahead: () => void;
}

export class Recorder {
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #options: RecorderOptions;
  readonly #outcomes: Promise<Error | undefined>[] = [];
  /** Of each submit, where the run looks at outcomes, whether the GPU took it. */
  readonly #taken: Promise<boolean>[] = [];
  #scope: Scope | undefined;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  /** What is set in this pass. */
  #pipeline: GPUComputePipeline | undefined;
  #group: GPUBindGroup | undefined;
  #work = { dispatches: 0, flops: 0, bytes: 0 };
  #submits = 0;
  #began = 0;

  constructor(device: GPUDevice, failures: Failures, options: RecorderOptions) {
    this.#device = device;
    this.#failures = failures;
    this.#options = options;
  }

  /** What the submits so far got wrong. */
  get outcomes(): readonly Promise<Error | undefined>[] {
    return this.#outcomes;
  }

  /** How often something was submitted. */
  get submits(): number {
    return this.#submits;
  }

  /** Whether the GPU took any of the submits: of one that it refuses it does nothing. Known where the run looks at outcomes. */
  async tookAny(): Promise<boolean> {
    return (await Promise.all(this.#taken)).includes(true);
  }

  /** When the first submit was sent, in milliseconds of `performance.now`; 0 before. */
  get began(): number {
    return this.#began;
  }

  /** Whether the next submit has work enough. */
  get due(): boolean {
    return this.#options.cuts.due(this.#work);
  }

  /** Opens the error scope, if it is not open: to be called before other GPU calls of the run. */
  open(): void {
    this.#scope ??= this.#failures.open(this.#options.what);
  }

  dispatch({ index, pipeline, grid, flops, bytes }: Recorded, group: GPUBindGroup): void {
    const { profiler } = this.#options;
    if (profiler !== undefined) this.#endPass();
    const pass = this.#beginPass(profiler?.pass(index));
    if (pipeline !== this.#pipeline) pass.setPipeline(pipeline);
    this.#pipeline = pipeline;
    if (group !== this.#group) pass.setBindGroup(0, group);
    this.#group = group;
    pass.dispatchWorkgroups(grid.x, grid.y);
    this.#work.dispatches++;
    this.#work.flops += flops;
    this.#work.bytes += bytes;
  }

  copy(from: GPUBuffer, to: GPUBuffer, bytes: number): void {
    this.#endPass();
    this.#begin().copyBufferToBuffer(from, 0, to, 0, bytes);
    this.#work.dispatches++;
    this.#work.bytes += 2 * bytes;
  }

  /** Submits what was recorded, if anything was. */
  submit(): void {
    const encoder = this.#encoder;
    if (encoder !== undefined) {
      this.#endPass();
      this.#options.profiler?.resolve(encoder);
      this.#options.ahead();
      const commands = encoder.finish();
      if (this.#submits++ === 0) this.#began = performance.now();
      if (this.#options.expected) return this.#submitAsking(commands);
      this.#device.queue.submit([commands]);
    }
    this.abandon();
  }

  /** Submits in an error scope of its own: what it catches is a refusal of all commands, which mostly has a reason before it. */
  #submitAsking(commands: GPUCommandBuffer): void {
    this.#device.pushErrorScope("validation");
    this.#device.queue.submit([commands]);
    // A lost device does not say; then it may have been taken.
    const refusal = this.#device.popErrorScope().catch(() => null);
    this.abandon();
    this.#taken.push(refusal.then((error) => error === null));
    const failed = (error: GPUError): Error =>
      new Error(`webgpu: ${this.#options.what} failed: ${messageOf(error)}`);
    this.#outcomes.push(refusal.then((error) => (error === null ? undefined : failed(error))));
  }

  /** Drops what was recorded since the last submit, and closes the error scope. */
  abandon(): void {
    this.#encoder = undefined;
    this.#forgetPass();
    this.#work = { dispatches: 0, flops: 0, bytes: 0 };
    const scope = this.#scope;
    this.#scope = undefined;
    if (scope !== undefined)
      this.#outcomes.push(scope.close(this.#options.expected ? "expected" : undefined));
  }

  #begin(): GPUCommandEncoder {
    this.open();
    return (this.#encoder ??= this.#device.createCommandEncoder({ label: this.#options.what }));
  }

  #beginPass(timestampWrites: GPUComputePassTimestampWrites | undefined): GPUComputePassEncoder {
    return (this.#pass ??= this.#begin().beginComputePass(
      timestampWrites === undefined ? {} : { timestampWrites },
    ));
  }

  #endPass(): void {
    this.#pass?.end();
    this.#forgetPass();
  }

  #forgetPass(): void {
    this.#pass = undefined;
    this.#pipeline = undefined;
    this.#group = undefined;
  }
}
