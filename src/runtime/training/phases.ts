/**
 * The phases of a run as data, the flow's and its map's: what is trained, from which initial state, by which program, on which batches.
 * And what belongs to a run's models apart from training them: networks, options, specifications.
 *
 * Consumed by trainer.ts, which goes through a phase, and by sampling and inspection.
 */
import { outputSpec } from "../../dsl/index.ts";
import type { Fn } from "../../dsl/index.ts";
import type { PreparedText } from "../../models/data/index.ts";
import type { FlowMap } from "../../models/flow/flow-map.ts";
import type { DitConfig } from "../../models/networks/dit.ts";
import { flmDraw, fmlmDraw, keyData, stepKey } from "../../models/training/batches.ts";
import {
  flowDraw,
  flowMapDraw,
  flowMapStep,
  flowStep,
  initFlow,
  initFlowMap,
  learnedOf,
} from "../../models/training/declared.ts";
import { flmStep, fmlmStep, initFlm, initFmlm } from "../../models/training/programs.ts";
import type { ModelOptions } from "../../models/training/programs.ts";
import { weightsLayout, weightsSpec } from "../../models/training/state.ts";
import type { TrainedWeighting } from "../../models/training/state.ts";
import { compile } from "../compile.ts";
import type { Device } from "../device.ts";
import type { RunStore } from "../run/store.ts";
import { diagonalRows } from "./config.ts";
import type { PhaseConfig, TrainingConfig } from "./config.ts";
import { expectedTensors, officialNaming, uploadTensors } from "./state-files.ts";
import type { DeviceState, Layout, StateSpec } from "./state-files.ts";
import { labelOf, phasesOf } from "./subject.ts";
import type { PhaseName, Subject } from "./subject.ts";

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
export const layoutOf = (options: ModelOptions, phase: PhaseName, learned?: TrainedWeighting): Layout =>
  weightsLayout(trained(options, phase), learned) as unknown as Layout; // of whatever weights

/** The weighting that a phase trains with its network, if its declaration has one. */
function learnedIn({ flow, map }: Subject, phase: PhaseName): TrainedWeighting | undefined {
  const declared = phase === "flm" ? flow : map;
  return declared === undefined ? undefined : learnedOf(declared);
}

/** Options for specifications and samplers of one of a run's models. */
export const phaseOptions = (config: TrainingConfig, phase: PhaseName, vocab: number): ModelOptions =>
  modelOptions(config, config[phase], vocab);

/** The map that a run trains. Shares of rows are settings: those of the declaration, unless the run says otherwise. */
function mapOf({ fmlm }: TrainingConfig, { map, flow }: Subject): FlowMap {
  if (map === undefined) throw new Error(`a run of the flow "${flow.name}" has no flow map`);
  return { ...map, diagonal: fmlm.diagonalFraction, boundary: fmlm.boundaryFraction };
}

/** How a phase begins: (key) or (key, teacher) -> its state. */
function initialProgram(
  config: TrainingConfig,
  subject: Subject,
  phase: PhaseName,
  vocab: number,
): Fn<never, unknown> {
  const options = phaseOptions(config, phase, vocab);
  const { flow, published } = subject;
  if (phase === "flm") return (published ? initFlm(options) : initFlow(flow, options)) as Fn<never, unknown>;
  if (published) return initFmlm(options) as Fn<never, unknown>;
  const map = mapOf(config, subject);
  const teacher = map.teacher ? (paramsSpec(options, "flm") as never) : undefined;
  return initFlowMap(map, options, teacher) as Fn<never, unknown>;
}

/** The program of a phase's step: of FLM and FMLM their own, of anything else as it is declared. */
export function stepProgram(
  config: TrainingConfig,
  subject: Subject,
  phase: PhaseName,
  vocab: number,
): Fn<never, unknown> {
  const options = phaseOptions(config, phase, vocab);
  const spec = outputSpec(initialProgram(config, subject, phase, vocab)) as never;
  const { flow, published } = subject;
  if (phase === "flm")
    return (published ? flmStep(options, spec) : flowStep(flow, options, spec)) as Fn<never, unknown>;
  const map = mapOf(config, subject);
  const teacher = paramsSpec(options, "flm") as never;
  return (
    published
      ? fmlmStep({ ...options, diagonal: diagonalRows(config.fmlm) }, spec, teacher)
      : flowMapStep(map, options, spec, map.teacher ? teacher : undefined)
  ) as Fn<never, unknown>;
}

