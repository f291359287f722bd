/**
 * Distillation of a flow map that is given: ψ is that of the given map, whatever the given map was trained by and whatever its network puts
 * out. The second stage of FMLM's first version (arXiv:2602.16813 v1), where one softmax network learns the map of two.
 */
import type { Objective } from "./objective.ts";

export const distillation = (): Objective => ({
  name: "distillation",
  formula: "ψ_{s,t}(x) = ψ_{s,t}(x) of the given flow map",
  usesMiddle: false,
  // The given map may be of points, or of values that leave the simplex.
  onSimplex: false,
  atData: true,
  needsTeacher: "flow map",
  needsLogits: false,
  target({ given }, { x, s, t }) {
    if (given === undefined)
      throw new TypeError("Distillation needs the flow map that is to be learned: declare it as teacher.");
    return given.denoiser(x, s, t);
  },
});
