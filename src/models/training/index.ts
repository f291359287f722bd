/** Batches, state and programs of a training step, as one namespace; see batches.ts, state.ts, programs.ts and declared.ts. */
export { flmDraw, fmlmDraw, keyData, seedOf, stepKey } from "./batches.ts";
export type { FlmDraw, FmlmDraw, Phase } from "./batches.ts";
export {
  diagonalRowsOf,
  flowDraw,
  flowMapDraw,
  flowMapStep,
  flowStep,
  flowValidation,
  initFlow,
  initFlowMap,
  learnedOf,
} from "./declared.ts";
export type { TimeData } from "./declared.ts";
export { projected } from "./surgery.ts";
export {
  flmStep,
  flmValidation,
  fmlmStep,
  initFlm,
  initFmlm,
  samplerFactor,
  samplerNoise,
  samplerProgram,
  unpackWeights,
} from "./programs.ts";
export type { DistillOptions, ModelOptions, StepOptions, StepReport } from "./programs.ts";
export { samplingProgram } from "./sampling.ts";
export type { SamplingOptions } from "./sampling.ts";
export { initSpherical, sphericalSampler, sphericalStep } from "./spherical.ts";
export type { SphericalOptions } from "./spherical.ts";
export { mapState, weightsLayout, weightsSpec } from "./state.ts";
export type {
  StateOf,
  TrainedWeighting,
  TrainedWeights,
  TrainingState,
  UpdateOptions,
  WeightsLayout,
} from "./state.ts";
