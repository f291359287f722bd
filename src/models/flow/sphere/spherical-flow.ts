/**
 * A flow on the sphere, declared: tokens are unit vectors e_v of R^d, noise is uniform on S^{d−1}, and a token's state moves on the
 * great circle from one to the other, x_t = slerp(x₀, e, κ(t)) (Riemannian flow matching, Chen and Lipman 2024; S-FLM,
 * arXiv:2605.11125). Given its token the velocity is κ̇/(1 − κ) log_x(e), of constant speed κ̇ θ₀; so the drift is linear in what a
 * denoiser says of the tokens, b_t(x) = κ̇/(1 − κ) Σ_v p(v | x) log_x(e_v).
 *
 * A declaration of its own beside flow(): its states are no sums of noise and data, so it has neither α and β nor the convex form of a
 * flow map. Consumed by the oracle, samplers, training and verify.
 */
import { partsOf, requireName } from "../declared-parts.ts";
import { div, expandDims, mul, reshape, stopGradient } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { uniformClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import type { TokenLoss } from "../bregman.ts";
import { checkWeight } from "../weighting-checks.ts";
import { logDensityOf, wayLeft } from "./density.ts";
import { slerp, sphere } from "./geometry.ts";
import type { Geometry } from "./geometry.ts";
import { constantSpeed, greatCircle, shareAt } from "./path.ts";
import type { GreatCircle, Share } from "./path.ts";

/** Weight of a row's loss by its time, [batch] -> [batch], positive and finite. */
export type SphericalWeighting = (t: Tensor, share: Share) => Tensor;

/** Whether training moves the unit vectors of tokens. */
export type TokenTable = "learned" | "frozen";

export interface SphericalFlowDeclaration {
  readonly name: string;
  /** κ = t by default. */
  readonly path?: GreatCircle;
  /** What the network is told of the time, and in what times are drawn evenly; by default t itself. */
  readonly clock?: Clock;
  /** Unit vectors of tokens: the rows of the network's input table, normalized. "learned" by default. */
  readonly states?: TokenTable;
  /** How the distribution over tokens is judged; cross-entropy by default. */
  readonly loss?: TokenLoss;
  /** None by default. */
  readonly weighting?: SphericalWeighting;
  /** The unit sphere, and its maps; those of geometry.ts by default. */
  readonly geometry?: Geometry;
}

/** A declaration with everything in its place. Times are [batch], states [batch, length, d]; see density.ts for the law of a state. */
export interface SphericalFlow {
  readonly kind: "spherical flow";
  readonly name: string;
  readonly path: GreatCircle;
  readonly clock: Clock;
  readonly states: TokenTable;
  readonly loss: TokenLoss;
  readonly weighting?: SphericalWeighting;
  readonly geometry: Geometry;
  /** Unit vectors of tokens from a table [vocab, d]; a frozen one passes no gradient on. */
  table(embedding: Tensor): Tensor;
  /** x_t = slerp(x₀, e, κ(t)). */
  state(noise: Tensor, clean: Tensor, t: Tensor): Tensor;
  /** u_t(x | e) = κ̇/(1 − κ) log_x(e), for t < 1. */
  velocity(x: Tensor, clean: Tensor, t: Tensor): Tensor;
  /** b_t(x) = κ̇/(1 − κ) Σ_v p_v log_x(e_v), of a table [vocab, d] and distributions [batch, length, vocab], for t < 1. */
  drift(x: Tensor, table: Tensor, distribution: Tensor, t: Tensor): Tensor;
  /** log p_t(x | e) in units of the uniform law, of states [batch, ..., d]: [batch, ...]. */
  logDensity(x: Tensor, clean: Tensor, t: Tensor): Tensor;
}

const LOSSES: readonly TokenLoss[] = ["cross-entropy", "KL", "squared error"];

/** A number per row, [batch], so that it meets tensors of a rank. */
export const perRank = (x: Tensor, rank: number): Tensor =>
  reshape(x, [x.shape[0] ?? 1, ...Array<number>(rank - 1).fill(1)]) as Tensor;

/**
 * Declares a flow on the sphere.
 * @throws RangeError when κ is no path from 0 to 1, when asked to predict anything but clean tokens, or for a weight that is infinite or
 *   negative
 */
export function sphericalFlow(declared: SphericalFlowDeclaration): SphericalFlow {
  const { name, clock = uniformClock(), states = "learned", loss = "cross-entropy", weighting } = declared;
  const { geometry = sphere } = declared;
  const path = greatCircle(declared.path ?? constantSpeed);
  // Types exclude these; a declaration in JavaScript may still have them.
  const { predicts = "clean token", interpolant } = declared as {
    readonly predicts?: string;
    readonly interpolant?: unknown;
  };
  if (predicts !== "clean token")
    throw new RangeError(
      `The spherical flow "${name}" predicts the clean token, of which the drift is linear: a ${predicts} is not what its path is made of.`,
    );
  if (interpolant !== undefined)
    throw new RangeError(
      `The spherical flow "${name}" moves on great circles, and an interpolant joins noise and data on lines: declare its path, κ, instead.`,
    );
  requireName("A spherical flow", name);
  partsOf(
    `The spherical flow "${name}"`,
    declared,
    ["name", "path", "clock", "states", "loss", "weighting", "geometry"],
    // The first two are asked for above, the others are of a flow that another is made of.
    ["predicts", "interpolant", "kind", "table", "state", "velocity", "drift", "logDensity"],
  );
  if (!LOSSES.includes(loss))
    throw new RangeError(
      `The spherical flow "${name}" is judged by ${LOSSES.join(", ")}, and not by ${loss as string}.`,
    );
  if (states !== "learned" && states !== "frozen")
    throw new RangeError(
      `The spherical flow "${name}" has token vectors that are "learned" or "frozen", not ${String(states)}.`,
    );
  if (weighting !== undefined) checkWeight(`spherical flow "${name}"`, (t) => weighting(t, shareAt(path, t)));
  const scale = (t: Tensor, rank: number): Tensor => {
    const { kappa, rate } = shareAt(path, t);
    return perRank(div(rate, wayLeft(kappa)), rank);
  };
  return {
    kind: "spherical flow",
    name,
    path,
    clock,
    states,
    loss,
    ...(weighting === undefined ? {} : { weighting }),
    geometry,
    table(embedding) {
      const rows = geometry.unit(embedding);
      return states === "frozen" ? (stopGradient(rows) as Tensor) : rows;
    },
    state: (noise, clean, t) => slerp(geometry, noise, clean, perRank(path.kappa(t), noise.shape.length)),
    velocity: (x, clean, t) => mul(geometry.log(x, clean), scale(t, x.shape.length)),
    drift: (x, table, distribution, t) =>
      mul(geometry.meanLog(x, table, distribution), scale(t, x.shape.length)),
    logDensity: (x, clean, t) =>
      logDensityOf(
        geometry.arc(x, clean),
        perRank(wayLeft(path.kappa(t)), x.shape.length),
        x.shape.at(-1) ?? 0,
      ),
  };
}

/** Losses per token, weighted by their row's time. */
export function weightedBy({ weighting, path }: SphericalFlow, perToken: Tensor, t: Tensor): Tensor {
  return weighting === undefined ? perToken : mul(perToken, expandDims(weighting(t, shareAt(path, t)), 1));
}
