/**
 * The weightings that come with the project, but for the learned one. Consumed by users as `models.weightings`.
 */
import { partsOf } from "./declared-parts.ts";
import {
  add,
  div,
  equal,
  maximum,
  mul,
  onesLike,
  pow,
  square,
  stopGradient,
  sub,
  where,
} from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { jump, wronskian } from "./jump.ts";
import type { Moment, ResidualWeighting, TimeWeighting, WeightOfTime, Weighed } from "./weighting.ts";

/** Every row counts the same: what a flow map says that does not want the weighting of its flow. */
export const none: WeightOfTime = (t) => onesLike(t);

export interface SnrOptions {
  /** The weight grows no further; 5 in the paper. Without it, it may be infinite at the data, which is refused. */
  readonly cap?: number;
}

/**
 * By signal-to-noise: the error of the clean point counts min(SNR, cap) times, SNR = β²/(α²σ²) ("min-SNR", Hang et al. 2023,
 * arXiv:2303.09556). Where something else is predicted, the weight is what says the same of its error: min(1, cap/SNR) for noise of unit variance.
 * @throws RangeError unless the cap is positive; where it is declared, for a source whose coordinates have no one variance
 */
export function snr(options: SnrOptions = {}): TimeWeighting {
  const { cap } = partsOf("A weighting by signal-to-noise", options, ["cap"]);
  if (cap !== undefined && !(cap > 0))
    throw new RangeError(`The signal-to-noise ratio is capped at a positive number, not at ${cap}.`);
  return {
    kind: "time",
    name: cap === undefined ? "signal-to-noise" : `signal-to-noise up to ${cap}`,
    weight({ at, target, predicts, variance }) {
      const { point } = at;
      if (variance === undefined)
        throw new RangeError(
          "A weight by signal-to-noise needs noise of one positive variance in all coordinates, and the source of the flow has none.",
        );
      const signal = square(point.beta);
      const noise: Tensor = mul(square(point.alpha), variance);
      // min(signal/noise, cap) is signal over this, which does not vanish at the data.
      const capped: Tensor = cap === undefined ? noise : maximum(noise, div(signal, cap));
      // Below: that, over the squared rate at which what is predicted moves with the clean point.
      switch (predicts) {
        case "clean token":
        case "clean point":
          return div(signal, capped);
        case "noise":
          return div(square(point.alpha), capped);
        case "velocity":
          return mul(div(signal, capped), overSquaredRate(at, target));
        case "score":
          return div(square(noise), capped);
      }
    },
  };
}

/**
 * One over the squared rate at which a velocity moves with the clean point: (β̇ − βα̇/α)², and of the average velocity of a jump
 * (Ξ/(t − s))². Not the rate itself, which is infinite without noise.
 */
function overSquaredRate({ t, point }: Moment, target: Moment | undefined): Tensor {
  const here: Tensor = div(square(point.alpha), square(wronskian(point)));
  if (target === undefined) return here;
  const still = equal(t, target.t);
  const { jumped } = jump(point, target.point);
  const onWay: Tensor = div(square(sub(target.t, t)), square(where(still, 1, jumped)));
  return where(still, here, onWay) as Tensor;
}

/**
 * Rows of a flow map count as much as the error of the map X: Ξ_{s,t}² = (β_t − β_s α_t/α_s)² times the squared error of ψ; for the linear
 * interpolant ((t − s)/(1 − s))², which the code of FMLM calls rescaling. Of an average velocity X moves by t − s, so (t − s)² times its
 * squared error. Rows with s = t count 1.
 */
export const jumpLength: TimeWeighting = {
  kind: "time",
  name: "length of the jump",
  weight({ at, target, predicts }: Weighed) {
    if (target === undefined) return onesLike(at.t);
    const still = equal(at.point.beta, target.point.beta);
    const moves =
      predicts === "velocity" ? (sub(target.t, at.t) as Tensor) : jump(at.point, target.point).jumped;
    return where(still, 1, square(moves)) as Tensor;
  },
};

export interface ResidualOptions {
  /** r of the weight; 1/2 by default. */
  readonly power?: number;
  /** c of the weight, so that a prediction that is right has one; 1e-6 by default. */
  readonly floor?: number;
  /** c on rows with s = t, which are never quite right; 0.01 by default. */
  readonly diagonal?: number;
}

/**
 * Rows count (‖ψ̂ − target‖² + c)^{−r}, without its gradient, so that large errors do not drown the small ones (Discrete Flow Maps,
 * arXiv:2604.09784). For targets that are what is to be predicted: rows of a flow map that learn from clean tokens, which are draws, keep
 * the weight 1, for this one would pull them from the expectation towards what is most probable.
 * @throws RangeError unless the power is not negative and the floors are positive
 */
export function residual(options: ResidualOptions = {}): ResidualWeighting {
  const {
    power = 0.5,
    floor = 1e-6,
    diagonal = 0.01,
  } = partsOf("A residual weighting", options, ["power", "floor", "diagonal"]);
  if (!(power >= 0))
    throw new RangeError(`The power of a residual weighting is not negative, and not ${power}.`);
  for (const [what, c] of [
    ["floor", floor],
    ["floor on the diagonal", diagonal],
  ] as const)
    if (!(c > 0))
      throw new RangeError(
        `The ${what} of a residual weighting is positive, and not ${c}: without it the weight of an exact prediction is infinite.`,
      );
  return {
    kind: "residual",
    name: "residual",
    weighted(loss, distance, still) {
      const floored: Tensor = where(still, add(distance, diagonal), add(distance, floor)) as Tensor;
      return mul(loss, stopGradient(pow(floored, -power) as Tensor));
    },
  };
}
