/**
 * Ancestral sampling of discrete diffusions: from the process's prior, step by step, x_s ~ q(x_s | x_t, x_θ). All steps are one `scan`.
 *
 * Draws are by the maximum of log-probabilities and Gumbel noise. The published baselines do it in float64, because Gumbel noise of
 * 24-bit uniforms in float32 is cut at 16.6 and makes samples as if from a cooler model (Zheng et al. 2024, arXiv:2409.02908). Here
 * `random.gumbel` is exact to 2⁻³³ in its upper tail on every device, so a token is drawn with its probability but for the rounding of
 * f32: to about 1e-6 of it, plus 2⁻³³ in all. On the interpreter everything is in doubles.
 *
 * Consumed by evaluation of baselines and by tests.
 */
import { add, argmax, broadcastTo, constant, random, scalarFunction, scan, slice, squeeze } from "../../../dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../dsl/index.ts";
import { foldedKeys, perKey } from "../../flow/samplers/world.ts";
import { finiteLog } from "./process.ts";
import type { TokenProcess } from "./process.ts";
import type { NoiseSchedule } from "./schedule.ts";

/** The distribution of the clean token, [batch, length, vocab], given tokens [batch, length] i32 at times and levels [batch]. */
export type TokenDenoiser = (noised: Tensor, at: { readonly t: Tensor; readonly alpha: Tensor }) => Tensor;

export interface AncestralOptions {
  readonly process: TokenProcess;
  readonly schedule: NoiseSchedule;
  readonly steps: number;
  readonly length: number;
  /** "draw" by default; "most probable" takes the largest entries in the last step (Duo's greedy tail, which lowers the entropy). */
  readonly last?: "draw" | "most probable";
}

/** Tokens [batch, length] drawn from distributions [batch, length, vocab], with a key for every row, [batch, 2] u32. */
export const drawnTokens = (keys: Tensor, probabilities: Tensor): Tensor =>
  argmax(
    add(
      finiteLog(probabilities),
      perKey((key) => random.gumbel(key, probabilities.shape.slice(1)), keys),
    ),
    2,
  );

/**
 * Texts [batch, length] i32, one for every key of [batch, 2] u32: sample i is a function of its key alone. Times are even from 1; the last
 * step goes to α = 1, where no noise is left.
 * @throws RangeError unless `steps` is a whole number >= 1
 */
export function ancestralSamples(
  denoiser: TokenDenoiser,
  { process, schedule, steps, length, last = "draw" }: AncestralOptions,
  keys: Tensor,
): Tensor {
  if (!(Number.isInteger(steps) && steps >= 1))
    throw new RangeError(`A sampler takes a whole number of steps >= 1, got ${steps}.`);
  const batch = keys.shape[0] ?? 0;
  const alpha = scalarFunction((t) => schedule.alpha(t));
  const times = Array.from({ length: steps }, (_, i) => 1 - i / steps);
  const levels = times.map(alpha);
  const column = (values: readonly number[]): Tensor => constant(values, [steps]);
  const everyRow = (x: Tensor): Tensor => broadcastTo(x, [batch]);
  const start = perKey((key) => process.prior(key, [length]), foldedKeys(keys, 0));
  const [noised, laws] = scan(
    (tokens: Tensor, row: { readonly [K in "t" | "alphaT" | "alphaS" | "draw"]: Tensor }) => {
      const alphaT = everyRow(row.alphaT);
      const clean = denoiser(tokens, { t: everyRow(row.t), alpha: alphaT });
      const step = { clean, noised: tokens, alphaT, alphaS: everyRow(row.alphaS) };
      const law = process.posterior(step);
      const next = drawnTokens(foldedKeys(keys, row.draw as Tensor<[], "i32">), law);
      return [next, last === "draw" ? next : argmax(law, 2)] as const;
    },
    start,
    {
      t: column(times),
      alphaT: column(levels),
      alphaS: column([...levels.slice(1), 1]),
      draw: constant(
        times.map((_, i) => i + 1),
        [steps],
        "i32",
      ),
    },
  );
  return last === "draw" ? noised : squeeze(slice(laws, 0, steps - 1, steps), 0);
}
