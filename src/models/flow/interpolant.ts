/**
 * Interpolants: how noise turns into data, I_t = α(t) x₀ + β(t) x₁ with t = 0 noise and t = 1 data. α and β are written in the
 * language; rates come from differentiation, so a declaration cannot contradict itself.
 *
 * Consumed by flow() and everything that is derived from it. To add an interpolant, declare α and β with `interpolant`; it checks
 * what every flow relies on.
 */
import { partsOf, requireName } from "./declared-parts.ts";
import { add, expandDims, jvp, mul, onesLike, scalarFunction, sin, sqrt, sub } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { perRow } from "./fields.ts";

/** α and β as elementwise functions of t, of any shape. */
export interface Interpolant {
  readonly name: string;
  /** Weight of the noise: 1 at t = 0, 0 at t = 1, positive before. */
  alpha(t: Tensor): Tensor;
  /** Weight of the data: 0 at t = 0, 1 at t = 1. */
  beta(t: Tensor): Tensor;
  /** Tokens of a text, where tokens have times of their own and the coefficients of times [batch] are [batch, length]: see schedule.ts. */
  readonly length?: number;
}

/** An interpolant at a time: coefficients and their rates d/dt, [batch], or [batch, length] where times are per token. */
export interface Point {
  readonly alpha: Tensor;
  readonly beta: Tensor;
  readonly alphaRate: Tensor;
  readonly betaRate: Tensor;
}

/** How far α(0), α(1), β(0) and β(1) may be from what they must be: rounding, not modelling. */
const ENDPOINT = 1e-9;
/** Times at which a declaration is looked at, besides the ends. */
const LOOKS = 64;

/**
 * Declares an interpolant.
 * @throws RangeError when α does not fall from 1 to 0, or β does not rise from 0 to 1, naming the coefficient and the time
 */
export function interpolant(declared: Interpolant): Interpolant {
  requireName("An interpolant", declared.name);
  const { name } = partsOf(`The interpolant "${declared.name}"`, declared, [
    "name",
    "alpha",
    "beta",
    "length",
  ]);
  const rows = [
    {
      symbol: "α",
      what: "the weight of the noise",
      from: 1,
      to: 0,
      f: scalarFunction((t) => declared.alpha(t)),
    },
    {
      symbol: "β",
      what: "the weight of the data",
      from: 0,
      to: 1,
      f: scalarFunction((t) => declared.beta(t)),
    },
  ];
  for (const { symbol, what, from, to, f } of rows) {
    for (const [t, wanted] of [
      [0, from],
      [1, to],
    ] as const) {
      const found = f(t);
      if (!(Math.abs(found - wanted) <= ENDPOINT))
        throw new RangeError(
          `The interpolant "${name}" needs ${symbol}(${t}) = ${wanted}: ${what} is ${found} there.`,
        );
    }
    let last = from;
    for (let i = 1; i <= LOOKS; i++) {
      const t = i / LOOKS;
      const found = f(t);
      // A coefficient that stands still carries no information, and one that turns back would be passed twice.
      if (!(to > from ? found > last : found < last))
        throw new RangeError(
          `The interpolant "${name}" needs ${symbol} to ${to > from ? "rise" : "fall"} all the way: ` +
            `${symbol}(${(i - 1) / LOOKS}) = ${last} and ${symbol}(${t}) = ${found}.`,
        );
      last = found;
    }
  }
  return declared;
}

/** I_t = (1 − t) x₀ + t x₁, of FLM (arXiv:2602.16813) and of rectified flow. */
export const linear: Interpolant = interpolant({ name: "linear", alpha: (t) => sub(1, t), beta: (t) => t });

/** I_t = cos(πt/2) x₀ + sin(πt/2) x₁: α² + β² = 1 (Albergo and Vanden-Eijnden 2023). */
export const trigonometric: Interpolant = interpolant({
  name: "trigonometric",
  // cos(π/2) as sin 0: at t = 1 no noise is left, to the last bit.
  alpha: (t) => sin(mul(sub(1, t), Math.PI / 2)),
  beta: (t) => sin(mul(t, Math.PI / 2)),
});

/**
 * α = √(1 − β²) for any β: independent noise and data of one variance keep it (variance-preserving diffusion).
 * @throws RangeError as `interpolant` does
 */
export const variancePreserving = (name: string, beta: Interpolant["beta"]): Interpolant =>
  interpolant({
    name,
    // (1 − β)(1 + β) is exact where β is near 1.
    alpha: (t) => sqrt(mul(sub(1, beta(t)), add(1, beta(t)))),
    beta,
  });

/** The variance-preserving interpolant whose β is t. */
export const variancePreservingLinear: Interpolant = variancePreserving("variance-preserving", (t) => t);

/** Coefficients and rates at times of any shape; the rates by forward-mode differentiation. */
export function pointAt({ alpha, beta }: Interpolant, t: Tensor): Point {
  const { value, tangent } = jvp((at: Tensor) => [alpha(at), beta(at)] as const, [t], [onesLike(t)]);
  return { alpha: value[0], beta: value[1], alphaRate: tangent[0], betaRate: tangent[1] };
}

/** A number per row, [batch], or per token, [batch, length], so that it meets states [batch, length, dim]. */
export const perState = (x: Tensor): Tensor => (x.shape.length === 1 ? perRow(x) : expandDims(x, 2));

/** I_t = α x₀ + β x₁ of states [batch, length, dim], at coefficients [batch] or [batch, length]. */
export const mixed = ({ alpha, beta }: Pick<Point, "alpha" | "beta">, noise: Tensor, clean: Tensor): Tensor =>
  add(mul(perState(alpha), noise), mul(perState(beta), clean));
