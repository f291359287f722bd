/**
 * The training loop: a flow, a flow map, or first the one and then the other from its moving average, as of FLM and FMLM. Step k draws its batch from (seed, phase, k), the
 * state is saved atomically, so a run that is stopped and resumed at any moment goes on bit for bit. A lost device is such a stop: a
 * new one resumes from the last saved state. That costs at most one interval between saved states, and no copies of the state besides.
 *
 * Consumed by the command line and the studio, which show progress through the hooks. Effects: the device, and where the run is kept, which may be files or a browser's storage.
 */
import type { Fn } from "../../dsl/index.ts";
import type { PreparedText } from "../../models/data/index.ts";
import { compile, disposeTree } from "../compile.ts";
import type { Compiled } from "../compile.ts";
import type { Device, DeviceValue } from "../device.ts";
import { UserError } from "../files/errors.ts";
import { surviving } from "../reopenable.ts";
import type { Loss, ReopenableDevice } from "../reopenable.ts";
import type { MetricsLine, RunStore } from "../run/store.ts";
import { learningRateAt } from "./config.ts";
import type { TrainingConfig } from "./config.ts";
import { divergence, poisoned } from "./divergence.ts";
import { averagedWeights } from "./averaged-weights.ts";
import type { AveragedWeights } from "./averaged-weights.ts";
import { flmPhase, fmlmPhase } from "./phases.ts";
import type { Phase, RunContext } from "./phases.ts";
import {
  expectedState,
  officialNaming,
  stateTensors,
  treeTensors,
  uploadState,
  weightsIn,
} from "./state-files.ts";
import type { DeviceState } from "./state-files.ts";
import { scalarOf, validator } from "./validation.ts";
import type { Validator } from "./validation.ts";
import { phasesOf, stockSubjectOf } from "./subject.ts";
import type { PhaseName, Subject } from "./subject.ts";

/** What the loop tells while it runs. */
export interface TrainingHooks {
  /** A line that whoever waits should read. */
  note?(line: string): void;
  /** A phase's programs are about to be compiled, which takes a moment. After a lost device, `note` says that the phase goes on. */
  prepare?(phase: PhaseName): void;
  /** A phase begins (or goes on, also after a lost device) at `step` of `steps`. */
  begin(phase: PhaseName, step: number, steps: number, tokensPerStep: number): void;
  step(phase: PhaseName, step: number, report: StepReport): void;
  /** The loss on text that is not trained on, after a step. */
  validation?(phase: PhaseName, step: number, loss: number): void;
  /**
   * Called after every step, while nothing of the training is under way: what shares its device or its thread does so here.
   * @param lend calls work with the present averaged weights, which live as long as the call
   */
  between?(phase: PhaseName, device: Device, lend: Lend): Promise<void>;
  /** Called about every half minute with the present averaged weights, and the device that they are on: after `begin` it may be another one. */
  sample?(phase: PhaseName, params: unknown, device: Device): Promise<void>;
  /** The phase is finished, stopped or failed, or its device was lost. */
  end(phase: PhaseName): void;
  /** Whether to stop after this step, saving the state. */
  readonly stopped: () => boolean;
}

/** What a step came to. */
export interface StepReport {
  readonly loss: number;
  readonly gradientNorm: number;
  /** What the step was fed: tokens, times, keys. */
  readonly draw: Readonly<Record<string, unknown>>;
}

/** Lends weights to some work. */
export type Lend = <T>(work: (weights: unknown) => Promise<T>) => Promise<T>;

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
 * @param device one that can be reopened is, whenever it is lost; the training then goes on from the last saved state
 * @param declared what the run trains, where that is in a file of the user's
 * @returns whether it is finished; false when the hooks stopped it
 * @throws UserError when another process works on the run; when a loss or gradient is not finite: then the last good state is saved,
 * and the message names the step; when the device was lost several times with no state saved between them
 */
