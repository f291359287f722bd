/**
 * What a run trains: a flow, or a flow map and, where one teaches it, its flow. The demo's are FLM and FMLM; `fluxion train` trains
 * whatever is declared.
 *
 * Consumed by the phases of training, by sampling, and by the command line, which finds the declaration.
 */
import { outputSpec, trace } from "../../dsl/index.ts";
import type { Fn } from "../../dsl/index.ts";
import { hashProgram, hashText } from "../../dsl/program/hash.ts";
import type { FlowMap } from "../../models/flow/flow-map.ts";
import type { Flow } from "../../models/flow/flow.ts";
import type { Variant } from "../../models/flow/variant.ts";
import type { StateSpace } from "../../models/flow/state-space.ts";
import { stock } from "../../models/language/variants/index.ts";
import type { DitConfig } from "../../models/networks/dit.ts";
import { flowMapStep, flowStep, initFlow, initFlowMap } from "../../models/training/declared.ts";
import type { ModelOptions } from "../../models/training/programs.ts";
import { weightsSpec } from "../../models/training/state.ts";
import { UserError } from "../files/errors.ts";
import type { TrainingConfig } from "./config.ts";

/** The two kinds of training in a run, by the names of their files: of the flow, and of its map. */
export type PhaseName = "flm" | "fmlm";

export interface Subject {
  readonly flow: Flow;
  readonly map?: FlowMap;
  /** FLM and FMLM as published: they have programs of their own, which stream large vocabularies. */
  readonly published: boolean;
}

/** FLM and FMLM. */
export const publishedSubject = (vocab: number): Subject => ({
  ...subjectOf(stockVariant("fmlm", vocab)),
  published: true,
});

/** A declaration as what a run trains. */
export function subjectOf(declared: Variant): Subject {
  if (declared.kind === "flow") return { flow: declared, published: false };
  return { flow: declared.flow, map: declared, published: false };
}

/** Whether a run trains FLM or FMLM as published, by their own programs. */
export const isPublished = ({ variant }: TrainingConfig): boolean =>
  variant === undefined || (variant.file === undefined && ["flm", "fmlm"].includes(variant.name));

/** The declaration of that stock name. @throws UserError when there is none */
export function stockVariant(name: string, vocab: number): Variant {
  const declare = Object.hasOwn(stock, name) ? stock[name] : undefined;
  if (declare === undefined)
    throw new UserError(
      `There is no variant "${name}"; choose one of ${Object.keys(stock).join(", ")}, or give a file that ends in .ts or .js.`,
    );
  return declare(vocab);
}

/** What a run's configuration says that it trains, if that is not in a file of the user's. */
export function stockSubjectOf(config: TrainingConfig, vocab: number): Subject | undefined {
  const { variant } = config;
  if (variant === undefined) return publishedSubject(vocab);
  if (variant.file !== undefined) return undefined;
  return {
    ...subjectOf(stockVariant(variant.name, vocab)),
    published: isPublished(config),
  };
}

/** The trainings of a run, in their order. A teacher that was given is not trained. */
export function phasesOf({ variant }: TrainingConfig): readonly PhaseName[] {
  if (variant === undefined) return ["flm", "fmlm"];
  if (variant.kind === "flow") return ["flm"];
  return variant.teacher === "trained" ? ["flm", "fmlm"] : ["fmlm"];
}

/** Whether a run has a flow map. */
export const hasMap = ({ variant }: TrainingConfig): boolean =>
  variant === undefined || variant.kind === "flow map";

/** Whether a run has a network of the flow itself: its model, or the teacher of its map. */
export const hasFlow = ({ variant }: TrainingConfig): boolean =>
  variant === undefined || variant.kind === "flow" || variant.teacher !== "none";

/** What a model of a run is called. */
export const labelOf = ({ flow, map, published }: Subject, phase: PhaseName): string =>
  published ? phase.toUpperCase() : phase === "flm" ? flow.name : (map?.name ?? flow.name);

/** Sizes for looking at a program: those that a declaration may depend on are the run's, the others small. */
const lookedAt = (vocab: number, length: number, batch: number, space: StateSpace["kind"]): ModelOptions => {
  const network: DitConfig = { vocab, length, width: 4, depth: 1, heads: 2, conditioning: 2 };
  const update = { beta1: 0.9, beta2: 0.99, weightDecay: 0, clip: 1, emaDecay: 0.9 };
  return { network, batch, space, ...update };
};

interface Sizes {
  readonly vocab: number;
  readonly length: number;
  readonly space: StateSpace["kind"];
}

/**
 * Where states of a flow live unless one says otherwise: projected, where that is possible.
 */
export const usualSpace = ({ predicts, source }: Flow, preferred: StateSpace["kind"]): StateSpace["kind"] =>
  predicts === "clean token" && source.scale !== undefined ? preferred : "vocabulary";

/** The specification of what a program gives. */
const stateOf = (init: unknown): never => outputSpec(init as Fn<never, unknown>) as never; // a state's

/**
 * What a teacher and a student must have in common, as a short text: interpolant, clock, source, and what is predicted. How the
 * prediction is judged and weighted is left out: it decides how well a teacher was taught, not what it says.
 */
export function flowFingerprint(flow: Flow, { vocab, length, space }: Sizes): string {
  const options = lookedAt(vocab, length, 1, space);
  const { weighting: _weighting, ...judged } = flow;
  const loss = flow.predicts === "clean token" ? "cross-entropy" : "squared error";
  const judgedAlike: Flow = { ...judged, loss };
  const program = traced(() => flowStep(judgedAlike, options, stateOf(initFlow(judgedAlike, options))));
  // The clock is of the host: no program has it.
  const times = Array.from({ length: 15 }, (_, i) => flow.clock.time((i + 1) / 16).toPrecision(6));
  return hashText([flow.predicts, hashProgram(program), ...times].join(" "));
}

/**
 * Traces the step of a variant's model at the run's vocabulary and length, so that what cannot be trained is said before anything is.
 * @throws UserError in a sentence
 */
export function checkSubject({ flow, map }: Subject, sizes: Sizes, batch: number): void {
  const options = lookedAt(sizes.vocab, sizes.length, batch, sizes.space);
  if (map === undefined || map.teacher)
    traced(() => flowStep(flow, options, stateOf(initFlow(flow, options))));
  if (map === undefined) return;
  const teacher = map.teacher ? weightsSpec(options.network) : undefined;
  traced(() => flowMapStep(map, options, stateOf(initFlowMap(map, options)), teacher));
}

/** @throws UserError for what a declaration does not allow */
function traced(step: () => unknown) {
  try {
    return trace(step() as Fn<never, unknown>).program;
  } catch (error) {
    if (error instanceof RangeError) throw new UserError(error.message, { cause: error });
    throw error;
  }
}
