/**
 * The exact map of data that are spread out: x₁ ~ N(m, v) in every coordinate, known in closed form for any interpolant. Consumed by world.ts and laws.ts.
 *
 * A flow to finite text has decided where a jump ends at t = 1: its ψ_{s,1} is piecewise constant, every derivative of it is 0, and whatever
 * factor or direction an objective has there, it holds. Here it is not, and the objectives know no difference.
 */
import { add, div, equal, mul, sqrt, square, sub, where } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { perState, pointAt } from "../interpolant.ts";
import type { Interpolant, Point } from "../interpolant.ts";
import { denoisedOf, jump } from "../jump.ts";
import type { TwoTimeDenoiser } from "../two-time.ts";

/** Mean and variance of x₁. */
export const SMOOTH = { mean: 0.3, variance: 0.6 } as const;
const { mean: MEAN, variance: VARIANCE } = SMOOTH;

/** @param noise variance of the noise, which is normal here whatever the source */
export function smoothData(interpolant: Interpolant, noise: number): TwoTimeDenoiser {
  /** Variance of states. */
  const spread = ({ alpha, beta }: Point): Tensor =>
    add(mul(square(alpha), noise), mul(square(beta), VARIANCE));
  const denoised = (x: Tensor, at: Point): Tensor => {
    const share = perState(div(mul(at.beta, VARIANCE), spread(at)) as Tensor);
    return add(MEAN, mul(share, sub(x, perState(mul(at.beta, MEAN)))));
  };
  return {
    interpolant,
    point: (value) => value,
    denoiser(x, s, t) {
      const [from, to] = [pointAt(interpolant, s.t), pointAt(interpolant, t.t)];
      const { kept, jumped } = jump(from, to);
      // At s = t, and of tokens that wait or are finished, ψ is D.
      const still = equal(jumped, 0);
      // States keep their place in the distribution: (x − β m)/√variance stays.
      const scale = perState(sqrt(div(spread(to), spread(from))) as Tensor);
      const arrived: Tensor = add(
        perState(mul(to.beta, MEAN)),
        mul(scale, sub(x, perState(mul(from.beta, MEAN)))),
      );
      const safe = { kept, jumped: where(still, 1, jumped) as Tensor };
      return where(perState(still), denoised(x, from), denoisedOf(x, arrived, safe)) as Tensor;
    },
  };
}
