/**
 * The exact denoiser of a corpus under any interpolant, as the one-time denoiser that samplers and objectives are written for: the
 * posterior itself, without the integration that the exact map (oracle-map.ts) needs. Consumed by tests, examples and documents.
 */
import { log, maximum } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import type { Interpolant } from "./interpolant.ts";
import type { Oracle } from "./oracle.ts";
import type { OneTimeDenoiser, Time, TwoTimeDenoiser } from "./two-time.ts";

/** Smallest probability whose logarithm is taken: a normal number in f32. */
const LEAST = 1e-37;

/** D_t of a corpus. */
export function oracleDenoiser(
  oracle: Oracle,
  interpolant: Interpolant,
): OneTimeDenoiser & Pick<TwoTimeDenoiser, "point"> {
  const denoiser = (x: Tensor, { t }: Time): Tensor =>
    oracle.denoiserAt(x, interpolant.alpha(t), interpolant.beta(t));
  return {
    denoiser,
    point: (value) => oracle.point(value),
    logits: (x, t) => log(maximum(denoiser(x, t), LEAST)),
  };
}
