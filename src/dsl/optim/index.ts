/**
 * Optimizers and what surrounds them in a training step, as pure functions over trees, used as a namespace:
 *
 *   const optimizer = optim.adamW({ weightDecay: 0.01 });
 *   const { params, state } = optimizer.update(grads, previous.state, previous.params, { learningRate });
 */
export { fromRule } from "./optimizer.ts";
export type { FlatOptimizer, Optimizer } from "./optimizer.ts";
export type { Hyperparameters, Leaf, LeafRule, OptimizerState, Parameter, Selects, Step } from "./rule.ts";
export { flatLayout } from "./flat-layout.ts";
export type { Flat, FlatLayout, FlatLeaf, FlatVector, TreeOf } from "./flat-layout.ts";
export { sgd } from "./sgd.ts";
export type { SgdOptions } from "./sgd.ts";
export { adam, adamW } from "./adam.ts";
export type { AdamOptions } from "./adam.ts";
export { lion } from "./lion.ts";
export type { LionOptions } from "./lion.ts";
export { muon, orthogonalize } from "./muon.ts";
export type { MuonOptions } from "./muon.ts";
export { after, constant, cosine, halving, linearDecay, product, warmup } from "./schedules.ts";
export type { Schedule } from "./schedules.ts";
export {
  allFinite,
  clipByGlobalNorm,
  globalNorm,
  innerProduct,
  initLossScale,
  scaleLoss,
  selectTree,
  unscale,
  updateLossScale,
} from "./gradients.ts";
export type { LossScale, LossScaleOptions } from "./gradients.ts";
export { ema } from "./ema.ts";
export type { EmaOptions } from "./ema.ts";
