/**
 * Noise on the simplex: points whose coordinates are not negative and sum to 1, so that a state on its way to a one-hot row is a
 * distribution over tokens at all times (for interpolants with α + β = 1). Consumed as `models.sources.dirichlet`.
 */
import { partsOf } from "./declared-parts.ts";
import { div, log, maximum, mul, random, sum } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { overState } from "./source.ts";
import type { Source } from "./source.ts";

/** What stands for coordinates that are 0 or less, where there is no noise; also a number in single precision. */
const LEAST = 1e-30;

/**
 * The symmetric Dirichlet distribution of concentration k for each token, as normalized sums of k exponentials. Concentration 1 is the uniform
 * distribution on the simplex, without a smooth density. From 2 on the density Π x_i^(k − 1) vanishes at the edges, and the
 * posterior of a corpus is known; the larger k, the nearer is noise to the middle of the simplex, and from 3 on the flow has derivatives everywhere.
 * @throws RangeError unless the concentration is a whole number >= 1
 */
export function dirichlet(options: { readonly concentration?: number } = {}): Source {
  const { concentration = 1 } = partsOf("A Dirichlet source", options, ["concentration"]);
  if (!Number.isSafeInteger(concentration) || concentration < 1)
    throw new RangeError(
      `A Dirichlet source is drawn by sums of exponentials, so its concentration is a whole number >= 1, got ${concentration}.`,
    );
  return {
    name: `Dirichlet of concentration ${concentration}`,
    sample(key, shape) {
      const parts: Tensor = sum(random.exponential(key, [concentration, ...shape]) as Tensor, 0);
      return div(parts, sum(parts, [shape.length - 1], { keepDims: true }) as Tensor);
    },
    ...(concentration === 1
      ? {}
      : {
          logDensity: (noise: Tensor) =>
            mul(overState(log(maximum(noise, LEAST) as Tensor) as Tensor), concentration - 1),
        }),
    mean: (_, dim) => 1 / dim,
    variance: (_, dim) => (dim - 1) / (dim ** 2 * (concentration * dim + 1)),
    support: "simplex",
    ...(concentration === 2 ? { kinks: true } : {}),
  };
}
