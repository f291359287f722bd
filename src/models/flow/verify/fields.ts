/**
 * Identities of a flow's fields: the moments of its states, conversions between quantities, drift, score and noise, against the
 * posterior of a corpus. Consumed by identities.ts.
 */
import {
  add,
  constant,
  div,
  einsum,
  equal,
  expandDims,
  gather,
  grad,
  less,
  logSumExp,
  mul,
  random,
  slice,
  sub,
  sum,
  cast,
  where,
} from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { convert } from "../quantities.ts";
import type { Quantity } from "../quantities.ts";
import type { Flow } from "../flow.ts";
import { perState, pointAt } from "../interpolant.ts";
import { drift } from "../two-time.ts";
import type { Identity, LeftOut, World } from "./identity.ts";
import { gap, worst } from "./measure.ts";
import { REGIMES } from "./regimes.ts";
import { momentNames, moments, averaged } from "./sources.ts";
import { hasPosterior, LENGTH } from "./world.ts";

const DRAWS = 4096;
/** Coordinates of a state where sentences play no part. */
const DIM = 2;
/** Half the distance in time over which the rate of a state is taken. */
const STEP = 1e-3;

/** States of the sequences, [sequences, length, dim]. */
const statesOf = ({ states, dim }: World): Tensor => constant(states.flat(2), [states.length, LENGTH, dim]);

/** Draws of x₀, x₁ and t: what the variant trains on. */
function drawn(
  { source }: Flow,
  world: World,
  latest: number,
  key: Tensor<[2], "u32">,
): { readonly noise: Tensor; readonly clean: Tensor; readonly t: Tensor } {
  const [a, b, c] = random.split(key, 3) as readonly Tensor<[2], "u32">[] as [
    Tensor<[2], "u32">,
    Tensor<[2], "u32">,
    Tensor<[2], "u32">,
  ];
  const pick: Tensor = random.uniform(b, [DRAWS]);
  // The number of cumulative weights below a uniform number is the sequence.
  const bounds = world.weights
    .slice(0, -1)
    .map((_, i) => world.weights.slice(0, i + 1).reduce((p, q) => p + q));
  const index = bounds.reduce<Tensor>(
    (at, bound) => add(at, cast(less(bound, pick) as Tensor, "i32")) as Tensor,
    cast(mul(pick, 0), "i32"),
  );
  return {
    noise: source.sample(a, [DRAWS, LENGTH, world.dim]),
    clean: gather(statesOf(world), index as never), // i32 by the cast
    t: mul(add(mul(random.uniform(c, [DRAWS]) as Tensor, 0.9), 0.05), latest),
  };
}

/** E[x₀ | I_t = x], from the posterior over sequences alone: Σ_k w_k (x − β c_k)/α. */
function expectedNoise(world: World, x: Tensor, t: Tensor): Tensor {
  const { alpha, beta } = pointAt(world.interpolant, t);
  const weights = world.oracle.posterior(x, alpha, beta);
  const each: Tensor = sub(
    expandDims(x, 1),
    mul(expandDims(perState(beta), 1) as Tensor, expandDims(statesOf(world), 0)),
  );
  // A token that is finished has no noise left, and says nothing of what it was.
  const finished = equal(alpha, 0);
  const found: Tensor = div(
    einsum("b k, b k l d -> b l d", weights, each),
    perState(where(finished, 1, alpha) as Tensor),
  );
  return where(perState(finished as never), 0, found) as Tensor;
}

/** E[x₁ | I_t = x]. */
function expectedClean(world: World, x: Tensor, t: Tensor): Tensor {
  const { alpha, beta } = pointAt(world.interpolant, t);
  return world.oracle.point(world.oracle.denoiserAt(x, alpha, beta));
}

