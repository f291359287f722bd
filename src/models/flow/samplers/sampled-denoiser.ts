/**
 * The denoiser that is sampled from: of two times, so that one sampler serves flows and flow maps, exact ones and networks. What changes
 * a denoiser (guidance.ts, posterior.ts, reward.ts) takes one and returns one.
 */
import { argmax } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import type { Interpolant } from "../interpolant.ts";
import type { OneTimeDenoiser, Time, TwoTimeDenoiser } from "../two-time.ts";

export interface SampledDenoiser extends TwoTimeDenoiser {
  /** The tokens [batch, length] i32 of ψ_{s,t}(x); without it the places of its largest values. */
  tokens?(x: Tensor, s: Time, t: Time): Tensor;
}

/** A denoiser of one time as one of two: D_s(x), wherever the jump goes. */
export const held = (
  { denoiser, logits, point }: OneTimeDenoiser & Pick<TwoTimeDenoiser, "point">,
  interpolant: Interpolant,
): TwoTimeDenoiser => ({
  interpolant,
  point: (value) => point(value),
  denoiser: (x, s) => denoiser(x, s),
  ...(logits === undefined ? {} : { logits: (x: Tensor, s: Time) => logits(x, s) }),
});

/**
 * The logits of a denoiser.
 * @param what the thing that needs them, to begin the sentence with
 * @throws TypeError when its values are no distributions over tokens
 */
export function logitsNeeded(
  what: string,
  { logits }: TwoTimeDenoiser,
): NonNullable<TwoTimeDenoiser["logits"]> {
  if (logits === undefined)
    throw new TypeError(
      `${what} needs a distribution over tokens, and this denoiser gives points: take a flow that predicts "clean token", ` +
        `and guide it in logits or not before.`,
    );
  return logits;
}

/** The tokens [batch, length] i32 of a denoiser's value at (x, s, t). */
export const tokensOf = (denoiser: SampledDenoiser, value: Tensor, x: Tensor, s: Time, t: Time): Tensor =>
  denoiser.tokens?.(x, s, t) ?? argmax(value, 2);
