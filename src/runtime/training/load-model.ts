/**
 * The weights of one of a run's models, on a device, with what its programs need to know. Consumed by the commands that sample, measure
 * and verify.
 */
import type { ModelOptions } from "../../models/training/programs.ts";
import type { Device } from "../device.ts";
import { loadCheckpoint } from "../files/run-folder.ts";
import type { RunFolder } from "../files/run-folder.ts";
import type { TrainingConfig } from "./config.ts";
import { flmNetwork, fmlmNetwork, paramsSpec, phaseOptions } from "./phases.ts";
import type { PhaseName } from "./subject.ts";
import { expectedTensors, officialNaming, uploadTensors } from "./state-files.ts";

/** The weights of one of a run's models on a device, and what its programs need to know. */
export interface LoadedModel {
  readonly params: unknown;
  readonly options: ModelOptions;
  /** Specification of the weights. */
  readonly spec: unknown;
}

/** Loads the weights of one model of a run. @throws UserError when they are missing or do not fit */
export async function loadModel(
  run: RunFolder<TrainingConfig>,
  name: PhaseName,
  vocab: number,
  device: Device,
  batch: number,
): Promise<LoadedModel> {
  const { config } = run;
  const network = name === "flm" ? flmNetwork(config, vocab) : fmlmNetwork(config, vocab);
  const options = { ...phaseOptions(config, name, vocab), network, batch };
  const spec = paramsSpec(phaseOptions(config, name, vocab), name);
  const naming = officialNaming(network);
  const { tensors } = await loadCheckpoint(run, name, expectedTensors(spec, naming));
  return { params: uploadTensors(device, spec, tensors, naming), options, spec };
}