export function fieldIdentities(
  flow: Flow,
  latest: number,
): { readonly identities: readonly Identity[]; readonly leftOut: readonly LeftOut[] } {
  const { source, interpolant } = flow;
  const { scale, logDensity } = source;
  const quantities: readonly Quantity[] = [
    "clean point",
    "noise",
    "velocity",
    ...(scale === undefined ? [] : (["score"] as const)),
  ];
  const known: Identity[] = [
    {
      kind: "states",
      family: "flow",
      name: "drift",
      formula: "b_t(x) = (α̇/α) x + (β̇ − βα̇/α) D_t(x) = E[α̇ x₀ + β̇ x₁ | I_t = x]",
      cause: "Rates of α and β that do not belong to them.",
      times: REGIMES["away from the ends"],
      tolerance: 1e-8,
      single: 1e-3,
      everywhere: true,
      residual({ x, s }, world) {
        const point = pointAt(interpolant, s.t);
        const clean = expectedClean(world, x, s.t);
        const expected = add(
          mul(perState(point.alphaRate), expectedNoise(world, x, s.t)) as Tensor,
          mul(perState(point.betaRate), clean) as Tensor,
        ) as Tensor;
        return gap(drift(interpolant, x, clean, s), expected);
      },
    },
    {
      kind: "draws",
      family: "flow",
      name: "drift of what is drawn",
      formula: "E[İ_t − b_t(I_t)] = 0, E[⟨İ_t − b_t(I_t), I_t⟩] = 0",
      cause:
        "Rates of α and β that do not belong to them; or the posterior is computed from a density that is not that of the noise which is drawn, so the flow does not carry one to the other.",
      draws: DRAWS,
      of: ["İ − b, the first coordinate", "(İ − b)·I"],
      averages(key, world) {
        const { noise, clean, t } = drawn(flow, world, latest, key);
        const x = flow.state(noise, clean, t);
        // By differences: this is what states do, whatever their rates are said to be.
        const [before, after] = [-STEP, STEP].map((h) => flow.state(noise, clean, add(t, h))) as [
          Tensor,
          Tensor,
        ]; // two
        const rate: Tensor = mul(sub(after, before), 1 / (2 * STEP));
        const b = drift(interpolant, x, expectedClean(world, x, t), { t, tau: t, rate: t });
        const rest: Tensor = sub(rate, b);
        // Over all coordinates of one-hot rows the rest sums to 0 by itself: each must be seen alone.
        const first: Tensor = slice(rest, 2, 0, 1);
        return averaged([first, mul(rest, x) as Tensor], [0, 0]);
      },
    },
    {
      kind: "states",
      family: "flow",
      name: "noise",
      formula: "E[x₀ | I_t = x] = (x − β D_t(x))/α",
      cause: "A conversion between clean point and noise that does not follow from I = α x₀ + β x₁.",
      times: REGIMES["away from the ends"],
      tolerance: 1e-8,
      single: 1e-3,
      everywhere: true,
      residual: ({ x, s }, world) =>
        gap(
          flow.convert(expectedClean(world, x, s.t), "clean point", "noise", x, s.t),
          expectedNoise(world, x, s.t),
        ),
    },
  ];
  const leftOut: LeftOut[] = [];
  if (scale === undefined)
    leftOut.push({
      family: "flow",
      name: "score",
      reason: `the score follows from the noise for Gaussian sources only, and the source is ${source.name}`,
    });
  else if (logDensity !== undefined)
    known.push({
      kind: "states",
      family: "flow",
      name: "score",
      formula: "−(E[x₀ | I_t = x] − mean)/(α σ²) = ∇ log p_t(x)",
      cause: "σ of the score is not that of the density: it is the source's scale.",
      times: REGIMES["away from the ends"],
      tolerance: 1e-8,
      single: 1e-3,
      everywhere: true,
      residual({ x, s }, world) {
        const { alpha, beta } = pointAt(interpolant, s.t);
        const logMarginal = (at: Tensor): Tensor => {
          const noise: Tensor = div(
            sub(
              expandDims(at, 1),
              mul(expandDims(perState(beta), 1) as Tensor, expandDims(statesOf(world), 0)),
            ) as Tensor,
            expandDims(perState(alpha), 1),
          );
          const weights: Tensor = constant(world.weights.map(Math.log), [world.weights.length]);
          return sum(logSumExp(add(logDensity(noise), weights) as Tensor, 1)) as Tensor;
        };
        const found = flow.convert(expectedClean(world, x, s.t), "clean point", "score", x, s.t);
        return gap(found, grad(logMarginal)(x));
      },
    });
  const all: readonly Identity[] = [
    {
      kind: "draws",
      family: "flow",
      name: "moments of the interpolant",
      formula: "E[I_t | x₁] = α·mean + β x₁, Var[I_t | x₁] = α²·variance",
      cause: "The source's declared mean or variance is not that of what is drawn.",
      draws: DRAWS,
      of: momentNames(source, DIM, "(I − β x₁)/α", "((I − β x₁)/α − mean)²"),
      averages(key) {
        // Sentences play no part here, so one-hot rows of no world in particular will do.
        const [a, b] = random.split(key, 2) as unknown as readonly [Tensor<[2], "u32">, Tensor<[2], "u32">]; // two keys
        const t: Tensor = mul(add(mul(random.uniform(b, [DRAWS]) as Tensor, 0.9), 0.05), latest);
        const noise = source.sample(a, [DRAWS, LENGTH, DIM]);
        const clean: Tensor = add(mul(noise, 0), 1);
        const { alpha, beta } = pointAt(interpolant, t);
        const noisy: Tensor = sub(flow.state(noise, clean, t), perState(beta));
        const finished = equal(alpha, 0);
        const rest: Tensor = div(noisy, perState(where(finished, 1, alpha) as Tensor));
        // A token that is finished has no noise left; it counts as it was drawn.
        return moments(source, where(perState(finished as never), noise, rest) as Tensor);
      },
    },
    {
      kind: "states",
      family: "flow",
      name: "conversions",
      formula: `q → q′ → q is q, for q and q′ among ${quantities.join(", ")}`,
      cause:
        "Rates of α and β that do not belong to them, so that state and velocity do not determine the ends.",
      times: REGIMES["away from the ends"],
      tolerance: 1e-8,
      single: 1e-2,
      everywhere: false,
      residual({ x, free, s }) {
        const point = pointAt(interpolant, s.t);
        const there = (value: Tensor, from: Quantity, to: Quantity): Tensor =>
          convert(value, from, to, x, point, scale, source.mean);
        return worst(
          ...quantities.flatMap((from) =>
            quantities
              .filter((to) => to !== from)
              .map((to) => gap(there(there(free, from, to), to, from), free)),
          ),
        );
      },
    },
    ...(hasPosterior(source) ? known : []),
  ];
  if (interpolant.length === undefined) return { identities: all, leftOut };
  // Of tokens with times of their own one may stand still, and then only its clean point follows from a state.
  return {
    identities: all.filter(({ name }) => !MOVING.has(name)),
    leftOut: [
      ...leftOut,
      ...all
        .filter(({ name }) => MOVING.has(name))
        .map(({ family, name }) => ({
          family,
          name,
          reason: `the interpolant "${interpolant.name}" lets tokens stand still, and of one that does neither noise nor velocity follows from its clean point`,
        })),
    ],
  };
}

/** Identities of quantities that only a token that moves has. */
const MOVING = new Set(["conversions", "noise", "score"]);
