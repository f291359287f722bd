/**
 * All sources as one namespace. Consumed by users as `models.sources`. To publish a new one: export it here.
 */
export { gaussian, logistic, uniform } from "./source.ts";
export type { Moment, Source } from "./source.ts";
export { dirichlet } from "./source-dirichlet.ts";
export { maskedGaussian, maskToken, middleOfSimplex, pointMass } from "./source-masked.ts";
export type { Mask } from "./source-masked.ts";
export { uniformOnSphere } from "./source-sphere.ts";
