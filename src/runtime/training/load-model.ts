/**
 * The weights of one of a run's models, on a device, with what its programs need to know. Consumed by the commands that sample, measure
 * and verify.
 */
import type { ModelOptions } from "../../models/training/programs.ts";
import { disposeTree } from "../compile.ts";
import type { Device } from "../device.ts";
import { UserError } from "../files/errors.ts";
import type { RunStore } from "../run/store.ts";
import type { TrainingConfig } from "./config.ts";
import { averagedWeights } from "./averaged-weights.ts";
import { flmNetwork, fmlmNetwork, paramsSpec, phaseOptions, stateShapeOf } from "./phases.ts";
import type { PhaseName, Subject } from "./subject.ts";
import { expectedState, expectedTensors, officialNaming, uploadState, uploadTensors } from "./state-files.ts";

/** The weights of one of a run's models on a device, and what its programs need to know. */
export interface LoadedModel {
  readonly params: unknown;
  readonly options: ModelOptions;
  /** Specification of the weights. */
  readonly spec: unknown;
}

/** Which model of which run. */
interface ModelOfRun {
  readonly run: RunStore<TrainingConfig>;
  readonly subject: Subject;
  readonly name: PhaseName;
  readonly vocab: number;
}

/** What the programs of one of a run's models need to know, `batch` texts at a time. */
export function modelShape(
  { run, name, vocab }: Omit<ModelOfRun, "subject">,
  batch: number,
): Pick<LoadedModel, "options" | "spec"> {
  const options = phaseOptions(run.config, name, vocab);
  const network = (name === "flm" ? flmNetwork : fmlmNetwork)(run.config, vocab);
  return { options: { ...options, network, batch }, spec: paramsSpec(options, name) };
}

/**
 * Lends the averaged weights of a training that is not finished, out of its saved state.
 * @throws UserError when there is no saved state of this model's training, or it does not fit
 */
export async function withSavedAverages<T>(
  { run, subject, name, vocab }: ModelOfRun,
  device: Device,
  work: (params: unknown) => Promise<T>,
): Promise<T> {
  const { phase } = await run.checkpointMeta("state");
  if (phase !== name)
    throw new UserError(`The saved state of ${run.place} is not of the training that was asked for.`);
  const shape = stateShapeOf(run.config, subject, name, vocab);
  const { tensors } = await run.loadCheckpoint("state", expectedState(shape.spec, shape.layout));
  const state = uploadState(device, shape.spec, shape.layout, tensors);
  const averaged = await averagedWeights(device, shape);
  try {
    return await averaged.use(state, work);
  } finally {
    disposeTree(state);
    await averaged.dispose();
  }
}

/** Loads the weights of one model of a run. @throws UserError when they are missing or do not fit */
export async function loadModel(
  run: RunStore<TrainingConfig>,
  name: PhaseName,
  vocab: number,
  device: Device,
  batch: number,
): Promise<LoadedModel> {
  const { options, spec } = modelShape({ run, name, vocab }, batch);
  const naming = officialNaming(options.network);
  const { tensors } = await run.loadCheckpoint(name, expectedTensors(spec, naming));
  return { params: uploadTensors(device, spec, tensors, naming), options, spec };
}
