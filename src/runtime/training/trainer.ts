/**
 * The training loop: FLM first, then FMLM distilled from its moving average. Step k draws its batch from (seed, phase, k), the
 * state is saved atomically, so a run that is stopped and resumed at any moment goes on bit for bit.
 *
 * Consumed by the command line, which shows progress through the hooks. Effects: the device and the run folder.
 */
import type { PreparedText } from "../../models/data/index.ts";
import { decodingError } from "../../models/flow/clock.ts";
import type { Clock } from "../../models/flow/clock.ts";
import type { DitConfig } from "../../models/networks/dit.ts";
import { outputSpec } from "../../dsl/index.ts";
import type { Fn } from "../../dsl/index.ts";
import { flmDraw, fmlmDraw, keyData, stepKey } from "../../models/training/batches.ts";
import { flmStep, flmValidation, fmlmStep, initFlm, initFmlm } from "../../models/training/programs.ts";
import type { ModelOptions } from "../../models/training/programs.ts";
import { compile, disposeTree } from "../compile.ts";
import type { Device, DeviceValue } from "../device.ts";
import { UserError } from "../files/errors.ts";
import { appendMetrics, hasCheckpoint, loadCheckpoint, rewindMetrics, saveCheckpoint } from "../files/run-folder.ts";
import type { MetricsLine, RunFolder } from "../files/run-folder.ts";
import { diagonalRows, learningRateAt } from "./config.ts";
import type { PhaseConfig, TrainingConfig } from "./config.ts";
import { expectedTensors, officialNaming, treeTensors, uploadTensors } from "./state-files.ts";

export type PhaseName = "flm" | "fmlm";

/** What the loop tells while it runs. */
export interface TrainingHooks {
  /** A phase begins (or goes on) at `step` of `steps`. */
  begin(phase: PhaseName, step: number, steps: number, tokensPerStep: number): void;
  step(phase: PhaseName, step: number, report: { readonly loss: number; readonly gradientNorm: number }): void;
  /** Called about every half minute with the present averaged weights. */
  sample?(phase: PhaseName, params: unknown): Promise<void>;
  end(phase: PhaseName): void;
  /** Whether to stop after this step, saving the state. */
  readonly stopped: () => boolean;
}

/** The tree of a training state on the device. */
interface DeviceState {
  readonly params: unknown;
  readonly ema: unknown;
}

/** Seconds between saved states, and between samples to read. */
const SAVE_EVERY = 30;
const SAMPLE_EVERY = 30;
/** Steps between lines of the log and between validations. */
const LOG_EVERY = 10;
const VALIDATE_EVERY = 100;
const VALIDATION_BATCHES = 4;

/** The networks of a run. */
export const flmNetwork = (config: TrainingConfig, vocab: number): DitConfig => ({ ...config.network, vocab, targetTime: false });
export const fmlmNetwork = (config: TrainingConfig, vocab: number): DitConfig => ({ ...flmNetwork(config, vocab), targetTime: true });

const modelOptions = (config: TrainingConfig, phase: PhaseConfig, vocab: number): ModelOptions => ({
  network: flmNetwork(config, vocab),
  batch: phase.batch,
  space: config.space,
  beta1: 0.9,
  beta2: phase.beta2,
  weightDecay: 0,
  clip: config.clip,
  emaDecay: config.emaDecay,
});

/** Specification of a model's parameters. */
export function paramsSpec(options: ModelOptions, phase: PhaseName): unknown {
  return (stateSpec(options, phase) as { readonly params: unknown }).params;
}

const stateSpec = (options: ModelOptions, phase: PhaseName): unknown => outputSpec((phase === "flm" ? initFlm(options) : initFmlm(options)) as Fn<never, unknown>);

/** Options for specifications and samplers of one of a run's models. */
export const phaseOptions = (config: TrainingConfig, phase: PhaseName, vocab: number): ModelOptions => modelOptions(config, config[phase], vocab);

/**
 * Trains what is left to train of a run.
 * @returns whether it is finished; false when the hooks stopped it
 * @throws UserError when a loss is not finite: the last good state is saved, and the message names the step
 */
