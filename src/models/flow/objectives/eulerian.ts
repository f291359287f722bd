/**
 * Eulerian objectives: a jump does not change when its start moves with the flow, (∂_s + b_s·∇) X_{s,t} = 0. In terms of the two-time
 * denoiser ψ = D_s + k (∂_s + b_s·∇) ψ with k = Ξ/(Γ λ_s) (ESD of FMLM, arXiv:2602.16813, which calls it highly unstable: k grows
 * without bound at t = 1, and the target may leave the simplex); in terms of its logits z
 * ψ = softmax(log D_s − log(1 − k (ż − ⟨ψ, ż⟩))) (Discrete Flow Maps, arXiv:2604.09784).
 */
import { add, div, mul, softmax, sub } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { perState, pointAt } from "../interpolant.ts";
import { eulerianWeight, jump, wronskian } from "../jump.ts";
import { alongPath, drift } from "../two-time.ts";
import { centered, logitsOf, quotient } from "./logits.ts";
import type { Objective } from "./objective.ts";

export const eulerian = (): Objective => ({
  name: "Eulerian",
  formula: "ψ_{s,t}(x) = D_s(x) + k (∂_s + b_s·∇) ψ_{s,t}(x)",
  usesMiddle: false,
  onSimplex: false,
  atData: false,
  needsTeacher: false,
  needsLogits: false,
  target({ student, instant }, { x, s, t }) {
    const now = instant.denoiser(x, s);
    const velocity = drift(student.interpolant, x, student.point(now), s);
    const { tangent } = alongPath((at, time) => student.denoiser(at, time, t), x, s, velocity);
    const [from, to] = [pointAt(student.interpolant, s.t), pointAt(student.interpolant, t.t)];
    return add(now, mul(perState(eulerianWeight(from, to)), tangent));
  },
});

export const eulerianLogits = (): Objective => ({
  name: "Eulerian in logits",
  formula: "ψ_{s,t}(x) = softmax(log D_s(x) − log(1 − k (ż − ⟨ψ, ż⟩))), ż = (∂_s + b_s·∇) z",
  usesMiddle: false,
  onSimplex: true,
  atData: false,
  needsTeacher: false,
  needsLogits: true,
  target({ student, instant }, { x, s, t }) {
    const logits = logitsOf(instant, x, s);
    const velocity = drift(student.interpolant, x, student.point(softmax(logits)), s);
    const { value: z, tangent } = alongPath((at, time) => logitsOf(student, at, time, t), x, s, velocity);
    const [from, to] = [pointAt(student.interpolant, s.t), pointAt(student.interpolant, t.t)];
    // k = Ξ α_s / (Γ W_s) is infinite at t = 1, where Γ = 0, so both D and 1 − k ȧ are taken times Γ W_s / (Γ W_s + Ξ α_s). At t = 1
    // itself nothing is left of D, and the target is ψ: jumps to the data learn nothing from this objective.
    const { kept, jumped } = jump(from, to);
    const [still, moving]: [Tensor, Tensor] = [mul(kept, wronskian(from)), mul(jumped, from.alpha)];
    const total: Tensor = add(still, moving);
    const argument: Tensor = sub(
      perState(div(still, total)),
      mul(perState(div(moving, total)), centered(z, tangent)),
    );
    return softmax(quotient(logits, z, argument, perState(div(still, total))));
  },
});
