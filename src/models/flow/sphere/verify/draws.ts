/**
 * Identities of expectations on the sphere: what is drawn has the law that is declared of it. Consumed by looks.ts.
 */
import { add, cast, exp, gather, less, mul, random, slice, square, squeeze, sub } from "../../../../dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../../dsl/index.ts";
import type { DrawnIdentity } from "../../verify/identity.ts";
import { averaged } from "../../verify/sources.ts";
import { LENGTH } from "../../verify/world.ts";
import { uniformNoise } from "../sample.ts";
import type { SphericalFlow } from "../spherical-flow.ts";
import { inner, latestShare, sentenceFor, statesOf, widestShare } from "./world.ts";
import type { SphereWorld } from "./world.ts";

const DRAWS = 4096;
/** Half the distance in time over which the rate of a state is taken. */
const STEP = 1e-3;

type Key = Tensor<[2], "u32">;
const split = <const N extends number>(key: Key, n: N): readonly Key[] =>
  random.split(key, n) as unknown as readonly Key[]; // a tuple of keys, as a list // prettier-ignore

/** Times between, [draws]. */
const timesUpTo = (latest: number, key: Key): Tensor =>
  mul(add(mul(random.uniform(key, [DRAWS]) as Tensor, 0.9), 0.05), latest);

/** Sentences by their weights, [draws, length, dim]. */
function drawnSentences(world: SphereWorld, key: Key): Tensor {
  const pick: Tensor = random.uniform(key, [DRAWS]);
  // The number of cumulative weights below a uniform number is the sentence.
  const bounds = world.weights.slice(0, -1).map((_, i) => world.weights.slice(0, i + 1).reduce((p, q) => p + q)); // prettier-ignore
  const index = bounds.reduce<Tensor>(
    (at, bound) => add(at, cast(less(bound, pick) as Tensor, "i32")) as Tensor,
    cast(mul(pick, 0), "i32"),
  );
  return gather(statesOf(world), index as Tensor<[], "i32">) as Tensor;
}

export function drawnIdentities(flow: SphericalFlow): readonly DrawnIdentity<SphereWorld>[] {
  const { geometry } = flow;
  return [
    {
      kind: "draws",
      family: "source",
      name: "moments of the noise",
      formula: "E[x₀] = 0, E[d x₀²] = 1, E[d (d + 2) x₀⁴/3] = 1, of each coordinate",
      cause:
        "Noise that is not uniform on the sphere: a direction of numbers that are not normal, or not a direction.",
      draws: DRAWS,
      of: ["x₀", "d x₀²", "d (d + 2) x₀⁴/3"],
      averages(key, { dim }) {
        // One coordinate: the squares of all have the sum 1, and would not spread.
        const x = slice(uniformNoise(geometry, key, [DRAWS, LENGTH, dim]), 2, 0, 1) as Tensor;
        const squared = square(x) as Tensor;
        return averaged(
          [x, mul(squared, dim), mul(square(squared) as Tensor, (dim * (dim + 2)) / 3)],
          [0, 1, 1],
        );
      },
    },
    {
      kind: "draws",
      family: "flow",
      name: "density of a state",
      formula: "E[f(x_t) | e] = E[p_t(x | e) f(x)] over uniform x, for f = 1, cos θ, cos² θ",
      cause:
        "The density of a state given its token is not that of what is drawn: its exponent is d − 2, and its scale 1/(1 − κ).",
      draws: DRAWS,
      of: ["p", "cos θ", "cos² θ"],
      averages(key, world) {
        const [a, b, c] = split(key, 3) as readonly [Key, Key, Key];
        const [first, second] = [a, b].map((one) =>
          uniformNoise(geometry, one, [DRAWS, LENGTH, world.dim]),
        ) as [Tensor, Tensor];
        // Late enough to tell exponents apart, and early enough for uniform x to hit the state's part of the sphere.
        const t: Tensor = mul(add(mul(random.uniform(c, [DRAWS]) as Tensor, 0.25), 0.75), widestShare(flow));
        const clean = sentenceFor(world, 0, first);
        const density = exp(flow.logDensity(second, clean, t)) as Tensor;
        const seen = inner(flow.state(first, clean, t), clean);
        const weighed = inner(second, clean);
        return averaged(
          [
            density,
            sub(mul(density, weighed), seen) as Tensor,
            sub(mul(density, square(weighed) as Tensor), square(seen) as Tensor) as Tensor,
          ],
          [1, 0, 0],
        );
      },
    },
    {
      kind: "draws",
      family: "flow",
      name: "drift of what is drawn",
      formula: "E[ẋ_t − b_t(x_t)] = 0, E[⟨ẋ_t − b_t(x_t), g(x_t)⟩] = 0",
      cause:
        "The posterior is computed from a density that is not that of what is drawn, or the velocities are not those of the states.",
      draws: DRAWS,
      of: ["ẋ − b, the first coordinate", "⟨ẋ − b, b⟩", "⟨ẋ − b, e⟩ ⟨x, e⟩"],
      averages(key, world) {
        const [a, b, c] = split(key, 3) as readonly [Key, Key, Key];
        const noise = uniformNoise(geometry, a, [DRAWS, LENGTH, world.dim]);
        const clean = drawnSentences(world, b);
        const t = timesUpTo(latestShare(flow), c);
        // By differences: this is what states do, whatever their velocity is said to be.
        const [before, after] = [-STEP, STEP].map((h) => flow.state(noise, clean, add(t, h))) as [Tensor, Tensor]; // prettier-ignore
        const rate: Tensor = mul(sub(after, before), 1 / (2 * STEP));
        const x = flow.state(noise, clean, t);
        const drift = world.oracle.drift(x, t);
        const rest: Tensor = sub(rate, drift);
        const token = sentenceFor(world, 0, x);
        return averaged(
          [
            squeeze(slice(rest, 2, 0, 1), 2) as Tensor,
            inner(rest, drift),
            mul(inner(rest, token), inner(x, token)),
          ],
          [0, 0, 0],
        );
      },
    },
  ];
}
