/**
 * Worlds in which identities of flows on the sphere are looked at: three sentences of two tokens with unit vectors without a pattern,
 * and with orthogonal ones; and what a case means there. Cases are drawn as noise alone, whose direction is the point of the sphere
 * that a great circle begins at; it ends at the sentence for whose index the first of the free numbers is largest.
 *
 * Consumed by the families of identities beside this file, and by looks.ts.
 */
import {
  add,
  argmax,
  concat,
  constant,
  gather,
  greater,
  mul,
  oneHot,
  reshape,
  scalarFunction,
  slice,
  square,
  squeeze,
  sum,
  where,
} from "../../../../dsl/index.ts";
import type { Tensor } from "../../../../dsl/index.ts";
import type { Cases, Place } from "../../verify/identity.ts";
import { REGIMES } from "../../verify/regimes.ts";
import type { Regime } from "../../verify/regimes.ts";
import { CORPUS, LENGTH } from "../../verify/world.ts";
import { sphere } from "../geometry.ts";
import { sphericalOracle } from "../oracle.ts";
import type { SphericalOracle } from "../oracle.ts";
import type { SphericalFlow } from "../spherical-flow.ts";

export interface SphereWorld extends Place {
  readonly oracle: SphericalOracle;
}

/** On S⁵, where the density of a state falls to 0 smoothly. */
const PATTERNLESS = [
  [0.9, 0.2, -0.3, 0.4, 0.1, 0.3],
  [-0.4, 0.7, 0.2, 0.3, -0.6, 0.1],
  [0.1, -0.5, 0.6, -0.2, 0.3, 0.8],
] as const;

/** On S³. */
const ORTHOGONAL = [
  [1, 0, 0, 0],
  [0, 1, 0, 0],
  [0, 0, 1, 0],
] as const;

export const sphereWorlds = (flow: SphericalFlow): readonly SphereWorld[] =>
  (
    [
      ["unit vectors without a pattern", PATTERNLESS],
      ["orthogonal unit vectors", ORTHOGONAL],
    ] as const
  ).map(([name, vectors]) => {
    const total = CORPUS.weights.reduce((sum, w) => sum + w, 0);
    const unit = vectors.map((row) => row.map((x) => x / Math.hypot(...row)));
    return {
      name,
      oracle: sphericalOracle(flow, CORPUS, vectors),
      dim: vectors[0].length,
      states: CORPUS.sequences.map((ids) => ids.map((id) => unit[id] as readonly number[])),
      weights: CORPUS.weights.map((w) => w / total),
    };
  });

/** κ up to which derivatives are looked at: beyond, a state tells its text. */
const LATEST = 0.8;
/** κ up to which a state may be anywhere on its half of the sphere. */
const WIDE = 0.5;

function timeOfShare({ path }: SphericalFlow, wanted: number): number {
  const kappa = scalarFunction((t) => path.kappa(t));
  let [low, high] = [0, 1];
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (kappa(middle) <= wanted) low = middle;
    else high = middle;
  }
  return low;
}

/** The time up to which derivatives are looked at. */
export const latestShare = (flow: SphericalFlow): number => timeOfShare(flow, LATEST);
/** The time up to which states of one token are compared with uniform ones. */
export const widestShare = (flow: SphericalFlow): number => timeOfShare(flow, WIDE);

const described = (regime: Regime): Regime => ({
  ...regime,
  where: `${regime.where}; x is the noise before it is normalized, free[0] picks the sentence`,
});
/** The regimes of this file's cases. */
export const BETWEEN = described(REGIMES["away from the ends"]);
export const APART = described(REGIMES.apart);

/** What is too short to have a direction: what is left of a case that is made simpler. */
const SHORT = 1e-6;

/** Vectors, with the last axis for those that have no direction. */
export function directed(x: Tensor): Tensor {
  const dimension = x.shape.at(-1) ?? 1;
  const lengths = sum(square(x) as Tensor, [-1], { keepDims: true }) as Tensor;
  const last = oneHot(constant([dimension - 1], [1], "i32"), dimension) as Tensor;
  return where(greater(lengths, SHORT), x, last) as Tensor;
}

/** A case on the sphere: the ends of its great circle, and its state at time s, all [cases, length, dim]. */
export interface Placed {
  readonly noise: Tensor;
  readonly clean: Tensor;
  readonly x: Tensor;
  /** A point of the sphere that is not on the great circle: the noise of another token. */
  readonly aside: Tensor;
}

/** What a case means. Ends are normalized here and not by the flow, whose geometry may be mistaken. */
export function placed(flow: SphericalFlow, { x, free, s }: Cases, world: SphereWorld): Placed {
  const noise = sphere.unit(directed(x));
  const pick = argmax(squeeze(slice(free, 1, 0, 1), 1) as Tensor, 1) as Tensor<[], "i32">;
  const clean = gather(statesOf(world), pick) as Tensor;
  const aside = concat([slice(noise, 1, 1, LENGTH), slice(noise, 1, 0, 1)], 1) as Tensor;
  return { noise, clean, x: flow.state(noise, clean, s.t), aside };
}

/** Unit vectors of the sentences, [sentences, length, dim]. */
export const statesOf = ({ states, dim }: SphereWorld): Tensor =>
  constant(states.flat(2), [states.length, LENGTH, dim]);

/** ⟨x, y⟩, [..., length]. */
export const inner = (x: Tensor, y: Tensor): Tensor => sum(mul(x, y), [-1]) as Tensor;

/** A sentence for every row, [rows, length, dim]. */
export const sentenceFor = (world: SphereWorld, k: number, like: Tensor): Tensor =>
  add(
    mul(like, 0),
    reshape(constant((world.states[k] ?? []).flat(), [LENGTH, world.dim]), [1, LENGTH, world.dim]) as Tensor,
  );
