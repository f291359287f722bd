/**
 * FMLM's first version (arXiv:2602.16813 v1): a second network corrects the velocity of FLM, X = x + (t − s) v + ½ (t − s)² g, by the
 * semigroup identity and squared error; in two stages, one softmax network then learns the map of the two. As published but for the
 * learned weighting of the loss.
 */
import { flowMap } from "../../flow/flow-map.ts";
import type { FlowMap } from "../../flow/flow-map.ts";
import { distillation } from "../../flow/objectives/distillation.ts";
import { semigroup } from "../../flow/objectives/semigroup.ts";
import { flm } from "./flm.ts";

export const fmlmTwoModels = (vocab: number): FlowMap =>
  flowMap({
    name: "FMLM v1, two models",
    flow: flm(vocab),
    objective: semigroup(),
    parameterization: "corrected velocity",
  });

/** The second stage, by the first: `fmlmTwoModels`, whose weights and FLM's it takes in training. */
export function fmlmTwoStages(vocab: number): FlowMap {
  const first = fmlmTwoModels(vocab);
  return flowMap({
    name: "FMLM v1, second stage",
    flow: first.flow,
    teacher: first,
    objective: distillation(),
    diagonal: 0,
    boundary: 1 / 128,
  });
}
