/**
 * Steps along a flow on the sphere. In κ for time, dx/dκ = Σ_v p(v | x) log_x(e_v)/(1 − κ): that is bounded up to the data, and
 * constant along a great circle to one token, so that a step with known tokens is exact however long.
 *
 *   order 1   x ← exp_x((κ_t − κ_s) n_s(x)),                    n_s(x) = Σ_v p_s(v | x) log_x(e_v)/(1 − κ_s)
 *   order 2   the same with n_m at the state of a middle time m, transported to x
 *
 * Consumed by oracle.ts and sample.ts.
 */
import { div, mul, sub } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import type { Time } from "../two-time.ts";
import { wayLeft } from "./density.ts";
import { perRank } from "./spherical-flow.ts";
import type { SphericalFlow } from "./spherical-flow.ts";

/** Distribution over tokens of a state at a time, [batch, length, vocab]. */
export type TokenDistribution = (x: Tensor, time: Time) => Tensor;

/** What moves where: unit vectors [vocab, d], and what is said of the tokens. */
export interface Moving {
  readonly flow: SphericalFlow;
  readonly table: Tensor;
  readonly distribution: TokenDistribution;
}

/** How far a step goes of what is left: (κ_t − κ_s)/(1 − κ_s), for states [batch, length, d]. */
export function shareOfRest({ path }: SphericalFlow, s: Time, t: Time): Tensor {
  const [from, to] = [path.kappa(s.t), path.kappa(t.t)];
  return perRank(div(sub(to, from), wayLeft(from)), 3);
}

/** A step: the state after it, and the distribution over tokens that it was made of, the last one where there are several. */
export interface Step {
  readonly state: Tensor;
  readonly distribution: Tensor;
}

/** A step of order 1 from s to t. */
export function eulerStep({ flow, table, distribution }: Moving, x: Tensor, s: Time, t: Time): Step {
  const said = distribution(x, s);
  const velocity = flow.geometry.meanLog(x, table, said);
  return {
    state: flow.geometry.exp(x, mul(velocity, shareOfRest(flow, s, t))),
    distribution: said,
  };
}

/** A step of order 2 from s to t by way of a time m between. */
export function midpointStep(moving: Moving, x: Tensor, s: Time, m: Time, t: Time): Step {
  const { flow, table, distribution } = moving;
  const { geometry, path } = flow;
  const { state: middle } = eulerStep(moving, x, s, m);
  const said = distribution(middle, m);
  const velocity = geometry.transport(geometry.meanLog(middle, table, said), middle, x);
  const [from, between, to] = [s, m, t].map((time) => path.kappa(time.t)) as [Tensor, Tensor, Tensor]; // three
  const share = perRank(div(sub(to, from), wayLeft(between)), 3);
  return { state: geometry.exp(x, mul(velocity, share)), distribution: said };
}
