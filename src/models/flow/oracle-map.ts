/**
 * The exact flow map of a corpus under any interpolant, as the two-time denoiser that objectives and samplers are written for.
 * Consumed by verify and by tests.
 *
 * With one time per row, a state x = α x₀ + β x₁ divided by α + β is a state of the linear interpolant at time β/(α + β), with the same posterior; and since a
 * two-time denoiser is an average over the ratio β/α, it is the same function too. With times per token the ratios of tokens have no common clock, and the
 * flow itself is followed.
 */
import { add, div, iota, log, maximum, mul, scan, sub } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { perState, pointAt } from "./interpolant.ts";
import type { Interpolant } from "./interpolant.ts";
import { jump, moved, semigroupWeights } from "./jump.ts";
import type { IntegrationOptions, Oracle } from "./oracle.ts";
import type { Time, TwoTimeDenoiser } from "./two-time.ts";

/** Smallest probability whose logarithm is taken; also a number in single precision. */
const LEAST = 1e-30;

/** x and t of the linear interpolant that mean the same as (x, t) of another. */
function straightened(
  { alpha, beta }: Interpolant,
  { t }: Time,
): { readonly t: Tensor; readonly size: Tensor } {
  const [noise, data] = [alpha(t), beta(t)];
  const size: Tensor = add(noise, data);
  return { t: div(data, size), size };
}

/**
 * ψ_{s,t} where tokens have times of their own: midpoint steps that are exact but for the change of the denoiser within a step, and ψ as the
 * average of the denoisers on the way, by the semigroup's weights. A token that does not move has its denoiser for ψ.
 */
function followed(
  oracle: Oracle,
  interpolant: Interpolant,
  { steps = 256 }: IntegrationOptions = {},
): TwoTimeDenoiser["denoiser"] {
  return (start, { t: s }, { t }) => {
    const span: Tensor = sub(t, s);
    const from = pointAt(interpolant, s);
    const at = (fraction: Tensor) => pointAt(interpolant, add(s, mul(span, fraction)));
    const [[, psi]] = scan(
      ([x, average]: readonly [Tensor, Tensor], fraction: Tensor) => {
        const [here, halfway] = [at(fraction), at(add(fraction, 0.5 / steps))];
        const there = at(add(fraction, 1 / steps));
        const first = oracle.point(oracle.denoiserAt(x, here.alpha, here.beta));
        const middle = moved(x, first, jump(here, halfway));
        const denoised = oracle.denoiserAt(middle, halfway.alpha, halfway.beta);
        const share = semigroupWeights(from, here, there);
        const arrived = moved(x, oracle.point(denoised), jump(here, there));
        return [
          [arrived, moved(average, denoised, { kept: share.first, jumped: share.second })] as const,
          null,
        ];
      },
      [start, oracle.denoiserAt(start, from.alpha, from.beta)] as readonly [Tensor, Tensor],
      div(iota([steps], "f32"), steps) as Tensor,
    );
    return psi;
  };
}

/** ψ_{s,t} of a corpus, exact but for the integration. */
export function oracleMap(
  oracle: Oracle,
  interpolant: Interpolant,
  options?: IntegrationOptions,
): TwoTimeDenoiser {
  const perToken = followed(oracle, interpolant, options);
  const denoiser = (x: Tensor, s: Time, t: Time): Tensor => {
    if (interpolant.length !== undefined) return perToken(x, s, t);
    const [from, to] = [straightened(interpolant, s), straightened(interpolant, t)];
    return oracle.twoTimeDenoiser(div(x, perState(from.size)), from.t, to.t, options);
  };
  return {
    interpolant,
    denoiser,
    point: (value) => oracle.point(value),
    logits: (x, s, t) => log(maximum(denoiser(x, s, t), LEAST)),
  };
}
