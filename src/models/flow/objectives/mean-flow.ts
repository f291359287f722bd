/**
 * The mean-flow objective (Geng et al. 2025): the Eulerian identity in terms of the average velocity v = (X_{s,t}(x) − x)/(t − s),
 * v = b_s + (t − s) (∂_s + b_s·∇) v. In terms of the two-time denoiser ψ this takes the step (t − s)/k of the Eulerian target
 * D_s + k (∂_s + b_s·∇) ψ from ψ itself, where k = Ξ/(Γ λ_s) is infinite at t = 1: so it is bounded, and says something of jumps to the
 * data.
 */
import { add, div, equal, expandDims, mul, sub, where } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { perState, pointAt } from "../interpolant.ts";
import { jump, wronskian } from "../jump.ts";
import { alongPath, drift } from "../two-time.ts";
import type { Objective } from "./objective.ts";

export const meanFlow = (): Objective => ({
  name: "mean flow",
  formula: "ψ_{s,t}(x) = ψ + w (D_s(x) − ψ) + (t − s) (∂_s + b_s·∇) ψ_{s,t}(x), w = (t − s) Γ λ_s/Ξ",
  usesMiddle: false,
  onSimplex: false,
  atData: true,
  needsTeacher: false,
  needsLogits: false,
  target({ student, instant }, { x, s, t }) {
    const now = instant.denoiser(x, s);
    const velocity = drift(student.interpolant, x, student.point(now), s);
    const { value, tangent } = alongPath((at, time) => student.denoiser(at, time, t), x, s, velocity);
    const [from, to] = [pointAt(student.interpolant, s.t), pointAt(student.interpolant, t.t)];
    const { kept, jumped } = jump(from, to);
    const passed: Tensor = sub(t.t, s.t);
    const span = kept.shape.length === 1 ? passed : (expandDims(passed, 1) as Tensor);
    // Where nothing moves, at s = t and at tokens that wait or are finished, the target is D.
    const still = equal(jumped, 0);
    const rate: Tensor = div(
      mul(mul(span, kept) as Tensor, wronskian(from)),
      where(still, 1, mul(from.alpha, jumped)),
    );
    const share = perState(where(still, 1, rate) as Tensor);
    const ahead = perState(where(still, 0, span) as Tensor);
    return add(add(value, mul(share, sub(now, value))), mul(ahead, tangent));
  },
});
