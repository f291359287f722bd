/**
 * The two phases of a run as data: what is trained, from which initial state, by which program, on which batches. And what
 * belongs to a run's models apart from training them: networks, options, specifications.
 *
 * Consumed by trainer.ts, which goes through a phase, and by sampling and inspection.
 */
import { outputSpec } from "../../dsl/index.ts";
import type { Fn } from "../../dsl/index.ts";
import type { PreparedText } from "../../models/data/index.ts";
import type { Clock } from "../../models/flow/clock.ts";
import type { DitConfig } from "../../models/networks/dit.ts";
import { flmDraw, fmlmDraw, keyData, stepKey } from "../../models/training/batches.ts";
import { flmStep, fmlmStep, initFlm, initFmlm } from "../../models/training/programs.ts";
import type { ModelOptions } from "../../models/training/programs.ts";
import { weightsLayout, weightsSpec } from "../../models/training/state.ts";
import { compile } from "../compile.ts";
import type { Device } from "../device.ts";
import { loadCheckpoint } from "../files/run-folder.ts";
import type { RunFolder } from "../files/run-folder.ts";
import { diagonalRows } from "./config.ts";
import type { PhaseConfig, TrainingConfig } from "./config.ts";
import { expectedTensors, officialNaming, uploadTensors } from "./state-files.ts";
import type { DeviceState, Layout, StateSpec } from "./state-files.ts";

export type PhaseName = "flm" | "fmlm";

/** The networks of a run. */
export const flmNetwork = (config: TrainingConfig, vocab: number): DitConfig => ({
  ...config.network,
  vocab,
  targetTime: false,
});
export const fmlmNetwork = (config: TrainingConfig, vocab: number): DitConfig => ({
  ...flmNetwork(config, vocab),
  targetTime: true,
});

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

/** The network that a phase trains. */
const trained = ({ network }: ModelOptions, phase: PhaseName): DitConfig => ({
  ...network,
  targetTime: phase === "fmlm",
});

/** Specification of a model's weights, as a tree. */
export const paramsSpec = (options: ModelOptions, phase: PhaseName): unknown =>
  weightsSpec(trained(options, phase));

/** Where a phase's weights lie in the vectors of its state. */
export const layoutOf = (options: ModelOptions, phase: PhaseName): Layout =>
  weightsLayout(trained(options, phase)) as unknown as Layout; // of whatever weights

/** Specification of a phase's state, its weights packed. */
export const stateSpec = (options: ModelOptions, phase: PhaseName): StateSpec =>
  outputSpec(
    (phase === "flm" ? initFlm(options) : initFmlm(options)) as Fn<never, unknown>,
  ) as unknown as StateSpec; // one specification for each tensor

/** Options for specifications and samplers of one of a run's models. */
export const phaseOptions = (config: TrainingConfig, phase: PhaseName, vocab: number): ModelOptions =>
  modelOptions(config, config[phase], vocab);

/** What both phases of a run share. */
export interface RunContext {
  readonly run: RunFolder<TrainingConfig>;
  readonly text: PreparedText;
  readonly device: Device;
  readonly clock: Clock;
  readonly vocab: number;
}

type Draw = Readonly<Record<string, Int32Array | Float32Array | Uint32Array>>;

/** What differs between the two phases. */
export interface Phase {
  readonly name: PhaseName;
  readonly config: PhaseConfig;
  readonly options: ModelOptions;
  /** The network that is trained. */
  readonly network: DitConfig;
  /** Where its weights lie in the vectors of the state. */
  readonly layout: Layout;
  /** Frozen weights that the step takes besides the state. */
  readonly frozen: Readonly<Record<string, unknown>>;
  readonly program: Fn<never, unknown>;
  readonly initial: () => Promise<DeviceState>;
  readonly draw: (step: number) => Draw;
  /** Number of steps logged before this phase. */
  readonly offset: number;
}

export async function flmPhase({ run, text, device, clock, vocab }: RunContext): Promise<Phase> {
  const config = run.config.flm;
  const options = modelOptions(run.config, config, vocab);
  const init = initFlm(options);
  const spec = outputSpec(init as Fn<never, unknown>);
  return {
    name: "flm",
    config,
    options,
    network: trained(options, "flm"),
    layout: layoutOf(options, "flm"),
    frozen: {},
    program: flmStep(options, spec as never) as Fn<never, unknown>,
    initial: () =>
      initialState(device, init as Fn<never, unknown>, {
        key: keyData(stepKey(run.config.seed, "flm", config.steps)),
      }),
    draw: (step) => ({
      ...flmDraw(
        text.streams.train,
        options.network.length,
        config.batch,
        clock,
        stepKey(run.config.seed, "flm", step),
      ),
    }),
    offset: 0,
  };
}

export async function fmlmPhase({ run, text, device, clock, vocab }: RunContext): Promise<Phase> {
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
    network: trained(options, "fmlm"),
    layout: layoutOf(options, "fmlm"),
    frozen: { teacher },
    program: fmlmStep(
      { ...options, diagonal: diagonalRows(config) },
      spec as never,
      teacherSpec as never,
    ) as Fn<never, unknown>,
    initial: () =>
      initialState(device, init as Fn<never, unknown>, {
        key: keyData(stepKey(run.config.seed, "fmlm", config.steps)),
        teacher,
      }),
    draw: (step) => ({
      ...fmlmDraw(
        text.streams.train,
        options.network.length,
        config.batch,
        clock,
        step,
        config,
        stepKey(run.config.seed, "fmlm", step),
      ),
    }),
    offset: run.config.flm.steps,
  };
}

async function initialState(
  device: Device,
  init: Fn<never, unknown>,
  input: Readonly<Record<string, unknown>>,
): Promise<DeviceState> {
  const program = await compile(init as Fn<Record<string, never>, unknown>, {
    device,
    name: "the initial state",
  });
  const state = await program.run(input as never);
  await program.dispose();
  return state as unknown as DeviceState;
}
