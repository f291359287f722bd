/**
 * Lagrangian objectives: the end of a jump moves with the flow, ∂_t X_{s,t}(x) = b_t(X_{s,t}(x)). In terms of the two-time denoiser
 * ψ = D_t(X) − c ∂_t ψ with c = Ξ/λ_t (LSD of FMLM, arXiv:2602.16813), which may leave the simplex on the way; in terms of its logits z
 * ψ = softmax(log D_t(X) − log(1 + c (ż − ⟨ψ, ż⟩))), which cannot (Discrete Flow Maps, arXiv:2604.09784).
 */
import { add, equal, mul, softmax, sub, where } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { perState, pointAt } from "../interpolant.ts";
import { jump, lagrangianWeight, moved } from "../jump.ts";
import { byTime } from "../two-time.ts";
import { centered, logitsOf, quotient } from "./logits.ts";
import type { Objective } from "./objective.ts";

export const lagrangian = (): Objective => ({
  name: "Lagrangian",
  formula: "ψ_{s,t}(x) = D_t(X_{s,t}(x)) − c ∂_t ψ_{s,t}(x)",
  usesMiddle: false,
  onSimplex: false,
  atData: true,
  needsTeacher: false,
  needsLogits: false,
  target({ student, instant }, { x, s, t }) {
    const [from, to] = [pointAt(student.interpolant, s.t), pointAt(student.interpolant, t.t)];
    const { value, tangent } = byTime((time) => student.denoiser(x, s, time), t);
    const there = moved(x, student.point(value), jump(from, to));
    const weight = perState(lagrangianWeight(from, to));
    // Where c is 0 nothing is taken away, also where ∂_t ψ is infinite, as at t = 1 with the rate of √(1 − t²).
    return sub(instant.denoiser(there, t), where(equal(weight, 0), 0, mul(weight, tangent)) as Tensor);
  },
});

export const lagrangianLogits = (): Objective => ({
  name: "Lagrangian in logits",
  formula: "ψ_{s,t}(x) = softmax(log D_t(X_{s,t}(x)) − log(1 + c (ż − ⟨ψ, ż⟩))), ż = ∂_t z",
  usesMiddle: false,
  onSimplex: true,
  atData: true,
  needsTeacher: false,
  needsLogits: true,
  target({ student, instant }, { x, s, t }) {
    const [from, to] = [pointAt(student.interpolant, s.t), pointAt(student.interpolant, t.t)];
    const { value: z, tangent } = byTime((time) => logitsOf(student, x, s, time), t);
    const there = moved(x, student.point(softmax(z)), jump(from, to));
    const weighted: Tensor = mul(perState(lagrangianWeight(from, to)), centered(z, tangent));
    return softmax(quotient(logitsOf(instant, there, t), z, add(1, weighted)));
  },
});