/** What the phases of a run share. */
export interface RunContext {
  readonly run: RunStore<TrainingConfig>;
  readonly text: PreparedText;
  readonly device: Device;
  readonly subject: Subject;
  readonly vocab: number;
}

/** What a step is fed, as a tree of arrays. */
type Draw = Readonly<Record<string, unknown>>;

/** What differs between the phases. */
export interface Phase {
  readonly name: PhaseName;
  /** What is trained, for people. */
  readonly label: string;
  readonly config: PhaseConfig;
  readonly options: ModelOptions;
  /** The network that is trained. */
  readonly network: DitConfig;
  /** The weighting that is trained with it, whose parameters are part of the state and not of the model. */
  readonly learned: TrainedWeighting | undefined;
  /** Where its weights lie in the vectors of the state. */
  readonly layout: Layout;
  /** Specification of the state, its weights packed. */
  readonly spec: StateSpec;
  /** Frozen weights that the step takes besides the state. */
  readonly frozen: Readonly<Record<string, unknown>>;
  readonly program: Fn<never, unknown>;
  readonly initial: () => Promise<DeviceState>;
  readonly draw: (step: number) => Draw;
  /** Number of steps logged before this phase. */
  readonly offset: number;
}

/** What the state of a phase looks like: packed, and as a tree of weights. */
export function stateShapeOf(
  config: TrainingConfig,
  subject: Subject,
  name: PhaseName,
  vocab: number,
): Pick<Phase, "options" | "network" | "learned" | "layout" | "spec"> {
  const options = phaseOptions(config, name, vocab);
  const learned = learnedIn(subject, name);
  return {
    options,
    network: trained(options, name),
    learned,
    layout: layoutOf(options, name, learned),
    spec: outputSpec(initialProgram(config, subject, name, vocab)) as unknown as StateSpec, // one specification for each tensor
  };
}

/** What phases have in common. */
function phaseOf(
  { run, device, subject, vocab }: RunContext,
  name: PhaseName,
  frozen: Phase["frozen"],
): Omit<Phase, "draw" | "offset"> {
  const { config } = run;
  const init = initialProgram(config, subject, name, vocab);
  return {
    ...stateShapeOf(config, subject, name, vocab),
    name,
    label: labelOf(subject, name),
    config: config[name],
    frozen,
    program: stepProgram(config, subject, name, vocab),
    initial: () =>
      initialState(device, init, {
        key: keyData(stepKey(config.seed, name, config[name].steps)),
        ...frozen,
      }),
  };
}

/** The first or only training of a run with a flow: FLM as published, any other as declared. */
export async function flmPhase(context: RunContext): Promise<Phase> {
  const { run, text, subject } = context;
  const { flow, published } = subject;
  const { batch } = run.config.flm;
  const { length } = run.config.network;
  const { train } = text.streams;
  return {
    ...phaseOf(context, "flm", {}),
    draw(step) {
      const key = stepKey(run.config.seed, "flm", step);
      return published
        ? { ...flmDraw(train, length, batch, flow.clock, key) }
        : flowDraw(flow, train, length, batch, key);
    },
    offset: 0,
  };
}

/** The training of a run's flow map: from the flow's weights in the folder, where there is a teacher. */
export async function fmlmPhase(context: RunContext): Promise<Phase> {
  const { run, text, subject } = context;
  const { flow, published } = subject;
  const config = run.config.fmlm;
  const { length } = run.config.network;
  const { train } = text.streams;
  const map = mapOf(run.config, subject);
  return {
    ...phaseOf(context, "fmlm", map.teacher ? { teacher: await teacherOf(context) } : {}),
    draw(step) {
      const key = stepKey(run.config.seed, "fmlm", step);
      return published
        ? { ...fmlmDraw(train, length, config.batch, flow.clock, step, config, key) }
        : flowMapDraw(map, train, length, config.batch, step, key);
    },
    offset: phasesOf(run.config).includes("flm") ? run.config.flm.steps : 0,
  };
}

/** The weights that teach, from the run's own folder. */
async function teacherOf({ run, device, vocab }: RunContext): Promise<unknown> {
  const options = phaseOptions(run.config, "fmlm", vocab);
  const naming = officialNaming(options.network);
  const spec = paramsSpec(options, "flm");
  const { tensors } = await run.loadCheckpoint("flm", expectedTensors(spec, naming));
  return uploadTensors(device, spec, tensors, naming);
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