export async function train(
  run: RunStore<TrainingConfig>,
  text: PreparedText,
  device: Device | ReopenableDevice,
  hooks: TrainingHooks,
  intervals: TrainingIntervals = DEFAULT_INTERVALS,
  declared?: Subject,
): Promise<boolean> {
  const vocab = text.vocabulary.tokens.length;
  const subject = declared ?? stockSubjectOf(run.config, vocab);
  if (subject === undefined)
    throw new UserError(`${run.place} trains a variant of a file, which is not given.`);
  const shared = { run, text, hooks, intervals, subject, vocab };
  let saved = 0;
  const lock = await run.lock((line) => hooks.note?.(line));
  try {
    return await surviving(device, {
      work: (open, loss) => trainOn({ ...shared, device: open, saved: () => saved++ }, loss),
      achieved: () => saved,
      remedy: run.advice.goOn,
    });
  } finally {
    lock.release();
  }
}

interface Context extends RunContext {
  readonly hooks: TrainingHooks;
  readonly intervals: TrainingIntervals;
  /** To be called whenever something was saved that the run did not have. */
  readonly saved: () => void;
}

/** Trains on one device. @returns whether it is finished */
async function trainOn(context: Context, loss: Loss | undefined): Promise<boolean> {
  const { run, hooks } = context;
  if (loss !== undefined && hooks.stopped()) {
    hooks.note?.(`The device was lost (${loss.reason}) before the last steps were saved.`);
    return false;
  }
  let reason = loss;
  for (const name of phasesOf(run.config)) {
    if (await run.hasCheckpoint(name)) continue;
    const phase = await (name === "flm" ? flmPhase : fmlmPhase)(context);
    if (!(await trainPhase(context, phase, reason))) return false;
    reason = undefined; // what comes next does not go on after the loss, it begins
  }
  // Killed between the last weights and the removal of the state, a run would keep it for ever.
  await run.removeCheckpoint("state");
  return true;
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
async function startOf(context: Context, phase: Phase): Promise<Progress> {
  try {
    return (await savedProgress(context, phase)) ?? { state: await phase.initial(), done: 0 };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const remedy = context.run.advice.dropState(phase.label);
    throw new UserError(`The saved state cannot be used: ${error.message} ${remedy}`, { cause: error });
  }
}

/** The saved state, if there is one of this phase; another phase's is out of date. */
async function savedProgress(
  { run, device }: Context,
  { name, config, layout, spec, offset }: Phase,
): Promise<Progress | undefined> {
  if (!(await run.hasCheckpoint("state"))) return undefined;
  const meta = await run.checkpointMeta("state");
  if (meta.phase !== name) return undefined;
  const done = meta.step - offset + 1;
  if (done < 1 || done > config.steps)
    throw new UserError(
      `${run.path("state.safetensors")} has ${done} steps done, and config.json asks for ${config.steps}.`,
    );
  const { tensors } = await run.loadCheckpoint("state", expectedState(spec, layout));
  return { state: uploadState(device, spec, layout, tensors), done };
}

/**
 * Trains a phase, or what is left of it.
 * @param loss when the phase goes on after it
 * @returns whether it is finished
 */
async function trainPhase(context: Context, phase: Phase, loss?: Loss): Promise<boolean> {
  const { run, device, hooks } = context;
  const { name, label, offset } = phase;
  const { steps, batch } = phase.config;
  if (loss === undefined) hooks.prepare?.(name);
  // A page goes on with its device after a training, so nothing of one may stay there, however it ends.
  const held: (() => unknown)[] = [() => disposeTree(phase.frozen)];
  try {
    const begin = await startOf(context, phase);
    held.push(() => disposeTree(begin.state));
    if (loss !== undefined) hooks.note?.(recoveryLine(loss, label, begin.done));
    await run.rewindMetrics(offset + begin.done - 1);
    const program = await compile(phase.program as Fn<Record<string, never>, Record<string, never>>, {
      device,
      name: `the ${label} step`,
    });
    held.push(() => program.dispose());
    const averaged = await averagedWeights(device, phase);
    held.push(() => averaged.dispose());
    const validation = name === "flm" ? await validator(context, phase) : undefined;
    held.push(() => validation?.dispose());
    hooks.begin(name, begin.done, steps, batch * phase.options.network.length);
    held.push(() => hooks.end(name));
    const state = await runSteps(context, phase, { program, averaged, validation }, begin);
    if (state === undefined) return false;
    held.push(() => disposeTree(state));
    await finishPhase(context, phase, state);
    return true;
  } finally {
    for (const end of held.reverse()) await end();
  }
}

function recoveryLine({ reason, device }: Loss, label: string, done: number): string {
  const where = done === 0 ? `starting ${label} over` : `going on from step ${done} of ${label}`;
  return `The device was lost (${reason}); ${where} on ${device}.`;
}

/** What is compiled for a phase. */
interface Programs {
  readonly program: Compiled<Record<string, never>, Record<string, never>>;
  readonly averaged: AveragedWeights;
  readonly validation: Validator | undefined;
}

/** @returns the state after the last step; undefined when the hooks stopped it */
async function runSteps(
  { run, device, hooks, intervals, saved }: Context,
  phase: Phase,
  { program, averaged, validation }: Programs,
  begin: Progress,
): Promise<DeviceState | undefined> {
  const { name, offset } = phase;
  const { steps } = phase.config;
  let { state } = begin;
  /** The state before `state`: a bad loss shows that the update before it was a bad one. */
  let previous: DeviceState | undefined;
  let lines: MetricsLine[] = [];
  let [lastSave, lastSample] = [Date.now(), Date.now()];
  /** What a step gave, until it is the state. */
  let next: DeviceState | undefined;
  let finished = false;
  const flush = async (): Promise<void> => {
    await run.appendMetrics(lines);
    lines = [];
  };
  const save = async (good: Progress): Promise<void> => {
    await flush();
    await run.saveCheckpoint("state", namedTensors(await stateTensors(good.state, phase.layout)), {
      step: offset + good.done - 1,
      phase: name,
    });
    saved();
    lastSave = Date.now();
  };

  try {
    for (let step = begin.done; step < steps; step++) {
      const draw = phase.draw(step);
      const input = {
        state,
        ...phase.frozen,
        ...draw,
        learningRate: learningRateAt(phase.config, step),
      };
      const output = (await program.run(input as never)) as unknown as StepOutput;
      next = output.state;
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
      next = undefined;
      hooks.step(name, step, { loss, gradientNorm, draw });
      if (step % LOG_EVERY === 0 || step === steps - 1)
        lines.push({ step: offset + step, phase: name, loss, gradientNorm });
      if (validation !== undefined && (step % VALIDATE_EVERY === VALIDATE_EVERY - 1 || step === steps - 1)) {
        const validated = await averaged.use(state, (weights) => validation.loss(weights));
        lines.push({ step: offset + step, phase: name, validation: validated });
        hooks.validation?.(name, step, validated);
      }
      if (hooks.sample !== undefined && Date.now() - lastSample >= intervals.sample * 1000) {
        await averaged.use(state, async (weights) => hooks.sample?.(name, weights, device));
        lastSample = Date.now();
      }
      const present = state;
      await hooks.between?.(name, device, (work) => averaged.use(present, work));
    }
    await flush();
    finished = true;
    return state;
  } finally {
    for (const old of [previous, next, finished ? undefined : state]) if (old !== undefined) disposeTree(old);
  }
}

/** Writes a finished phase's weights; only then its state is no longer needed. @throws UserError when a weight is not finite */
async function finishPhase({ run, saved }: Context, phase: Phase, state: DeviceState): Promise<void> {
  const { name, config, network, layout, offset } = phase;
  const all = await treeTensors(weightsIn(layout, state.ema), officialNaming(network));
  // Of a weighting that was trained with them, samplers need nothing.
  const weights = new Map([...all].filter(([weight]) => !weight.startsWith("weighting.")));
  for (const [weight, { data }] of weights) {
    if (data.every(Number.isFinite)) continue;
    throw divergence(
      run,
      phase,
      `weight ${weight} is not finite after the last step, ${config.steps}`,
      undefined,
    );
  }
  await run.saveCheckpoint(name, namedTensors(weights), { step: offset + config.steps - 1, phase: name });
  saved();
  await run.removeCheckpoint("state");
}

const namedTensors = (
  tensors: ReadonlyMap<
    string,
    Awaited<ReturnType<typeof treeTensors>> extends Map<string, infer S> ? S : never
  >,
) => [...tensors].map(([name, { dtype, shape, data }]) => ({ name, dtype, shape, data }));
