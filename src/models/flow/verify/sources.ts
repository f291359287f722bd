/**
 * Identities of the source: what is drawn, what is declared of it, and its density belong together. Consumed by identities.ts.
 */
import {
  add,
  constant,
  expandDims,
  grad,
  mean,
  mul,
  reshape,
  sqrt,
  square,
  stack,
  sub,
  sum,
  tanh,
  variance,
} from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import type { Source } from "../source.ts";
import type { Averages, Identity, LeftOut } from "./identity.ts";
import { gap } from "./measure.ts";
import { REGIMES } from "./regimes.ts";
import { LENGTH } from "./world.ts";

const DRAWS = 8192;
/** Coordinates of a state that is drawn here. */
const DIM = 2;

/**
 * Averages of what is averaged, each [draws, ...]. The coordinates of one draw may depend on each other, so their mean is one summand.
 */
export function averaged(of: readonly Tensor[], expected: readonly number[]): Averages {
  const summands: Tensor = stack(
    of.map((x) => mean(reshape(x, [x.shape[0] ?? 1, -1]), 1) as Tensor),
    1,
  );
  return {
    found: mean(summands, [0]),
    deviation: sqrt(variance(summands, [0]) as Tensor),
    expected: constant(expected, [expected.length]),
  };
}

export function sourceIdentities(source: Source): {
  readonly identities: readonly Identity[];
  readonly leftOut: readonly LeftOut[];
} {
  const { logDensity, scale } = source;
  const states = (draws: number, key: Tensor<[2], "u32">): Tensor => source.sample(key, [draws, LENGTH, DIM]);
  const identities: Identity[] = [
    {
      kind: "draws",
      family: "source",
      name: "moments of the source",
      formula: "E[x₀] = mean, E[(x₀ − mean)²] = variance, of each coordinate",
      cause:
        "The declared mean or variance is that of another scale; the variance is the square of the scale.",
      draws: DRAWS,
      of: ["x₀", "(x₀ − mean)²"],
      averages: (key) => {
        const x = states(DRAWS, key);
        return averaged([x, square(sub(x, source.mean)) as Tensor], [source.mean, source.variance]);
      },
    },
  ];
  const leftOut: LeftOut[] = [];
  if (scale !== undefined)
    identities.push({
      kind: "numbers",
      family: "source",
      name: "scale of the source",
      formula: "variance = scale², mean = 0",
      cause: "scale is declared only for N(0, scale² I): it is the standard deviation, not the variance.",
      tolerance: 1e-9,
      residual: () => Math.max(Math.abs(source.variance - scale ** 2), Math.abs(source.mean)),
    });
  if (logDensity === undefined) {
    leftOut.push({
      family: "source",
      name: "density of the source",
      reason: `the source "${source.name}" declares no density`,
    });
    return { identities, leftOut };
  }
  const score = (x: Tensor): Tensor => grad((at: Tensor) => sum(logDensity(at)) as Tensor)(x);
  identities.push({
    kind: "draws",
    family: "source",
    name: "density of the source",
    formula: "E[h′(x₀) + h(x₀) ∂ log p(x₀)] = 0 for h = 1, x, tanh x (Stein)",
    cause: "The density is not that of what is drawn: another scale, another centre, or another family.",
    draws: DRAWS,
    of: ["∂ log p(x₀)", "1 + x₀ ∂ log p(x₀)", "tanh′(x₀) + tanh(x₀) ∂ log p(x₀)"],
    averages: (key) => {
      const x = states(DRAWS, key);
      const slope = score(x);
      const bent = tanh(x) as Tensor;
      return averaged(
        [
          slope,
          add(mul(x, slope) as Tensor, 1) as Tensor,
          add(sub(1, square(bent)) as Tensor, mul(bent, slope) as Tensor) as Tensor,
        ],
        [0, 0, 0],
      );
    },
  });
  if (scale !== undefined)
    identities.push({
      kind: "states",
      family: "source",
      name: "Gaussian density",
      formula: "∇ log p(x₀) = −x₀/scale²",
      cause:
        "The density is of another scale than the declared one, which scores and posteriors are computed with.",
      times: REGIMES["away from the ends"],
      tolerance: 1e-9,
      single: 1e-4,
      everywhere: false,
      residual: ({ x }) => gap(score(x), mul(x, -1 / scale ** 2)),
    });
  return { identities, leftOut };
}

/** A number per draw, [draws], as [draws, 1, 1]. */
export const perDraw = (x: Tensor): Tensor => expandDims(expandDims(x, 1), 2);
