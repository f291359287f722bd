/**
 * The log-SNR clock: even in τ is a logistic distribution in the logarithm of the signal-to-noise ratio. With VP noise, α² = sigmoid(−γ),
 * it is time as LangFlow (arXiv:2604.11748) and Duo see it.
 *
 * Consumed by flow() and by users.
 */
import { partsOf } from "./declared-parts.ts";
import { scalarFunction } from "../../dsl/index.ts";
import { clockOf } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { linear } from "./interpolant.ts";
import type { Interpolant } from "./interpolant.ts";

/** Rates beyond it are taken for infinite. */
const LARGEST_RATE = 1e6;
/** The largest time below 1: where a rate is looked at whose factors have no value at 1 itself. */
const LAST = 1 - 2 ** -53;

/**
 * τ = S((log SNR − c)/w) with the logistic function S and log SNR = 2 log(β/(α σ)). The two ends say where it runs: log SNR passes
 * `from` when τ is 1/(1 + e²) = 0.12, and `to` when τ = 0.88, so c is half-way between them and w a quarter of their distance; before and
 * beyond, S goes on to 0 and 1. By default w = 1 and c = 0: τ = β²/(α² + β²), which is sin²(πt/2) for the trigonometric interpolant,
 * and t² for the variance-preserving one.
 *
 * @param options.interpolant by default the straight line
 * @param options.scale σ of the Gaussian source, 1 by default
 * @param options.from log SNR at τ = 0.12, −2 by default
 * @param options.to log SNR at τ = 0.88, 2 by default
 * @throws RangeError unless from < to and σ > 0, where the ends are so far apart that the rate dτ/dt is infinite at t = 0 or t = 1, and
 * where α is rounded to 0 before t = 1
 */
export function logSnrClock(
  options: {
    readonly interpolant?: Interpolant;
    readonly scale?: number;
    readonly from?: number;
    readonly to?: number;
  } = {},
): Clock {
  const {
    interpolant = linear,
    scale = 1,
    from = -2,
    to = 2,
  } = partsOf("The log-SNR clock", options, ["interpolant", "scale", "from", "to"]);
  if (!(from < to && Number.isFinite(to - from)))
    throw new RangeError(`The log-SNR clock runs from a lower ratio to a higher one, got ${from} to ${to}.`);
  if (!(scale > 0 && Number.isFinite(scale)))
    throw new RangeError(`The log-SNR clock needs a positive scale of the source, got ${scale}.`);
  const alpha = scalarFunction((t) => interpolant.alpha(t));
  const beta = scalarFunction((t) => interpolant.beta(t));
  // S((2 log m − c)/w) = βᵏ/(βᵏ + (e^{c/2} σ α)ᵏ) with k = 2/w: no logarithm, so both ends have values.
  const power = 8 / (to - from);
  const factor = scale * Math.exp((from + to) / 4);
  const parts = (t: number) => {
    const [signal, noise] = [beta(t), factor * alpha(t)];
    return { signal, noise, data: signal ** power, lost: noise ** power };
  };
  const rateAt = (t: number): number => {
    const { signal, noise, data, lost } = parts(t);
    // Of β/α, times α²; then the powers, of which each is finite where the other vanishes.
    const rising = noise * beta.derivative(t) - signal * factor * alpha.derivative(t);
    return (power * rising * signal ** (power - 1) * noise ** (power - 1)) / (data + lost) ** 2;
  };
  const dTau = (t: number): number => {
    const rate = rateAt(t);
    return Number.isFinite(rate) ? rate : rateAt(LAST);
  };
  // The smallest and the largest time that are not the ends, for 0 ** negative is infinite only at the end itself.
  for (const [end, t] of [
    [0, 0],
    [1, LAST],
  ] as const) {
    const rate = rateAt(t);
    if (Number.isNaN(rate) && end === 1 && alpha(t) === 0)
      throw new RangeError(
        `The log-SNR clock of the ${interpolant.name} interpolant has no rate dτ/dt at t = 1, for its α is 0 before, and no ends mend that. ` +
          "Where α is √(1 − β²), β is rounded to 1 first: write α so that it is 0 at t = 1 alone, or take another clock.",
      );
    if (!(rate <= LARGEST_RATE))
      throw new RangeError(
        `The log-SNR clock of the ${interpolant.name} interpolant has an infinite rate dτ/dt at t = ${end}: ` +
          `bring ${from} and ${to} closer together.`,
      );
  }
  return clockOf({
    name: "log SNR",
    tau: (t) => {
      const { data, lost } = parts(t);
      return data / (data + lost);
    },
    remaining: (t) => {
      const { data, lost } = parts(t);
      return lost / (data + lost);
    },
    dTau,
  });
}
