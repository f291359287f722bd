/**
 * The semigroup objective: one jump equals two, ψ_{s,t}(x) = γ ψ_{s,u}(x) + (1 − γ) ψ_{u,t}(X_{s,u}(x)). Progressive self-distillation
 * (PSD) of FMLM (arXiv:2602.16813); with a middle time half-way in t it is the shortcut objective (Frans et al. 2025).
 */
import { add, mul } from "../../../dsl/index.ts";
import { perState, pointAt } from "../interpolant.ts";
import { jump, moved, semigroupWeights } from "../jump.ts";
import type { Objective } from "./objective.ts";

export const semigroup = (): Objective => ({
  name: "semigroup",
  formula: "ψ_{s,t}(x) = γ ψ_{s,u}(x) + (1 − γ) ψ_{u,t}(X_{s,u}(x))",
  usesMiddle: true,
  onSimplex: true,
  atData: true,
  needsTeacher: false,
  needsLogits: false,
  target({ student }, { x, s, u, t }) {
    const from = pointAt(student.interpolant, s.t);
    const middle = pointAt(student.interpolant, u.t);
    const to = pointAt(student.interpolant, t.t);
    const near = student.denoiser(x, s, u);
    const far = student.denoiser(moved(x, student.point(near), jump(from, middle)), u, t);
    const { first, second } = semigroupWeights(from, middle, to);
    return add(mul(perState(first), near), mul(perState(second), far));
  },
});
