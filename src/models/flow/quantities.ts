/**
 * What a network may predict of a noisy state, and how one prediction becomes another. Given x = I_t, everything that is asked for is
 * the expectation of some a x₀ + b x₁; and x itself is one such combination, α x₀ + β x₁. Two of them determine x₀ and x₁, and
 * so every other. The table below says what each quantity is; no conversion is written by hand.
 *
 * Consumed by flow(), samplers and verify. To add a quantity: its line in `COMBINATIONS`.
 */
import { add, div, equal, mul, sub, where } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { perState } from "./interpolant.ts";
import type { Point } from "./interpolant.ts";
import { momentOver } from "./source.ts";
import type { Moment } from "./source.ts";

/**
 * - "clean point": D = E[x₁ | I_t = x], the denoiser
 * - "noise": E[x₀ | I_t = x]
 * - "velocity": b = E[İ_t | I_t = x], the drift of the probability flow
 * - "score": ∇ log p_t(x) of a Gaussian source N(m, σ²), where it is −(E[x₀ | x] − m)/(α σ²)
 */
export type Quantity = "clean point" | "noise" | "velocity" | "score";

/** a and b of a x₀ + b x₁, each a number or [batch] or [batch, length]. */
type Combination = readonly [noise: Tensor | number, clean: Tensor | number];

const COMBINATIONS = {
  "clean point": () => [0, 1],
  noise: () => [1, 0],
  velocity: ({ alphaRate, betaRate }) => [alphaRate, betaRate],
  score: ({ alpha }, scale) => [div(-1 / scale ** 2, alpha), 0],
} as const satisfies { [Q in Quantity]: (point: Point, scale: number) => Combination };

/** All of them. */
export const QUANTITIES = Object.keys(COMBINATIONS) as readonly Quantity[]; // as the type of the table says

/**
 * What a quantity is of one pair of noise and clean point: its conditional value, which a network learns the expectation of.
 * @param scale σ of the source, for the score
 * @param mean m of the source, for the score
 */
export function conditional(
  quantity: Quantity,
  { noise, clean }: Endpoints,
  point: Point,
  scale = 1,
  mean: Moment = 0,
): Tensor {
  const [a, b] = COMBINATIONS[quantity](point, scale);
  const value: Tensor = add(times(a, noise), times(b, clean));
  if (quantity !== "score" || mean === 0) return value;
  return sub(value, ofMean(a, mean, noise));
}

/** What the score is short of a x₀ + b x₁: the weight a of the noise, times the mean of the noise. */
const ofMean = (a: Tensor | number, mean: Moment, like: Tensor): Tensor =>
  times(a, add(mul(like, 0), momentOver(mean, like.shape.at(-1) ?? 0)) as Tensor);

/** x₀ and x₁, or what is expected of them. */
export interface Endpoints {
  readonly noise: Tensor;
  readonly clean: Tensor;
}

const times = (weight: Tensor | number, x: Tensor): Tensor =>
  mul(typeof weight === "number" ? weight : perState(weight), x);

/**
 * The expected noise and clean point of a state, [batch, length, dim], from one predicted quantity: the solution of
 * α x₀ + β x₁ = x and a x₀ + b x₁ = value. Where the two are parallel there is none, and the result is not finite: noise and score
 * say nothing of the data at t = 0, the clean point nothing of the noise at t = 1.
 * @param scale σ of the source, for the score
 * @param mean m of the source, for the score
 */
export function endpoints(
  predicted: Tensor,
  quantity: Quantity,
  state: Tensor,
  point: Point,
  scale = 1,
  mean: Moment = 0,
): Endpoints {
  const [a, b] = COMBINATIONS[quantity](point, scale);
  const value: Tensor =
    quantity !== "score" || mean === 0 ? predicted : add(predicted, ofMean(a, mean, predicted));
  const { alpha, beta } = point;
  const determinant: Tensor = perState(sub(mul(alpha, b) as Tensor, mul(beta, a) as Tensor) as Tensor);
  const clean: Tensor = div(sub(times(alpha, value), times(a, state)), determinant);
  // Without noise the state is β x₁, whatever is predicted of it; rates may be infinite there, as that of √(1 − t²) at t = 1.
  const bare = equal(alpha, 0);
  const known: Tensor = div(state, perState(where(bare, beta, 1) as Tensor));
  return {
    noise: div(sub(times(b, state), times(beta, value)), determinant),
    clean: quantity === "clean point" ? value : (where(perState(bare), known, clean) as Tensor),
  };
}

/**
 * One quantity as another.
 * @param scale σ of the source, for the score
 * @param mean m of the source, for the score
 */
export function convert(
  value: Tensor,
  from: Quantity,
  to: Quantity,
  state: Tensor,
  point: Point,
  scale = 1,
  mean: Moment = 0,
): Tensor {
  if (from === to) return value;
  return conditional(to, endpoints(value, from, state, point, scale, mean), point, scale, mean);
}
