/** Losses as one namespace. Consumed by users as `models.losses`. To publish a new one: export it here. */
export { bregman, divergence, negativeEntropy, squaredNorm } from "./bregman.ts";
export type { Bregman, Domain, Loss, PointLoss, Potential, TokenLoss } from "./bregman.ts";
