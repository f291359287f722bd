/**
 * Samplers of declared flows: schedules, what changes a denoiser, and the loop. Consumed by users as `models.samplers`.
 */
export { sampleAdaptively } from "./adaptive.ts";
export type { AdaptiveOptions, AdaptiveSamples } from "./adaptive.ts";
export { bridge } from "./bridge.ts";
export type { BridgeOptions } from "./bridge.ts";
export { sampleEndpoints } from "./endpoints.ts";
export { autoguided, classifierFree } from "./guidance.ts";
export type { GuidanceOptions } from "./guidance.ts";
export { euler, exponential, heun, midpoint } from "./integrators.ts";
export { gammaResampling, jumps } from "./jumps.ts";
export type { GammaOptions } from "./jumps.ts";
export { shaped } from "./posterior.ts";
export type { PosteriorOptions } from "./posterior.ts";
export { conditionedOn, projectedCovariance, rewarded } from "./reward.ts";
export type { RewardOptions } from "./reward.ts";
export { sample } from "./sample.ts";
export type { SampleInputs, Samples } from "./sample.ts";
export { held } from "./sampled-denoiser.ts";
export type { SampledDenoiser } from "./sampled-denoiser.ts";
export type { Call, Course, HostTime, Schedule, ScheduleOptions } from "./schedule.ts";
export { embeddedWorld, projectedWorld, vocabularyWorld, worldOf } from "./world.ts";
export type { World, WorldOptions } from "./world.ts";
