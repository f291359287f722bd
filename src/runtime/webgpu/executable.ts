/**
 * Runs of a plan on a device. A run records the dispatches, in most cases into one pass, and submits them; it stops in between where
 * the host has to read a flag, and in very long loops.
 *
 * Consumed by the device. Runs of one executable follow each other, since they share its temporaries: one that waits for a flag keeps
 * the next from starting.
 *
 * The first run waits for the GPU's verdict on its calls, so a plan that it refuses is an error there. What a later run gets wrong,
 * out of memory for instance, is thrown by the next call that waits for the device; its outputs are marked as failed.
 *
 * Where an output takes the place of a donated input, the run writes into the input's block, if nobody else holds it: else into a copy.
 * Donated inputs are given back by a run that fails, but what it may have overwritten by then is marked as failed: by a first run only
 * if the GPU took any of its submits.
 */
import type { BufferId } from "../../compiler/kernel/plan.ts";
import { bufferOf } from "../../compiler/kernel/verify-plan.ts";
import type { TensorType } from "../../dsl/program/program.ts";
import { checkDonation, EXECUTABLE_ENDED } from "../device.ts";
import type { CompileOptions, DeviceValue, Executable } from "../device.ts";
import { beginRun } from "../values.ts";
import { boundBytes, dataBytes } from "./context.ts";
import { Cuts } from "./cuts.ts";
import { DeviceLostError } from "./errors.ts";
import { messageOf } from "./gpu.ts";
import type { Loaded } from "./load.ts";
import { failWith } from "./memory.ts";
import type { Block, Storage } from "./memory.ts";
import type { DispatchTiming } from "./profiler.ts";
import { Recorder } from "./recorder.ts";
import { Turns } from "./turns.ts";
import { WebGpuValue } from "./values.ts";
import type { Owner } from "./values.ts";

/** The device as its executables see it. */
export interface ExecutableOwner extends Owner {
  /** Called by an executable at its end. */
  forget(executable: WebGpuExecutable): void;
}

/** Users of a donated input's storage, if nobody else holds it: the value that was donated, and the run. */
const OWN_USERS = 2;
/** Blocks that an output had last, and gets again if it can: bind groups are kept for them. */
const RECENT = 2;

/** A buffer that a run makes. */
interface Made {
  readonly id: BufferId;
  readonly bytes: number;
  readonly recent: Block[];
}

/** The storage of one run. */
interface Run {
  /** Of each input, with a use of the run. */
  readonly held: readonly Storage[];
  /** Of the buffers that it makes, with one use, the run's. */
  readonly made: Map<BufferId, Storage>;
  /** Of donated inputs that it may have overwritten. */
  readonly overwritten: Set<Storage>;
}

export class WebGpuExecutable implements Executable {
  readonly inputTypes: readonly TensorType[];
  readonly outputTypes: readonly TensorType[];
  readonly #owner: ExecutableOwner;
  readonly #loaded: Loaded;
  readonly #options: CompileOptions;
  readonly #name: string;
  readonly #donated: ReadonlySet<number>;
  /** Buffers that each run makes. */
  readonly #made: readonly Made[];
  /** Inputs that a run overwrites, and their buffers if it has to make them. */
  readonly #replaced: readonly (Made & { readonly position: number })[];
  readonly #turns = new Turns();
  readonly #cuts = new Cuts();
  /** Whether each run does the same work: nothing in it depends on a flag. */
  readonly #steady: boolean;
  readonly #unwatch: () => void;
  /** Whether the GPU accepted a whole run. */
  #proven = false;
  #open = true;

