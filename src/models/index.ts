/**
 * The science as one namespace: flows and their clocks, flow language models, networks, data and evaluation. Pure and
 * browser-safe. Consumed by users as `models` of the package's main entry; files inside the project import from where things
 * are. To publish something new: export it here, or in the namespace it belongs to: `flows` (declarations and what follows from them),
 * `clocks`, `sources`, `objectives`, `losses`, `weightings`, `samplers`, `spheres`.
 */
export {
  eulerWeight,
  gammaSamplerCoefficients,
  interpolantDrift,
  interpolantJump,
  semigroupWeight,
} from "./flow/algebra.ts";
export { decodingError } from "./flow/clock-decoding-error.ts";
export type { DecodingErrorClock } from "./flow/clock-decoding-error.ts";
export { mixtureClock, uniformClock } from "./flow/clock.ts";
export type { Clock, MixtureClock } from "./flow/clock.ts";
export * from "./flow/fields.ts";
export * as hostRandom from "./flow/host-random.ts";
export { corpusOracle } from "./flow/oracle.ts";
export type { Corpus } from "./flow/corpus.ts";
export type { IntegrationOptions, Oracle, OracleOptions } from "./flow/oracle.ts";
export { projectedSpace, vocabularySpace } from "./flow/state-space.ts";
export type { OneHotSpace, StateSpace } from "./flow/state-space.ts";
export { fmlmTimes, stratifiedTimes } from "./flow/times.ts";
export type { FlowMapDraws, Midpoint, RowFractions, RowTimes } from "./flow/times.ts";

export * as flows from "./flow/declarations.ts";
export * as clocks from "./flow/clocks.ts";
export * as losses from "./flow/losses.ts";
export * as objectives from "./flow/objectives/index.ts";
export * as samplers from "./flow/samplers/index.ts";
export * as sources from "./flow/sources.ts";
export * as spheres from "./flow/sphere/index.ts";
export * as weightings from "./flow/weightings.ts";

export { ditConfigOf, ditFromTensors, ditToTensors } from "./networks/checkpoint.ts";
export type { DitTree, TreeOf } from "./networks/checkpoint.ts";
export { dit } from "./networks/dit.ts";
export type { Dit, DitBlock, DitConfig, DitParams, DitStages, TimeEmbedding } from "./networks/dit.ts";
export { streamed } from "./networks/network.ts";
export type { Conditioning, LinearHead, Network } from "./networks/network.ts";

export { cappedLogits, denoiser, logDenoiser, predict } from "./language/denoiser.ts";
export type { Prediction, Target } from "./language/prediction.ts";
export { flmLoss, flmTokenLoss } from "./language/flm.ts";
export type { FlmBatch } from "./language/flm.ts";
export { fmlmLoss, fmlmTerms } from "./language/fmlm.ts";
export type { FmlmBatch, FmlmOptions, FmlmTerms, Jump } from "./language/fmlm.ts";
export {
  declaredFlowLoss,
  declaredFlowTokenLoss,
  declaredMapLoss,
  declaredMapParts,
  declaredMapTokenLoss,
} from "./language/declared-loss.ts";
export type { FlowMapRows, FlowRows, Teaching } from "./language/declared-loss.ts";
export { flowDenoiser, mapDenoiser, sampledDenoiser } from "./language/declared-network.ts";
export type { NetworkModel } from "./language/declared-network.ts";
export { sphericalLogits, sphericalLoss, sphericalTokenLoss } from "./language/spherical.ts";
export type { SphericalModel } from "./language/spherical.ts";
export * as discrete from "./language/discrete/index.ts";
export * as variants from "./language/variants/index.ts";
export { eulerSchedule, gammaSchedule, samplerStep } from "./language/sampler.ts";
export type { SamplerInputs, SamplerOutputs, SamplerStep } from "./language/sampler.ts";

export * as training from "./training/index.ts";
export * as data from "./data/index.ts";
export * as evaluation from "./eval/index.ts";