export async function train(run: RunFolder<TrainingConfig>, text: PreparedText, device: Device, hooks: TrainingHooks): Promise<boolean> {
  const vocab = text.vocabulary.tokens.length;
  const clock = decodingError({ vocab });
  const saved = (await hasCheckpoint(run, "state")) ? await loadCheckpoint(run, "state") : undefined;
  await rewindMetrics(run, saved?.meta.step ?? -1);
  const context = { run, text, device, hooks, clock, vocab };
  if (!(await hasCheckpoint(run, "flm"))) {
    const finished = await trainPhase(context, "flm", saved?.meta.phase === "flm" ? saved : undefined);
    if (!finished) return false;
  }
  if (!(await hasCheckpoint(run, "fmlm"))) {
    return trainPhase(context, "fmlm", saved?.meta.phase === "fmlm" ? saved : undefined);
  }
  return true;
}

interface Context {
  readonly run: RunFolder<TrainingConfig>;
  readonly text: PreparedText;
  readonly device: Device;
  readonly hooks: TrainingHooks;
  readonly clock: Clock;
  readonly vocab: number;
}

type SavedState = Awaited<ReturnType<typeof loadCheckpoint>>;
type Draw = Readonly<Record<string, Int32Array | Float32Array | Uint32Array>>;

/** What differs between the two phases. */
interface Phase {
  readonly name: PhaseName;
  readonly config: PhaseConfig;
  readonly options: ModelOptions;
  /** Frozen weights that the step takes besides the state. */
  readonly frozen: Readonly<Record<string, unknown>>;
  readonly program: Fn<never, unknown>;
  readonly initial: () => Promise<DeviceState>;
  readonly draw: (step: number) => Draw;
  /** Number of steps logged before this phase. */
  readonly offset: number;
}

async function flmPhase({ run, text, device, clock, vocab }: Context): Promise<Phase> {
  const config = run.config.flm;
  const options = modelOptions(run.config, config, vocab);
  const init = initFlm(options);
  const spec = outputSpec(init as Fn<never, unknown>);
  return {
    name: "flm",
    config,
    options,
    frozen: {},
    program: flmStep(options, spec as never) as Fn<never, unknown>,
    initial: () => initialState(device, init as Fn<never, unknown>, { key: keyData(stepKey(run.config.seed, "flm", config.steps)) }),
    draw: (step) => ({ ...flmDraw(text.streams.train, options.network.length, config.batch, clock, stepKey(run.config.seed, "flm", step)) }),
    offset: 0,
  };
}

async function fmlmPhase({ run, text, device, clock, vocab }: Context): Promise<Phase> {
  const config = run.config.fmlm;
  const options = modelOptions(run.config, config, vocab);
  const naming = officialNaming(options.network);
  const teacherSpec = paramsSpec(options, "flm");
  const { tensors } = await loadCheckpoint(run, "flm", expectedTensors(teacherSpec, naming));
  const teacher = uploadTensors(device, teacherSpec, tensors, naming);
  const init = initFmlm(options);
  const spec = outputSpec(init as Fn<never, unknown>);
  return {
    name: "fmlm",
    config,
    options,
    frozen: { teacher },
    program: fmlmStep({ ...options, diagonal: diagonalRows(config) }, spec as never, teacherSpec as never) as Fn<never, unknown>,
    initial: () => initialState(device, init as Fn<never, unknown>, { key: keyData(stepKey(run.config.seed, "fmlm", config.steps)), teacher }),
    draw: (step) => ({ ...fmlmDraw(text.streams.train, options.network.length, config.batch, clock, step, config, stepKey(run.config.seed, "fmlm", step)) }),
    offset: run.config.flm.steps,
  };
}

async function initialState(device: Device, init: Fn<never, unknown>, input: Readonly<Record<string, unknown>>): Promise<DeviceState> {
  const program = await compile(init as Fn<Record<string, never>, DeviceState>, { device, name: "the initial state" });
  const state = await program.run(input as never);
  await program.dispose();
  return state as unknown as DeviceState;
}