  constructor(owner: ExecutableOwner, loaded: Loaded, options: CompileOptions) {
    const { plan, code, dispatches } = loaded;
    this.#steady = code.instructions.every(({ kind }) => kind !== "test");
    this.#owner = owner;
    this.#loaded = loaded;
    this.#options = options;
    this.#name = options.name ?? "the program";
    this.inputTypes = plan.inputs.map((id) => bufferOf(plan, id).type);
    this.outputTypes = plan.outputs.map((id) => bufferOf(plan, id).type);
    this.#donated = checkDonation(options.donate ?? [], plan.inputs.length);
    const made = plan.buffers.map(({ role, type }, id) => ({
      id,
      role,
      bytes: boundBytes(owner.context, type),
      recent: [],
    }));
    this.#made = made.filter(({ role }) => role.kind === "output");
    this.#replaced = made.flatMap(({ role, ...buffer }) =>
      role.kind === "input" && role.written === true ? [{ ...buffer, position: role.position }] : [],
    );
    this.#unwatch = owner.context.memory.watch((block) => {
      for (const { bindings } of dispatches) bindings.forget(block);
    });
  }

  /** Bytes of GPU memory that it holds, and how many of them are in the device's pool. */
  get memory(): Pick<Loaded, "bytes" | "pooledBytes"> {
    return this.#loaded;
  }

  async run(inputs: readonly DeviceValue[]): Promise<readonly DeviceValue[]> {
    const { failures, throttle } = this.#owner.context;
    this.#checkOpen();
    failures.check();
    const expected = { types: this.inputTypes, donated: this.#donated };
    const given = beginRun(inputs, this.#owner, WebGpuValue, expected, this.#options);
    const leave = await this.#turns.enter();
    const run: Run = { held: given.storage, made: new Map(), overwritten: new Set() };
    try {
      this.#checkOpen();
      await this.#execute(run);
      await throttle.pass();
      const outputs = this.#outputs(run);
      given.consume();
      return outputs;
    } catch (error) {
      const failure = this.#explain(error);
      for (const storage of run.overwritten) storage.fail(failure);
      given.giveBack();
      throw failure;
    } finally {
      for (const storage of run.made.values()) storage.release();
      leave();
    }
  }

  /** GPU time of each dispatch, in the plan's order. @throws Error when the device was not opened with `profile` */
  timings(): readonly DispatchTiming[] {
    const { profiler } = this.#loaded;
    if (profiler === undefined)
      throw new Error("webgpu: open the device with profile: true to time kernels.");
    return profiler.timings();
  }

  async dispose(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#turns.end();
    this.#owner.forget(this);
    this.#unwatch();
    this.#loaded.destroy();
  }

  #checkOpen(): void {
    if (this.#open) return;
    // It may have ended with a device that was lost, and then that is what happened.
    this.#owner.context.failures.checkLost();
    throw new Error(EXECUTABLE_ENDED);
  }

  async #execute({ held, made, overwritten }: Run): Promise<void> {
    const { context } = this.#owner;
    const inPlace: Storage[] = [];
    const { plan, params, stream, profiler, fixed } = this.#loaded;
    const recorder = new Recorder(context.gpu.device, context.failures, {
      what: `${this.#name}: a run`,
      expected: !this.#proven,
      profiler,
      cuts: this.#cuts,
      ahead: () => {
        if (stream === undefined) return;
        const words = params.take();
        if (words.length > 0) context.gpu.device.queue.writeBuffer(stream.buffer, 0, words);
      },
    });
    try {
      recorder.open();
      const blocks = [...fixed];
      plan.inputs.forEach((id, position) => {
        blocks[id] = held[position]?.block;
      });
      const make = ({ id, bytes, recent }: Made): Block => {
        const storage = context.pool.take(bytes, recent);
        made.set(id, storage);
        blocks[id] = storage.block;
        if (!recent.includes(storage.block) && recent.push(storage.block) > RECENT) recent.shift();
        return storage.block;
      };
      for (const buffer of this.#made) make(buffer);
      for (const { position, ...buffer } of this.#replaced) {
        const storage = held[position] as Storage; // one for each input
        if (storage.users === OWN_USERS) inPlace.push(storage);
        else recorder.copy(storage.block.buffer, make(buffer).buffer, this.#dataBytes(buffer.id));
      }
      await this.#interpret(recorder, blocks);
    } finally {
      recorder.abandon(); // after a submit there is nothing left of it
      if (inPlace.length > 0 && (await this.#wrote(recorder)))
        for (const storage of inPlace) overwritten.add(storage);
      const storages = [...made.values(), ...overwritten];
      for (const outcome of recorder.outcomes) void failWith(outcome, storages);
    }
    if (recorder.submits > 1 && this.#steady && this.#cuts.byWork) void this.#time(recorder);
    if (this.#proven) return;
    const errors = await context.failures.until(Promise.all(recorder.outcomes));
    const error = errors.find((found) => found !== undefined);
    if (error !== undefined) throw error;
    this.#proven = true;
  }

  /** Finds out how long the GPU takes for a run that was submitted in parts. */
  async #time({ began, outcomes }: Recorder): Promise<void> {
    const { failures, gpu } = this.#owner.context;
    try {
      const done = failures.until(gpu.device.queue.onSubmittedWorkDone());
      const [errors] = await Promise.all([Promise.all(outcomes), done]);
      if (errors.every((error) => error === undefined)) this.#cuts.took(performance.now() - began);
    } catch {
      // A device that was lost: said elsewhere.
    }
  }

  /** Whether the run may have written anything. The first one asks the GPU. */
  async #wrote(recorder: Recorder): Promise<boolean> {
    if (this.#proven || recorder.submits === 0) return recorder.submits > 0;
    return this.#owner.context.failures.until(recorder.tookAny()).catch(() => true); // it is lost, with all that it holds
  }

  /** Goes through the code and submits all of it. @param blocks of each buffer, which loops exchange */
  async #interpret(recorder: Recorder, blocks: (Block | undefined)[]): Promise<void> {
    const { code, params, profiler } = this.#loaded;
    const { throttle } = this.#owner.context;
    const submit = async (): Promise<void> => {
      recorder.submit();
      await profiler?.collect();
    };
    const iterations: number[] = Array.from({ length: code.depth }, () => 0);
    for (let at = 0; at < code.instructions.length;) {
      const instruction = code.instructions[at] as (typeof code.instructions)[number]; // within the list
      at++;
      switch (instruction.kind) {
        case "dispatch":
          if (recorder.due || params.full || profiler?.full === true) {
            await submit();
            await throttle.pass();
          }
          this.#record(recorder, instruction.index, blocks, iterations);
          break;
        case "copy":
          if (recorder.due) {
            await submit();
            await throttle.pass();
          }
          this.#copy(recorder, instruction.from, instruction.to, blocks);
          break;
        case "swap": {
          const [carried, next] = instruction.pair;
          [blocks[carried], blocks[next]] = [blocks[next], blocks[carried]];
          break;
        }
        case "enter":
          iterations[instruction.depth] = 0;
          break;
        case "repeat": {
          const next = (iterations[instruction.depth] as number) + 1; // entered before
          iterations[instruction.depth] = next;
          if (next < instruction.length) at = instruction.start;
          break;
        }
        case "test":
          await submit();
          if (!(await this.#flag(blocks[instruction.flag] as Block))) at = instruction.otherwise;
          break;
        case "jump":
          at = instruction.to;
      }
    }
    await submit();
  }

  #record(
    recorder: Recorder,
    index: number,
    blocks: readonly (Block | undefined)[],
    iterations: readonly number[],
  ): void {
    const loaded = this.#loaded.dispatches[index] as Loaded["dispatches"][number]; // the code counts them
    const place = this.#loaded.params.place(index, iterations);
    recorder.dispatch(loaded, loaded.bindings.group(blocks, place));
  }

  #copy(recorder: Recorder, from: BufferId, to: BufferId, blocks: readonly (Block | undefined)[]): void {
    // Both are bound to a block: every buffer that a step touches is.
    recorder.copy((blocks[from] as Block).buffer, (blocks[to] as Block).buffer, this.#dataBytes(from));
  }

  #dataBytes(id: BufferId): number {
    return dataBytes(this.#owner.context, bufferOf(this.#loaded.plan, id).type);
  }

  async #flag(block: Block): Promise<boolean> {
    const words = await this.#owner.context.readback.read({ block, release: () => undefined }, 4);
    return new Uint32Array(words)[0] !== 0;
  }

  #outputs({ held, made }: Run): readonly DeviceValue[] {
    const { plan, constants } = this.#loaded;
    return plan.outputs.map((id, i) => {
      const { role } = bufferOf(plan, id);
      const storage =
        role.kind === "input"
          ? (made.get(id) ?? held[role.position])
          : role.kind === "constant"
            ? constants.get(id)
            : made.get(id);
      // Plans are checked: an output is one of the three.
      return new WebGpuValue(this.#owner, this.outputTypes[i] as TensorType, (storage as Storage).share());
    });
  }

  /** The error with the program's name, unless it has it or is about the whole device. */
  #explain(error: unknown): Error {
    const message = messageOf(error);
    const known = message.startsWith("webgpu: ") || message.startsWith("The webgpu device");
    if (error instanceof DeviceLostError || (known && error instanceof Error)) return error;
    return new Error(`webgpu: ${this.#name} failed to run: ${message}`, { cause: error });
  }
}
