/** Batches and programs of a training step, as one namespace; see batches.ts and programs.ts. */
export { flmDraw, fmlmDraw, keyData, seedOf, stepKey } from "./batches.ts";
export type { FlmDraw, FmlmDraw, Phase } from "./batches.ts";
export {
  flmStep,
  flmValidation,
  fmlmStep,
  initFlm,
  initFmlm,
  samplerNoise,
  samplerProgram,
} from "./programs.ts";
export type { DistillOptions, ModelOptions, StepOptions, StepReport, TrainingState } from "./programs.ts";
