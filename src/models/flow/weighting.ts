/**
 * Weightings as data: how much each row's loss counts. There are four kinds. A function of time; the residual itself, without its
 * gradient; a network of the times that learns (weighting-learned.ts); and none.
 *
 * Consumed by flow() and flowMap() as `weighting`, by training (language/declared-loss.ts) and by verify, which apply it by `weighed`. Users
 * find them as `models.weightings`. To add a weighting: one of these, as in weighting-kinds.ts; another kind is a case in `weighed`.
 */
import { equal, expandDims, mul, square, sub, sum, where } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import type { Point } from "./interpolant.ts";
import type { Quantity } from "./quantities.ts";
import type { Source } from "./source.ts";
import type { LearnedWeighting, LearnedWeights } from "./weighting-learned.ts";

/** A time of every row, [batch], and the interpolant there. */
export interface Moment {
  readonly t: Tensor;
  readonly point: Point;
}

/** What a weight may depend on besides the loss. */
export interface Weighed {
  /** Of the state. */
  readonly at: Moment;
  /** What a flow map jumps to. */
  readonly target?: Moment;
  /** What the squared error is of: in flow maps the clean point or token, or the velocity that moves with it. */
  readonly predicts: "clean token" | Quantity;
  /** Variance of the source, where it is positive and one number for all coordinates: see `varianceOf`. */
  readonly variance: number | undefined;
}

/** The variance of noise whose coordinates have one. */
export const varianceOf = ({ variance }: Source): number | undefined =>
  typeof variance === "number" && variance > 0 ? variance : undefined;

/**
 * A weight by time, as a function of t in the language: [batch], or [batch, length] where it is made of coefficients and tokens have times of
 * their own; positive and finite. For flow maps t is the time of the state, and `target` that of the jump.
 */
export type WeightOfTime = (t: Tensor, point: Point, target?: Moment) => Tensor;

/** A weight by time that also knows what is predicted. */
export interface TimeWeighting {
  readonly kind: "time";
  readonly name: string;
  /** [batch] or [batch, length]. */
  weight(weighed: Weighed): Tensor;
}

/** A weight by how far off the prediction is. */
export interface ResidualWeighting {
  readonly kind: "residual";
  readonly name: string;
  /**
   * Losses [batch, length], weighted by what must pass no gradient on.
   * @param distance ‖value − target‖², [batch, length]
   * @param still whether a row has s = t, [batch, 1]
   */
  weighted(loss: Tensor, distance: Tensor, still: Tensor): Tensor;
}

/** What a flow may be weighted by. Its targets are draws, so the residual is not among them: see `residual`. */
export type FlowWeighting = WeightOfTime | TimeWeighting | LearnedWeighting;
export type Weighting = FlowWeighting | ResidualWeighting;

/** A user's weight, whose types nobody may have checked. @throws RangeError unless it is a number for every row, or for every token of each */
function ofRows(weight: Tensor, { shape: [rows] }: Tensor): Tensor {
  const given: unknown = weight;
  if (typeof given !== "object" || given === null || !("shape" in given))
    throw new RangeError(
      `A weighting gives a tensor, with a number for every row, and this one gives ${given === undefined ? "nothing" : `a ${typeof given}`}: ` +
        "write it in ops of the language, for a constant add(mul(t, 0), 2).",
    );
  if (rows !== undefined && (weight.shape[0] !== rows || weight.shape.length > 2))
    throw new RangeError(
      `A weighting gives a number for every row, [${rows}] as its time, and this one gives [${weight.shape.join(", ")}]: weigh each row by its own times.`,
    );
  return weight;
}

/** The weight by time, of weightings that have one. */
export function weightOfTime(weighting: Weighting, weighed: Weighed): Tensor | undefined {
  if (typeof weighting === "function")
    return ofRows(weighting(weighed.at.t, weighed.at.point, weighed.target), weighed.at.t);
  return weighting.kind === "time" ? weighting.weight(weighed) : undefined;
}

/** Losses of rows, and what their weights depend on. */
export interface Losses extends Weighed {
  /** [batch, length]. */
  readonly perToken: Tensor;
  /** What is judged and what it should be, [batch, length, entries]. */
  readonly value: Tensor;
  readonly wanted: Tensor;
  /** Whether rows with s = t learn from draws, whose expectation is what they should predict. */
  readonly draws: boolean;
  /** w of a learned weighting, [batch]: see `exponentOf`. */
  readonly exponent: Tensor | undefined;
}

/**
 * w of a learned weighting; undefined of any other.
 * @param weights its parameters
 * @param taus clock times of the state and, in flow maps, of the target, [batch]
 * @throws RangeError when a learned weighting is not given its parameters
 */
export function exponentOf(
  weighting: Weighting | undefined,
  weights: LearnedWeights | undefined,
  taus: readonly [Tensor] | readonly [Tensor, Tensor],
): Tensor | undefined {
  if (typeof weighting !== "object" || weighting.kind !== "learned") return undefined;
  if (weights === undefined)
    throw new RangeError(
      `The weighting "${weighting.name}" has parameters of its own, which are part of a training's state: give them to the loss.`,
    );
  return weighting.exponent(weights, taus);
}

/** Losses per token with their weights, [batch, length]. */
export function weighed(weighting: Weighting | undefined, losses: Losses): Tensor {
  const { perToken, exponent } = losses;
  if (weighting === undefined) return perToken;
  const weight = weightOfTime(weighting, losses);
  // Per token, where tokens have times of their own and the weight is made of their coefficients.
  if (weight !== undefined) return mul(perToken, perTokenOf(weight));
  if (typeof weighting === "function" || weighting.kind === "time") return perToken; // never: these have a weight
  if (weighting.kind === "residual") return byResidual(weighting, losses);
  return exponent === undefined ? perToken : weighting.weighted(perToken, expandDims(exponent, 1));
}

const perTokenOf = (weight: Tensor): Tensor => (weight.shape.length === 1 ? expandDims(weight, 1) : weight);

function byResidual(
  weighting: ResidualWeighting,
  { perToken, value, wanted, at, target, draws }: Losses,
): Tensor {
  const distance: Tensor = sum(square(sub(value, wanted) as Tensor), 2);
  const still: Tensor = expandDims(equal(at.t, target?.t ?? at.t), 1);
  const found = weighting.weighted(perToken, distance, still);
  return draws ? (where(still, perToken, found) as Tensor) : found;
}
