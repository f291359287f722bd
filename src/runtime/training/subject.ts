/**
 * What a run trains: a flow, or a flow map and, where one teaches it, its flow. The demo's are FLM and FMLM; `fluxion train` trains
 * whatever is declared.
 *
 * Consumed by the phases of training, by sampling, and by the command line, which finds the declaration.
 */
import { usualParameterization } from "../../models/flow/flow-map.ts";
import type { FlowMap } from "../../models/flow/flow-map.ts";
import type { Flow } from "../../models/flow/flow.ts";
import type { OneHotSpace } from "../../models/flow/state-space.ts";
import { stock } from "../../models/language/variants/index.ts";
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
  ...subjectOf(stockVariant("fmlm", vocab, 1)),
  published: true,
});

/** A declaration as what a run trains. @throws UserError for a map that takes more networks, or puts out something else, than a run samples from */
export function subjectOf(declared: Flow | FlowMap): Subject {
  if (declared.kind === "flow") return { flow: declared, published: false };
  const { name, flow, parameterization, teacher } = declared;
  if (typeof teacher === "object")
    throw new UserError(
      `The flow map "${name}" is taught by the flow map "${teacher.name}", and a run trains no flow map before it: train both from code.`,
    );
  if (parameterization !== usualParameterization(flow))
    throw new UserError(
      `The flow map "${name}" is a ${parameterization}, and a run samples from a ${usualParameterization(flow)} here: train it from code.`,
    );
  return { flow: declared.flow, map: declared, published: false };
}

/** Whether a run trains FLM or FMLM as published, by their own programs. */
export const isPublished = ({ variant }: TrainingConfig): boolean =>
  variant === undefined || (variant.file === undefined && ["flm", "fmlm"].includes(variant.name));

/** The declaration of that stock name, for texts of a length. @throws UserError when there is none */
export function stockVariant(name: string, vocab: number, length: number): Flow | FlowMap {
  const declare = Object.hasOwn(stock, name) ? stock[name] : undefined;
  if (declare === undefined)
    throw new UserError(
      `There is no variant "${name}"; choose one of ${Object.keys(stock).join(", ")}, or give a file that ends in .ts or .js.`,
    );
  return declare(vocab, length);
}

/** What a run's configuration says that it trains, if that is not in a file of the user's. */
export function stockSubjectOf(config: TrainingConfig, vocab: number): Subject | undefined {
  const { variant } = config;
  if (variant === undefined) return publishedSubject(vocab);
  if (variant.file !== undefined) return undefined;
  return {
    ...subjectOf(stockVariant(variant.name, vocab, config.network.length)),
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

/**
 * How one-hot states of a flow are computed unless one says otherwise: projected, where that is possible. Of other states it says nothing.
 */
export const usualSpace = ({ predicts, source, states }: Flow, preferred: OneHotSpace): OneHotSpace =>
  states.kind !== "one-hot" || (predicts === "clean token" && source.scale !== undefined)
    ? preferred
    : "vocabulary";

/** What a flow changes of a network's sizes: points of an embedding have its width, where logits have the vocabulary's size. */
export const outputsOf = ({ predicts, states }: Flow, width: number): { readonly outputs?: number } =>
  states.kind === "embedded" && predicts !== "clean token" ? { outputs: width } : {};