async function trainPhase(context: Context, name: PhaseName, saved: SavedState | undefined): Promise<boolean> {
  const { run, device, hooks } = context;
  const phase = await (name === "flm" ? flmPhase(context) : fmlmPhase(context));
  const spec = stateSpec(phase.options, name);
  const start = saved === undefined ? 0 : saved.meta.step - phase.offset + 1;
  let state: unknown = saved === undefined ? await phase.initial() : uploadTensors(device, spec, saved.tensors);
  const program = await compile(phase.program as Fn<Record<string, never>, Record<string, never>>, { device, name: `the ${name.toUpperCase()} step` });
  const validation = name === "flm" ? await validator(context, phase) : undefined;
  const { steps, batch } = phase.config;
  hooks.begin(name, start, steps, batch * phase.options.network.length);

  let [lastSave, lastSample] = [Date.now(), Date.now()];
  let lines: MetricsLine[] = [];
  const save = async (step: number): Promise<void> => {
    await appendMetrics(run, lines);
    lines = [];
    const tensors = await treeTensors(state);
    await saveCheckpoint(run, "state", namedTensors(tensors), { step: phase.offset + step, phase: name });
  };

  for (let step = start; step < steps; step++) {
    const input = { state, ...phase.frozen, ...phase.draw(step), learningRate: learningRateAt(phase.config, step) };
    const output = (await program.run(input as never)) as unknown as { readonly state: unknown; readonly loss: DeviceValue; readonly gradientNorm: DeviceValue };
    const [loss, gradientNorm] = await Promise.all([scalarOf(output.loss), scalarOf(output.gradientNorm)]);
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      // The update is thrown away: the state before it is the last good one.
      if (step > 0) await save(step - 1);
      throw new UserError(
        `The ${name.toUpperCase()} loss is ${loss} and its gradient norm ${gradientNorm} in step ${step}; the state before that step is saved. ` +
          "Lower the learning rate, and start again or resume.",
      );
    }
    disposeTree(state);
    state = output.state;
    hooks.step(name, step, { loss, gradientNorm });
    if (step % LOG_EVERY === 0 || step === steps - 1) lines.push({ step: phase.offset + step, phase: name, loss, gradientNorm });
    if (validation !== undefined && (step % VALIDATE_EVERY === VALIDATE_EVERY - 1 || step === steps - 1)) {
      lines.push({ step: phase.offset + step, phase: name, validation: await validation((state as DeviceState).ema) });
    }
    if (hooks.stopped()) {
      await save(step);
      return false;
    }
    if (Date.now() - lastSave > SAVE_EVERY * 1000) {
      await save(step);
      lastSave = Date.now();
    }
    if (hooks.sample !== undefined && Date.now() - lastSample > SAMPLE_EVERY * 1000) {
      await hooks.sample(name, (state as DeviceState).ema);
      lastSample = Date.now();
    }
  }
  await appendMetrics(run, lines);
  const network = name === "flm" ? phase.options.network : { ...phase.options.network, targetTime: true };
  const weights = await treeTensors((state as DeviceState).ema, officialNaming(network));
  await saveCheckpoint(run, name, namedTensors(weights), { step: phase.offset + steps - 1, phase: name });
  disposeTree(state);
  disposeTree(phase.frozen);
  await program.dispose();
  hooks.end(name);
  return true;
}

const namedTensors = (tensors: ReadonlyMap<string, Awaited<ReturnType<typeof treeTensors>> extends Map<string, infer S> ? S : never>) =>
  [...tensors].map(([name, { dtype, shape, data }]) => ({ name, dtype, shape, data }));

async function scalarOf(value: DeviceValue): Promise<number> {
  const { data } = await value.read();
  value.dispose();
  return data[0] ?? Number.NaN;
}

/** The mean loss of given weights on the same few batches of the validation split every time. */
async function validator({ run, text, device, clock }: Context, phase: Phase): Promise<(params: unknown) => Promise<number>> {
  const program = await compile(flmValidation(phase.options, paramsSpec(phase.options, "flm") as never) as unknown as Fn<Record<string, never>, Record<string, never>>, { device, name: "the validation loss" });
  const batches = Array.from({ length: VALIDATION_BATCHES }, (_, i) =>
    flmDraw(text.streams.validation, phase.options.network.length, phase.config.batch, clock, stepKey(run.config.seed, "validation", i)),
  );
  return async (params) => {
    let total = 0;
    for (const batch of batches) {
      const { loss } = (await program.run({ params, ...batch } as never)) as unknown as { readonly loss: DeviceValue };
      total += await scalarOf(loss);
    }
    return total / batches.length;
  };
}
