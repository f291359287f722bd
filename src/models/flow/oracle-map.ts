/**
 * The exact flow map of a corpus under any interpolant, as the two-time denoiser that objectives and samplers are written for.
 * Consumed by verify and by tests.
 *
 * With one time per row, a state x = α x₀ + β x₁ divided by α + β is a state of the linear interpolant at time β/(α + β), with the same posterior; and since a
 * two-time denoiser is an average over the ratio β/α, it is the same function too. With times per token the ratios of tokens have no common clock, and the
 * flow itself is followed.
 */
import { add, div, iota, log, maximum, minimum, mul, scan, softmax, sub } from "../../dsl/index.ts";
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

export interface OracleMapOptions extends IntegrationOptions {
  /**
   * Times at which tokens begin or end to move, where they have times of their own: no step passes one, and there are `steps` from each to
   * the next. None by default; then derivatives in time are less exact, of the order of a step.
   */
  readonly breaks?: readonly number[];
}

/**
 * ψ_{s,t} where tokens have times of their own, from two resolutions, whose errors are as 4 to 1: extrapolated in logarithms, so that what
 * comes out is again a distribution.
 */
function followed(
  oracle: Oracle,
  interpolant: Interpolant,
  { steps = 256, ...options }: OracleMapOptions = {},
): TwoTimeDenoiser["denoiser"] {
  const [coarse, fine] = [Math.ceil(steps / 2), steps].map((count) => {
    const average = stepped(oracle, interpolant, { ...options, steps: count });
    return (...inputs: Parameters<typeof average>): Tensor => log(maximum(average(...inputs), LEAST));
  }) as [TwoTimeDenoiser["denoiser"], TwoTimeDenoiser["denoiser"]]; // two
  return (x, s, t) => softmax(div(sub(mul(fine(x, s, t), 4), coarse(x, s, t)), 3));
}

/**
 * Midpoint steps that are exact but for the change of the denoiser within a step, and ψ as the average of the denoisers on the way, by the
 * semigroup's weights. A token that does not move has its denoiser for ψ.
 */
function stepped(
  oracle: Oracle,
  interpolant: Interpolant,
  { steps = 256, breaks = [] }: OracleMapOptions,
): TwoTimeDenoiser["denoiser"] {
  const pieces = [...breaks].filter((at) => at > 0 && at < 1).toSorted((a, b) => a - b);
  return (start, { t: s }, { t }) => {
    const from = pointAt(interpolant, s);
    const within = (time: number): Tensor => minimum(maximum(s, time), t);
    const ends: readonly Tensor[] = [s, ...pieces.map(within), t];
    /** From the state at the beginning of piece i, and ψ from s to there. */
    const passed = ([now, before]: readonly [Tensor, Tensor], i: number): readonly [Tensor, Tensor] => {
      const [begin, end] = [ends[i], ends[i + 1]] as [Tensor, Tensor]; // a piece has two ends
      const span: Tensor = sub(end, begin);
      const at = (fraction: Tensor) => pointAt(interpolant, add(begin, mul(span, fraction)));
      const [last] = scan(
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
        [now, before] as readonly [Tensor, Tensor],
        div(iota([steps], "f32"), steps) as Tensor,
      );
      return last;
    };
    const first: readonly [Tensor, Tensor] = [start, oracle.denoiserAt(start, from.alpha, from.beta)];
    return ends.slice(1).reduce((reached, _, i) => passed(reached, i), first)[1];
  };
}

/** ψ_{s,t} of a corpus, exact but for the integration. */
export function oracleMap(
  oracle: Oracle,
  interpolant: Interpolant,
  options?: OracleMapOptions,
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
