/**
 * The training loop: FLM first, then FMLM distilled from its moving average. Step k draws its batch from (seed, phase, k), the
 * state is saved atomically, so a run that is stopped and resumed at any moment goes on bit for bit.
 *
 * Consumed by the command line, which shows progress through the hooks. Effects: the device and the run folder.
 */
import type { Fn } from "../../dsl/index.ts";
import type { PreparedText } from "../../models/data/index.ts";
import { decodingError } from "../../models/flow/clock.ts";
import { compile, disposeTree } from "../compile.ts";
import type { Compiled } from "../compile.ts";
import type { Device, DeviceValue } from "../device.ts";
import { UserError } from "../files/errors.ts";
import { lockFolder } from "../files/lock.ts";
import {
  appendMetrics,
  checkpointMeta,
  hasCheckpoint,
  loadCheckpoint,
  removeCheckpoint,
  rewindMetrics,
  saveCheckpoint,
} from "../files/run-folder.ts";
import type { MetricsLine, RunFolder } from "../files/run-folder.ts";
import { learningRateAt } from "./config.ts";
import type { TrainingConfig } from "./config.ts";
import { divergence, poisoned } from "./divergence.ts";
import { flmPhase, fmlmPhase, stateSpec } from "./phases.ts";
import type { DeviceState, Phase, PhaseName, RunContext } from "./phases.ts";
import { expectedTensors, officialNaming, treeTensors, uploadTensors } from "./state-files.ts";
import { scalarOf, validator } from "./validation.ts";
import type { Validator } from "./validation.ts";

/** What the loop tells while it runs. */
export interface TrainingHooks {
  /** A line that whoever waits should read. */
  note?(line: string): void;
  /** A phase's programs are about to be compiled, which takes a moment. */
  prepare?(phase: PhaseName): void;
  /** A phase begins (or goes on) at `step` of `steps`. */
  begin(phase: PhaseName, step: number, steps: number, tokensPerStep: number): void;
  step(
    phase: PhaseName,
    step: number,
    report: { readonly loss: number; readonly gradientNorm: number },
  ): void;
  /** Called about every half minute with the present averaged weights. */
  sample?(phase: PhaseName, params: unknown): Promise<void>;
  /** The phase is finished, stopped or failed. */
  end(phase: PhaseName): void;
  /** Whether to stop after this step, saving the state. */
  readonly stopped: () => boolean;
}

/** How often, in seconds; 0 is after every step. */
export interface TrainingIntervals {
  /** Between saved states. */
  readonly save: number;
  /** Between samples to read. */
  readonly sample: number;
}

export const DEFAULT_INTERVALS: TrainingIntervals = { save: 30, sample: 30 };

/** Steps between lines of the log and between validations. */
const LOG_EVERY = 10;
const VALIDATE_EVERY = 100;

/**
 * Trains what is left to train of a run.
 * @returns whether it is finished; false when the hooks stopped it
 * @throws UserError when another process works on the run, or a loss or gradient is not finite: then the last good state is saved,
 * and the message names the step
 */
export async function train(
  run: RunFolder<TrainingConfig>,
  text: PreparedText,
  device: Device,
  hooks: TrainingHooks,
  intervals: TrainingIntervals = DEFAULT_INTERVALS,
): Promise<boolean> {
  const vocab = text.vocabulary.tokens.length;
  const context = { run, text, device, hooks, intervals, clock: decodingError({ vocab }), vocab };
  const lock = await lockFolder(run.dir, (line) => hooks.note?.(line));
  try {
    if (!(await hasCheckpoint(run, "flm")) && !(await trainPhase(context, await flmPhase(context))))
      return false;
    return (await hasCheckpoint(run, "fmlm")) || (await trainPhase(context, await fmlmPhase(context)));
  } finally {
    lock.release();
  }
}

interface Context extends RunContext {
  readonly hooks: TrainingHooks;
  readonly intervals: TrainingIntervals;
}

/** A state and the number of steps of its phase that are done. */
interface Progress {
  readonly state: DeviceState;
  readonly done: number;
}

/** What a step's program gives. */
interface StepOutput {
  readonly state: DeviceState;
  readonly loss: DeviceValue;
  readonly gradientNorm: DeviceValue;
}

/** Where a phase begins: the saved state, or the initial one. @throws UserError saying how to go on without a damaged state */
async function startOf(context: Context, phase: Phase, spec: unknown): Promise<Progress> {
  try {
    return (await savedProgress(context, phase, spec)) ?? { state: await phase.initial(), done: 0 };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const remedy = `Delete state.safetensors there to begin the training of ${phase.name.toUpperCase()} again.`;
    throw new UserError(`The saved state cannot be used: ${error.message} ${remedy}`, { cause: error });
  }
}

/** The saved state, if there is one of this phase; another phase's is out of date. */
async function savedProgress(
  { run, device }: Context,
  { name, config, offset }: Phase,
  spec: unknown,
): Promise<Progress | undefined> {
  if (!(await hasCheckpoint(run, "state"))) return undefined;
  const meta = await checkpointMeta(run, "state");
  if (meta.phase !== name) return undefined;
  const done = meta.step - offset + 1;
  if (done < 1 || done > config.steps)
    throw new UserError(
      `${run.dir}/state.safetensors has ${done} steps done, and config.json asks for ${config.steps}.`,
    );
  const { tensors } = await loadCheckpoint(run, "state", expectedTensors(spec));
  return { state: uploadTensors(device, spec, tensors) as DeviceState, done };
}

