/**
 * Consistency objectives: all states of one path arrive at the same data, (∂_s + b_s·∇) ψ_{s,1} = 0. They say nothing of jumps that end
 * earlier, so all their rows end at t = 1.
 *
 * The discrete one (Song et al. 2023) compares ψ at s and, after one step of the teacher, at u; it holds as u → s alone, for the step
 * leaves the path by O((u − s)²). The continuous one is its limit, in the form of Lu and Song (2024): where the target of ψ is
 * ψ + w (∂_s + b_s·∇) ψ any positive weight w has the same solution, and theirs keeps the target near ψ.
 */
import { partsOf } from "../declared-parts.ts";
import { add, div, equal, mul, sqrt, square, sum, where } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { perState, pointAt } from "../interpolant.ts";
import { jump, moved, wronskian } from "../jump.ts";
import { alongPath, drift } from "../two-time.ts";
import type { Objective } from "./objective.ts";

export const consistency = (): Objective => ({
  name: "consistency",
  formula: "ψ_{s,1}(x) = ψ_{u,1}(Γ x + Ξ D_s(x)) as u → s, Γ and Ξ those of s and u; D_s(x) where u = 1",
  usesMiddle: true,
  onSimplex: true,
  atData: "only",
  needsTeacher: false,
  needsLogits: false,
  limit: { order: 2 },
  target({ student, instant }, { x, s, u, t }) {
    const [from, middle, to] = [s, u, t].map((time) => pointAt(student.interpolant, time.t)) as [
      ReturnType<typeof pointAt>,
      ReturnType<typeof pointAt>,
      ReturnType<typeof pointAt>,
    ]; // three times, three points
    const now = instant.denoiser(x, s);
    const far = student.denoiser(moved(x, student.point(now), jump(from, middle)), u, t);
    // A step that reaches t is the whole jump: this is where the solution is tied to the data.
    return where(perState(equal(jump(middle, to).jumped, 0)), now, far) as Tensor;
  },
});

/** @param softening c of g/(|g| + c): the target is nowhere farther from ψ than 1, and 1/c times g where g is small */
export const continuousConsistency = (options: { readonly softening?: number } = {}): Objective => {
  const { softening = 0.1 } = partsOf("The continuous-consistency objective", options, ["softening"]);
  return softened(softening);
};

const softened = (softening: number): Objective => ({
  name: "continuous consistency",
  formula: "ψ_{s,1}(x) = ψ + g/(|g| + c), g = α/(α + αβ̇ − βα̇) (∂_s + b_s·∇) ψ_{s,1}(x) at s",
  usesMiddle: false,
  onSimplex: false,
  atData: "only",
  needsTeacher: false,
  needsLogits: false,
  target({ student, instant }, { x, s, t }) {
    const velocity = drift(student.interpolant, x, student.point(instant.denoiser(x, s)), s);
    const { value, tangent } = alongPath((at, time) => student.denoiser(at, time, t), x, s, velocity);
    const from = pointAt(student.interpolant, s.t);
    // b has rates over α in it, and this weight times b is bounded where α is 0, and where the rates are 0 or infinite. (1 − s)/(2 − s) for
    // the linear interpolant.
    const total: Tensor = add(from.alpha, wronskian(from));
    // A token that is finished has neither.
    const finished = equal(total, 0);
    const weight = where(finished, 0, div(from.alpha, where(finished, 1, total))) as Tensor;
    const along: Tensor = mul(perState(weight), tangent);
    const size: Tensor = sqrt(sum(square(along), 2, { keepDims: true }));
    return add(value, div(along, add(size, softening)));
  },
});
