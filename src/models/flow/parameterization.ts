/**
 * Parameterizations: what the network of a flow map puts out, and the two-time denoiser ψ that it stands for. Objectives, samplers and
 * verify know ψ alone, so each works with all of these.
 *
 *   two-time denoiser    ψ itself: X = Γ x + Ξ ψ                            (FMLM, arXiv:2602.16813 v3)
 *   mean velocity        v: X = x + (t − s) v                               (Geng et al. 2025)
 *   corrected velocity   g: X = Γ x + Ξ D_s(x) + ½ (t − s)² g, D a frozen denoiser of the flow   (FMLM, v1)
 *   direct map           F: X = x + F(x, s, t) − F(x, s, s)
 *
 * FMLM's first version has X = x + (t − s) b_s(x) + ½ (t − s)² g, which for the linear interpolant is the same. Γ x + Ξ D is the step that
 * is exact where D does not change, so it needs no rates, and nothing cancels where t is near s.
 *
 * Consumed by flowMap() and by language/declared-network.ts. To add one: its name, and its case in `denoiserOf`; verify then asks whether
 * outputs that are made of the exact map (`outputOf`) stand for the exact ψ.
 */
import { add, div, equal, mul, sub, where } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { perState, pointAt } from "./interpolant.ts";
import type { Interpolant } from "./interpolant.ts";
import { denoisedOf, jump, moved, wronskian } from "./jump.ts";
import { convert } from "./quantities.ts";
import { byTime } from "./two-time.ts";
import type { Time } from "./two-time.ts";

export const PARAMETERIZATIONS = [
  "two-time denoiser",
  "mean velocity",
  "corrected velocity",
  "direct map",
] as const;
export type Parameterization = (typeof PARAMETERIZATIONS)[number];

/** A function of a state [batch, length, dim] and two times: what a network puts out, or ψ. */
export type OfTwoTimes = (x: Tensor, s: Time, t: Time) => Tensor;
/** D_s(x) of a frozen network of the flow. */
type Frozen = (x: Tensor, s: Time) => Tensor;

/** ψ of what a network puts out. @param frozen for a corrected velocity, which is nothing without one */
export function denoiserOf(
  parameterization: Parameterization,
  interpolant: Interpolant,
  output: OfTwoTimes,
  frozen?: Frozen,
): OfTwoTimes {
  switch (parameterization) {
    case "two-time denoiser":
      return output;
    case "mean velocity":
      return (x, s, t) => {
        const velocity = output(x, s, t);
        return ofMotion(interpolant, x, s, t, mul(perState(sub(t.t, s.t)), velocity), velocity);
      };
    case "corrected velocity":
      return (x, s, t) => {
        if (frozen === undefined)
          throw new TypeError("A corrected velocity needs the frozen network whose velocity it corrects.");
        const correction = mul(perState(mul(correctionWeight(interpolant, s, t), 0.5)), output(x, s, t));
        return add(frozen(x, s), correction);
      };
    case "direct map":
      return (x, s, t) => {
        // F(x, s, s) and ∂_t F there in one: the drift is ∂_t X at t = s.
        const start = byTime((time) => output(x, s, time), s);
        // One and the same time: the diagonal, which needs no jump.
        if (s === t) return clean(interpolant, x, s, start.tangent);
        return ofMotion(interpolant, x, s, t, sub(output(x, s, t), start.value), start.tangent);
      };
  }
}

/** D of a velocity of the flow. */
const clean = (interpolant: Interpolant, x: Tensor, s: Time, velocity: Tensor): Tensor =>
  convert(velocity, "velocity", "clean point", x, pointAt(interpolant, s.t));

/** ψ where a jump arrives at x + motion, and at s = t, where ψ from the motion would be 0/0, that of the velocity. */
function ofMotion(
  interpolant: Interpolant,
  x: Tensor,
  s: Time,
  t: Time,
  motion: Tensor,
  velocity: Tensor,
): Tensor {
  const still = equal(s.t, t.t);
  const { kept, jumped } = jump(pointAt(interpolant, s.t), pointAt(interpolant, t.t));
  const safe = { kept, jumped: where(still, 1, jumped) as Tensor };
  return where(
    perState(still),
    clean(interpolant, x, s, velocity),
    denoisedOf(x, add(x, motion), safe),
  ) as Tensor;
}

/** (t − s)²/Ξ as (t − s) · (t − s)/Ξ, whose second factor is 1/λ at s = t. For the linear interpolant (t − s)(1 − s). [batch] */
function correctionWeight(interpolant: Interpolant, s: Time, t: Time): Tensor {
  const [from, to] = [pointAt(interpolant, s.t), pointAt(interpolant, t.t)];
  const still = equal(s.t, t.t);
  const span: Tensor = sub(t.t, s.t);
  const pace = where(
    still,
    div(from.alpha, wronskian(from)),
    div(span, where(still, 1, jump(from, to).jumped)),
  );
  return mul(span, pace) as Tensor;
}

/**
 * What a network must put out for a map that is known, s < t: the inverse of `denoiserOf`. A direct map is known up to what does not depend on
 * t; this is the one that begins at x.
 */
export function outputOf(
  parameterization: Parameterization,
  interpolant: Interpolant,
  known: OfTwoTimes,
  frozen: Frozen,
): OfTwoTimes {
  const arrived: OfTwoTimes = (x, s, t) =>
    moved(x, known(x, s, t), jump(pointAt(interpolant, s.t), pointAt(interpolant, t.t)));
  switch (parameterization) {
    case "two-time denoiser":
      return known;
    case "mean velocity":
      return (x, s, t) => div(sub(arrived(x, s, t), x), perState(sub(t.t, s.t)));
    case "corrected velocity":
      return (x, s, t) =>
        div(
          sub(known(x, s, t), frozen(x, s)),
          perState(mul(correctionWeight(interpolant, s, t), 0.5) as Tensor),
        );
    case "direct map":
      return arrived;
  }
}