/** Trains a phase, or what is left of it. @returns whether it is finished */
async function trainPhase(context: Context, phase: Phase): Promise<boolean> {
  const { run, device, hooks } = context;
  const { name, offset } = phase;
  const { steps, batch } = phase.config;
  const spec = stateSpec(phase.options, name);
  hooks.prepare?.(name);
  const begin = await startOf(context, phase, spec);
  await rewindMetrics(run, offset + begin.done - 1);
  const program = await compile(phase.program as Fn<Record<string, never>, Record<string, never>>, {
    device,
    name: `the ${name.toUpperCase()} step`,
  });
  const validation = name === "flm" ? await validator(context, phase) : undefined;
  hooks.begin(name, begin.done, steps, batch * phase.options.network.length);
  try {
    const state = await runSteps(context, phase, program, validation, begin);
    if (state === undefined) return false;
    await finishPhase(run, phase, state);
    disposeTree(state);
    return true;
  } finally {
    hooks.end(name);
    disposeTree(phase.frozen);
    await program.dispose();
    await validation?.dispose();
  }
}

/** @returns the state after the last step; undefined when the hooks stopped it */
async function runSteps(
  { run, hooks, intervals }: Context,
  phase: Phase,
  program: Compiled<Record<string, never>, Record<string, never>>,
  validation: Validator | undefined,
  begin: Progress,
): Promise<DeviceState | undefined> {
  const { name, offset } = phase;
  const { steps } = phase.config;
  let { state } = begin;
  /** The state before `state`: a bad loss shows that the update before it was a bad one. */
  let previous: DeviceState | undefined;
  let lines: MetricsLine[] = [];
  let [lastSave, lastSample] = [Date.now(), Date.now()];
  const flush = async (): Promise<void> => {
    await appendMetrics(run, lines);
    lines = [];
  };
  const save = async (good: Progress): Promise<void> => {
    await flush();
    await saveCheckpoint(run, "state", namedTensors(await treeTensors(good.state)), {
      step: offset + good.done - 1,
      phase: name,
    });
    lastSave = Date.now();
  };

  for (let step = begin.done; step < steps; step++) {
    const input = {
      state,
      ...phase.frozen,
      ...phase.draw(step),
      learningRate: learningRateAt(phase.config, step),
    };
    const output = (await program.run(input as never)) as unknown as StepOutput;
    const [loss, gradientNorm] = await Promise.all([scalarOf(output.loss), scalarOf(output.gradientNorm)]);
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      const good = Number.isFinite(loss)
        ? { state, done: step }
        : previous === undefined
          ? begin
          : { state: previous, done: step - 1 };
      await (good.done > begin.done ? save(good) : flush());
      if (step === begin.done && step > 0) throw poisoned(run, phase, step);
      throw divergence(
        run,
        phase,
        `loss is ${loss} and the norm of its gradient ${gradientNorm} in step ${step + 1}`,
        good.done,
      );
    }
    // Saved is the state that went in, not the one that came out: only of it a finite loss is known.
    const stopping = hooks.stopped();
    const due = stopping || Date.now() - lastSave >= intervals.save * 1000;
    if (due && step > begin.done) await save({ state, done: step });
    if (stopping) return undefined;
    if (previous !== undefined) disposeTree(previous);
    previous = state;
    state = output.state;
    hooks.step(name, step, { loss, gradientNorm });
    if (step % LOG_EVERY === 0 || step === steps - 1)
      lines.push({ step: offset + step, phase: name, loss, gradientNorm });
    if (validation !== undefined && (step % VALIDATE_EVERY === VALIDATE_EVERY - 1 || step === steps - 1)) {
      lines.push({ step: offset + step, phase: name, validation: await validation.loss(state.ema) });
    }
    if (hooks.sample !== undefined && Date.now() - lastSample >= intervals.sample * 1000) {
      await hooks.sample(name, state.ema);
      lastSample = Date.now();
    }
  }
  if (previous !== undefined) disposeTree(previous);
  await flush();
  return state;
}

/** Writes a finished phase's weights; only then its state is no longer needed. @throws UserError when a weight is not finite */
async function finishPhase(run: RunFolder<TrainingConfig>, phase: Phase, state: DeviceState): Promise<void> {
  const { name, config, options, offset } = phase;
  const network = name === "flm" ? options.network : { ...options.network, targetTime: true };
  const weights = await treeTensors(state.ema, officialNaming(network));
  for (const [weight, { data }] of weights) {
    if (data.every(Number.isFinite)) continue;
    throw divergence(
      run,
      phase,
      `weight ${weight} is not finite after the last step, ${config.steps}`,
      undefined,
    );
  }
  await saveCheckpoint(run, name, namedTensors(weights), { step: offset + config.steps - 1, phase: name });
  await removeCheckpoint(run, "state");
}

const namedTensors = (
  tensors: ReadonlyMap<
    string,
    Awaited<ReturnType<typeof treeTensors>> extends Map<string, infer S> ? S : never
  >,
) => [...tensors].map(([name, { dtype, shape, data }]) => ({ name, dtype, shape, data }));
