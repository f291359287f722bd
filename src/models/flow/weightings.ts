/** Weightings as one namespace. Consumed by users as `models.weightings`. To publish a new one: export it here. */
export { jumpLength, none, residual, snr } from "./weighting-kinds.ts";
export type { ResidualOptions, SnrOptions } from "./weighting-kinds.ts";
export { learned } from "./weighting-learned.ts";
export type { LearnedOptions, LearnedWeighting, LearnedWeights } from "./weighting-learned.ts";
export { exponentOf, weighed } from "./weighting.ts";
export type {
  FlowWeighting,
  Losses,
  Moment,
  ResidualWeighting,
  TimeWeighting,
  Weighed,
  Weighting,
  WeightOfTime,
} from "./weighting.ts";
