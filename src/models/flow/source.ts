/**
 * Sources: the distribution of the noise x₀ that a flow starts from, of each coordinate of a state [batch, length, dim]. Here are those of
 * independent coordinates of one law; others have files of their own, source-*.ts.
 *
 * Consumed by flow(), by sampling, and by the oracle, whose posterior is exact for any source that has a density. To add a source:
 * how it is drawn, its moments, and its density if it has one; verify compares the three.
 */
import { partsOf } from "./declared-parts.ts";
import { add, constant, div, log, mul, neg, random, softplus, square, sub, sum } from "../../dsl/index.ts";
import type { Dim, Tensor } from "../../dsl/index.ts";

/** A moment of a coordinate: one number for all, or a function of the coordinate, from 0, and of how many a state has. */
export type Moment = number | ((coordinate: number, dim: number) => number);

export interface Source {
  readonly name: string;
  /** Noise of a shape [..., length, dim] from a key [2]. */
  sample(key: Tensor<[2], "u32">, shape: readonly Dim[]): Tensor;
  /**
   * log p(x₀) of noise [..., length, dim], up to a constant: [...]. Without it there is no exact posterior, and verify leaves out what
   * needs one and says so.
   */
  logDensity?(noise: Tensor): Tensor;
  readonly mean: Moment;
  readonly variance: Moment;
  /** σ where the source is N(m, σ² I) with the mean m: only then is the score −(E[x₀ | x] − m)/(α σ²). */
  readonly scale?: number;
  /**
   * Where all noise lies, where that is not all of the space: "simplex", so that states must be one-hot, and the density is one on the
   * simplex; "point", one state that every text starts from. Absent otherwise.
   */
  readonly support?: "simplex" | "point";
  /** Whether the density has kinks where noise ends, so that the flow has no derivative there; false where nothing is said. */
  readonly kinks?: boolean;
}

/** A moment of every coordinate of states of a dimension. */
export const momentsOf = (moment: Moment, dim: number): readonly number[] =>
  Array.from({ length: dim }, (_, i) => (typeof moment === "number" ? moment : moment(i, dim)));

/** A moment as what meets states [..., dim]: a number, or [dim]. */
export const momentOver = (moment: Moment, dim: number): Tensor | number =>
  typeof moment === "number" ? moment : constant(momentsOf(moment, dim), [dim]);

/** x − m of states [..., dim]. */
export function centred(x: Tensor, mean: Moment): Tensor {
  return mean === 0 ? x : (sub(x, momentOver(mean, x.shape.at(-1) ?? 0)) as Tensor);
}

/** The root of the mean variance of the coordinates of states of a dimension: how wide the source is. */
export function deviationOf({ variance }: Source, dim: number): number {
  const variances = momentsOf(variance, dim);
  return Math.sqrt(variances.reduce((total, each) => total + each, 0) / dim);
}

/** Over the tokens and coordinates of a state. */
export const overState = (x: Tensor): Tensor => sum(x, [x.shape.length - 2, x.shape.length - 1]);

/** N(0, σ² I), of FLM with σ = 1. @throws RangeError unless σ is positive */
export function gaussian(options: { readonly scale?: number } = {}): Source {
  const { scale = 1 } = partsOf("A Gaussian source", options, ["scale"]);
  if (!(scale > 0 && Number.isFinite(scale)))
    throw new RangeError(`A Gaussian source needs a positive scale, got ${scale}.`);
  return {
    name: scale === 1 ? "Gaussian" : `Gaussian of scale ${scale}`,
    sample: (key, shape) => mul(random.normal(key, shape) as Tensor, scale),
    logDensity: (noise) => mul(overState(square(noise)), -1 / (2 * scale ** 2)),
    mean: 0,
    variance: scale ** 2,
    scale,
  };
}

/**
 * Independent logistic coordinates, density e^{−x/s}/(s (1 + e^{−x/s})²): heavier tails than a Gaussian's, and as smooth. Of variance 1 by
 * default. @throws RangeError unless the scale is positive
 */
export function logistic(options: { readonly scale?: number } = {}): Source {
  const { scale = Math.sqrt(3) / Math.PI } = partsOf("A logistic source", options, ["scale"]);
  if (!(scale > 0 && Number.isFinite(scale)))
    throw new RangeError(`A logistic source needs a positive scale, got ${scale}.`);
  return {
    name: "logistic",
    // By the inverse distribution function. Half a step of uniform() keeps both ends out, where it is infinite; near its end each
    // of the two sums is exact in f32.
    sample: (key, shape) => {
      const u = random.uniform(key, shape) as Tensor;
      const rest: Tensor = sub(sub(1, u) as Tensor, 2 ** -25);
      return mul(sub(log(add(u, 2 ** -25)), log(rest)), scale);
    },
    logDensity: (noise) => {
      const x: Tensor = div(noise, scale);
      return neg(overState(add(x, mul(softplus(neg(x)), 2))));
    },
    mean: 0,
    variance: (scale * Math.PI) ** 2 / 3,
  };
}

/** Independent coordinates, uniform on [−a, a]; bounded, so without a smooth density. @throws RangeError unless a is positive */
export function uniform(options: { readonly halfWidth?: number } = {}): Source {
  const { halfWidth = Math.sqrt(3) } = partsOf("A uniform source", options, ["halfWidth"]);
  if (!(halfWidth > 0 && Number.isFinite(halfWidth)))
    throw new RangeError(`A uniform source needs a positive half width, got ${halfWidth}.`);
  return {
    name: "uniform",
    sample: (key, shape) => mul(add(mul(random.uniform(key, shape) as Tensor, 2), -1) as Tensor, halfWidth),
    mean: 0,
    variance: halfWidth ** 2 / 3,
  };
}
