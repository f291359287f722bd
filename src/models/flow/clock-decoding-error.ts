/**
 * The decoding-error clock: τ advances at the rate at which tokens become decodable. It depends on the interpolant only through the
 * signal-to-noise ratio β/(α σ), so it exists for every interpolant and every Gaussian source.
 *
 * Consumed by flow(), training and the command line. The function of the ratio is in decoding-error.ts.
 */
import { partsOf } from "./declared-parts.ts";
import { scalarFunction } from "../../dsl/index.ts";
import { clockOf } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { decodingErrorFunction } from "./decoding-error.ts";
import { linear } from "./interpolant.ts";
import type { Interpolant } from "./interpolant.ts";
import { solveIncreasing, TO_ROUNDING } from "./numerics.ts";

/** The decoding-error clock of a vocabulary. */
export interface DecodingErrorClock extends Clock {
  readonly vocab: number;
}

/** The signal-to-noise ratio m of a token, with its rate and its inverse, for t < 1. */
interface Ratio {
  at(t: number): number;
  rate(t: number): number;
  time(m: number): number;
}

const LARGEST_VOCAB = 1_000_000;

/**
 * The decoding-error clock of FLM (arXiv:2602.16813): τ(t) = 1 − V/(V−1) P_e(t), where P_e is the probability that the arg-max of
 * `α noise + β onehot` is not the token. Uniform τ then spends training and sampling where the decisions are made.
 *
 * Exact to about 1e-14 in τ, relative where τ or 1 − τ is small; the inverse is exact, not a table. Equals the diffusion
 * transformation operator of Duo at the same signal-to-noise ratio β/(α σ).
 *
 * @param options.vocab vocabulary size V, a whole number from 2 to 1,000,000
 * @param options.interpolant α and β, by default those of the straight line
 * @param options.scale σ of the Gaussian source, 1 by default
 * @throws RangeError for any other vocabulary size, or a scale that is not positive
 */
export function decodingError(options: {
  readonly vocab: number;
  readonly interpolant?: Interpolant;
  readonly scale?: number;
}): DecodingErrorClock {
  const {
    vocab,
    interpolant = linear,
    scale = 1,
  } = partsOf("The decoding-error clock", options, ["vocab", "interpolant", "scale"]);
  if (!Number.isInteger(vocab) || vocab < 2 || vocab > LARGEST_VOCAB) {
    throw new RangeError(
      `The decoding-error clock needs a vocabulary of 2 to ${LARGEST_VOCAB} tokens, whole, got ${vocab}.`,
    );
  }
  if (!(scale > 0 && Number.isFinite(scale)))
    throw new RangeError(`The decoding-error clock needs a positive scale of the source, got ${scale}.`);
  const error = decodingErrorFunction(vocab);
  const ratio = interpolant === linear ? straight(scale) : general(interpolant, scale);
  // t = 1 gives an infinite ratio, for which the function has its limits.
  const at = (t: number) => error.at(ratio.at(t));
  const clock = clockOf({
    name: "decoding error",
    tau: (t) => at(t).tau,
    remaining: (t) => at(t).rest,
    dTau: (t) => {
      const { slope } = at(t);
      // The Gaussian slope vanishes faster than the ratio's rate grows.
      return slope === 0 ? 0 : slope * ratio.rate(t);
    },
    time: (tau) => {
      const rest = 1 - tau;
      const { low, high, guess } = error.bracket(tau, rest);
      const m = solveIncreasing(
        (x) => {
          const here = error.at(x);
          return { residual: tau < 0.5 ? here.tau - tau : rest - here.rest, slope: here.slope };
        },
        [low, high],
        guess,
      );
      return ratio.time(m);
    },
  });
  return { ...clock, vocab };
}

/** t/((1 − t) σ), of the straight line. */
const straight = (scale: number): Ratio => ({
  at: (t) => t / ((1 - t) * scale),
  rate: (t) => 1 / ((1 - t) ** 2 * scale),
  time: (m) => (m * scale) / (1 + m * scale),
});

/** β/(α σ), of any interpolant. */
function general(interpolant: Interpolant, scale: number): Ratio {
  const alpha = scalarFunction((t) => interpolant.alpha(t));
  const beta = scalarFunction((t) => interpolant.beta(t));
  return {
    at: (t) => beta(t) / (alpha(t) * scale),
    rate: (t) => {
      const noise = alpha(t);
      return (noise * beta.derivative(t) - beta(t) * alpha.derivative(t)) / (noise ** 2 * scale);
    },
    time: (m) => {
      const wanted = m * scale;
      return solveIncreasing(
        // β − m α rises and, other than the ratio, is finite everywhere.
        (t) => ({
          residual: beta(t) - wanted * alpha(t),
          slope: beta.derivative(t) - wanted * alpha.derivative(t),
        }),
        [0, 1],
        wanted / (1 + wanted),
        TO_ROUNDING,
      );
    },
  };
}
