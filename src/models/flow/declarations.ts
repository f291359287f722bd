/**
 * Flows as declarations, as one namespace: what they are declared of, and what follows from a declaration. Consumed by users as
 * `models.flows`; clocks, sources and objectives have namespaces of their own. To publish something new: export it here.
 */
export { flow } from "./flow.ts";
export type { Flow, FlowDeclaration, Predicts } from "./flow.ts";
export { flowMap } from "./flow-map.ts";
export type { FlowMap, FlowMapDeclaration } from "./flow-map.ts";
export type { Parameterization } from "./parameterization.ts";
export type { JumpTimes, Midpoint } from "./times.ts";
export {
  interpolant,
  linear,
  mixed,
  perState,
  pointAt,
  trigonometric,
  variancePreserving,
  variancePreservingLinear,
} from "./interpolant.ts";
export type { Interpolant, Point } from "./interpolant.ts";
export { anyOrder, atOnce, blockCausal, positioned } from "./schedule.ts";
export type { Ramps, Schedule } from "./schedule.ts";
export { frozenEmbedding, learnedEmbedding, oneHotStates } from "./states.ts";
export type { EmbeddedStates, OneHotStates, RowNorm, States } from "./states.ts";
export { conditional, convert, endpoints } from "./quantities.ts";
export type { Endpoints, Quantity } from "./quantities.ts";
export { denoisedOf, eulerianWeight, jump, lagrangianWeight, moved, semigroupWeights } from "./jump.ts";
export type { Jump } from "./jump.ts";
export { alongPath, arrive, byTime, diagonalOf, drift } from "./two-time.ts";
export type { OneTimeDenoiser, Time, TwoTimeDenoiser } from "./two-time.ts";
export { oracleDenoiser } from "./oracle-denoiser.ts";
export { oracleMap } from "./oracle-map.ts";
export { identitiesOf } from "./verify/identities.ts";
export { viewOf } from "./verify/view.ts";
export type { Averages, Cases, Checks, Family, Identity, LeftOut, World } from "./verify/identity.ts";
