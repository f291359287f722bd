/**
 * Flows on the sphere, as one namespace: the declaration, the sphere's maps, the exact flow of a corpus, and samplers. Consumed by users as
 * `models.spheres`. To publish something new: export it here.
 */
export { sphere, slerp } from "./geometry.ts";
export type { Geometry } from "./geometry.ts";
export type { Arc } from "./arc.ts";
export { constantSpeed, greatCircle, shareAt } from "./path.ts";
export type { GreatCircle, Share } from "./path.ts";
export { sphericalFlow } from "./spherical-flow.ts";
export type {
  SphericalFlow,
  SphericalFlowDeclaration,
  SphericalWeighting,
  TokenTable,
} from "./spherical-flow.ts";
export { sphericalOracle } from "./oracle.ts";
export type { IntegrationOptions, SphericalOracle } from "./oracle.ts";
export { sphericalSample, sphericalSchedule, uniformNoise } from "./sample.ts";
export type { SphericalMethod, SphericalSamples, SphericalSchedule, TokenLogits } from "./sample.ts";
export { eulerStep, midpointStep } from "./step.ts";
export type { Moving, Step, TokenDistribution } from "./step.ts";
