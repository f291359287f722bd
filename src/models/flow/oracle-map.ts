/**
 * The exact flow map of a corpus under any interpolant, as the two-time denoiser that objectives and samplers are written for.
 * Consumed by verify and by tests.
 *
 * A state x = α x₀ + β x₁ divided by α + β is a state of the linear interpolant at time β/(α + β), with the same posterior; and since a
 * two-time denoiser is an average over the ratio β/α, it is the same function too.
 */
import { add, div, log, maximum } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { perState } from "./interpolant.ts";
import type { Interpolant } from "./interpolant.ts";
import type { IntegrationOptions, Oracle } from "./oracle.ts";
import type { Time, TwoTimeDenoiser } from "./two-time.ts";

/** Smallest probability whose logarithm is taken. */
const LEAST = 1e-300;

/** x and t of the linear interpolant that mean the same as (x, t) of another. */
function straightened(
  { alpha, beta }: Interpolant,
  { t }: Time,
): { readonly t: Tensor; readonly size: Tensor } {
  const [noise, data] = [alpha(t), beta(t)];
  const size: Tensor = add(noise, data);
  return { t: div(data, size), size };
}

/** ψ_{s,t} of a corpus, exact but for the integration. */
export function oracleMap(
  oracle: Oracle,
  interpolant: Interpolant,
  options?: IntegrationOptions,
): TwoTimeDenoiser {
  const denoiser = (x: Tensor, s: Time, t: Time): Tensor => {
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
