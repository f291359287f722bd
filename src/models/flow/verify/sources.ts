/**
 * Identities of the source: what is drawn, what is declared of it, and its density belong together. Consumed by identities.ts.
 */
import {
  abs,
  add,
  constant,
  grad,
  maximum,
  mean,
  mul,
  neg,
  reshape,
  slice,
  sqrt,
  square,
  stack,
  sub,
  sum,
  tanh,
  variance,
} from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { centred, momentsOf } from "../source.ts";
import type { Source } from "../source.ts";
import type { Averages, Identity, LeftOut } from "./identity.ts";
import { gap } from "./measure.ts";
import { REGIMES } from "./regimes.ts";
import { LENGTH } from "./world.ts";

const DRAWS = 8192;
/** Coordinates of a state that is drawn here: three where they are not all alike, or depend on each other. */
const dimOf = ({ mean, variance }: Source): number =>
  typeof mean === "number" && typeof variance === "number" ? 2 : 3;

/** Deviations from the mean and their squares, and what is expected of them: for all coordinates together, or for each. */
export function moments(source: Source, x: Tensor): Averages {
  const dim = x.shape.at(-1) ?? 0;
  const rest = centred(x, source.mean);
  if (typeof source.mean === "number" && typeof source.variance === "number")
    return averaged([x, square(rest) as Tensor], [source.mean, source.variance]);
  const coordinates = (values: Tensor): readonly Tensor[] =>
    Array.from({ length: dim }, (_, i) => slice(values, x.shape.length - 1, i, i + 1) as Tensor);
  return averaged(
    [...coordinates(x), ...coordinates(square(rest) as Tensor)],
    [...momentsOf(source.mean, dim), ...momentsOf(source.variance, dim)],
  );
}

/** What {@link moments} averages, in words: `x` for a coordinate's value and `squared` for that of its squared deviation. */
export function momentNames(source: Source, dim: number, x: string, squared: string): readonly string[] {
  if (typeof source.mean === "number" && typeof source.variance === "number") return [x, squared];
  return [x, squared].flatMap((what) => Array.from({ length: dim }, (_, i) => `${what} at coordinate ${i}`));
}

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
  const dim = dimOf(source);
  const states = (draws: number, key: Tensor<[2], "u32">): Tensor => source.sample(key, [draws, LENGTH, dim]);
  const identities: Identity[] = [
    {
      kind: "draws",
      family: "source",
      name: "moments of the source",
      formula: "E[x₀] = mean, E[(x₀ − mean)²] = variance, of each coordinate",
      cause:
        "The declared mean or variance is that of another scale; the variance is the square of the scale.",
      draws: DRAWS,
      of: momentNames(source, dim, "x₀", "(x₀ − mean)²"),
      averages: (key) => moments(source, states(DRAWS, key)),
    },
  ];
  const leftOut: LeftOut[] = [];
  if (scale !== undefined)
    identities.push({
      kind: "numbers",
      family: "source",
      name: "scale of the source",
      formula: "variance = scale²",
      cause: "scale is declared only for N(mean, scale² I): it is the standard deviation, not the variance.",
      tolerance: 1e-9,
      residual: () =>
        Math.max(...momentsOf(source.variance, dim).map((variance) => Math.abs(variance - scale ** 2))),
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
  if (source.support === "simplex") {
    identities.push(onSimplex(states), simplexDensity(score, states));
    return { identities, leftOut };
  }
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
      formula: "∇ log p(x₀) = −(x₀ − mean)/scale²",
      cause:
        "The density is of another scale or centre than the declared one, which scores and posteriors are computed with.",
      times: REGIMES["away from the ends"],
      tolerance: 1e-9,
      single: 1e-4,
      everywhere: false,
      residual: ({ x }) => gap(score(x), mul(centred(x, source.mean), -1 / scale ** 2)),
    });
  return { identities, leftOut };
}

type Draw = (draws: number, key: Tensor<[2], "u32">) => Tensor;

/** That draws are where a simplex source says. */
const onSimplex = (states: Draw): Identity => ({
  kind: "draws",
  family: "source",
  name: "support of the source",
  formula: "x₀ ≥ 0, Σ x₀ = 1 for every token",
  cause:
    "What is drawn is not on the simplex: it is not normalized, or over another axis than that of the tokens.",
  draws: DRAWS,
  of: ["what is below 0", "|Σ x₀ − 1|"],
  averages: (key) => {
    const x = states(DRAWS, key);
    return averaged([maximum(neg(x), 0) as Tensor, abs(sub(sum(x, 2), 1)) as Tensor], [0, 0]);
  },
});

/**
 * Stein's identity along the simplex, where only differences of two partial derivatives mean something. Test functions vanish where a
 * coordinate is 0, near which the slope of the density's logarithm is not bounded.
 */
const simplexDensity = (score: (x: Tensor) => Tensor, states: Draw): Identity => ({
  kind: "draws",
  family: "source",
  name: "density of the source",
  formula: "E[(∂ᵢ − ∂ⱼ) h + h (∂ᵢ − ∂ⱼ) log p(x₀)] = 0 for h = xᵢ² xⱼ and xᵢ² xⱼ² (Stein)",
  cause: "The density is not that of what is drawn: another concentration, or another family.",
  draws: DRAWS,
  of: ["h = xᵢ² xⱼ", "h = xᵢ² xⱼ²"],
  averages: (key) => {
    const x = states(DRAWS, key);
    const slope = score(x);
    const at = (values: Tensor, i: number): Tensor => slice(values, 2, i, i + 1);
    const [a, b] = [at(x, 0), at(x, 1)];
    const along: Tensor = sub(at(slope, 0), at(slope, 1));
    const of = (h: Tensor, rate: Tensor): Tensor => add(rate, mul(h, along));
    const product: Tensor = mul(a, b);
    return averaged(
      [
        of(mul(a, product), sub(mul(product, 2), square(a))),
        of(square(product) as Tensor, mul(mul(product, 2) as Tensor, sub(b, a) as Tensor)),
      ],
      [0, 0],
    );
  },
});
