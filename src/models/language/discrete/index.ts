/**
 * The algebra of discrete baselines as one namespace: processes on tokens, their losses, ratios and samplers, and exact oracles of a
 * corpus. Consumed by users as `models.discrete`. To publish something new: export it here.
 */
export { absorbing, maskedBound, subs } from "./absorbing.ts";
export type { AbsorbingProcess } from "./absorbing.ts";
export { nextTokenLoss, nextTokens } from "./autoregressive.ts";
export { gaussianDuality } from "./duality.ts";
export type { GaussianDuality } from "./duality.ts";
export { tokenOracle } from "./oracle.ts";
export type { TokenOracle } from "./oracle.ts";
export { corrupted, stepDivergence } from "./process.ts";
export type { ReverseStep, TokenProcess } from "./process.ts";
export { ancestralSamples, drawnTokens } from "./sampler.ts";
export type { AncestralOptions, TokenDenoiser } from "./sampler.ts";
export { cosine, geometric, levelAt, logLinear, noiseRate, noiseSchedule, totalNoise } from "./schedule.ts";
export type { NoiseLevel, NoiseSchedule } from "./schedule.ts";
export { absorbingRatios, absorbingScore, absorbingScoreLoss, analyticStep, scoreEntropy } from "./score.ts";
export { uniform, uniformBound } from "./uniform.ts";
