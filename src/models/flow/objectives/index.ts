/**
 * The objectives of flow maps as one namespace. Consumed by users as `models.objectives`. To publish a new one: export it here.
 */
export { consistency, continuousConsistency } from "./consistency.ts";
export { distillation } from "./distillation.ts";
export { eulerian, eulerianLogits } from "./eulerian.ts";
export { lagrangian, lagrangianLogits } from "./lagrangian.ts";
export { meanFlow } from "./mean-flow.ts";
export type { Objective, Rows, Targets } from "./objective.ts";
export { semigroup } from "./semigroup.ts";
