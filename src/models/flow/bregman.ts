/**
 * Losses as data: a Bregman divergence is declared by a convex potential φ alone,
 * D_φ(target, value) = φ(target) − φ(value) − ⟨∇φ(value), target − value⟩,
 * and its gradient comes from differentiation. Of all losses these are the ones that are least, on average over random targets, at their
 * expectation (Banerjee, Guo and Wang 2005), which is what a denoiser has to predict.
 *
 * Consumed by flow() and flowMap() as `loss`, and by users as `models.losses`. To add a divergence: its potential, here or in your own file.
 */
import {
  add,
  customJvp,
  f32,
  fn,
  jvp,
  log,
  maximum,
  mul,
  outputSpec,
  square,
  sub,
  sum,
} from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { partsOf, requirePart, requireWord } from "./declared-parts.ts";

/** How a distribution over tokens is judged. Cross-entropy and KL divergence have one gradient; against tokens they are one. */
export const TOKEN_LOSSES = ["cross-entropy", "KL", "squared error"] as const;
export type TokenLoss = (typeof TOKEN_LOSSES)[number];

/** A convex function of a distribution or a point, per token: [..., entries] -> [...]. */
export type Potential = (x: Tensor) => Tensor;

/** Where a potential is convex: for distributions only, or for any values. */
export type Domain = "simplex" | "everywhere";

/** A loss that is the Bregman divergence of a potential. */
export interface Bregman<D extends Domain = Domain> {
  readonly kind: "Bregman divergence";
  readonly name: string;
  readonly domain: D;
  readonly potential: Potential;
}

/** @throws RangeError for what judges nothing @param of what is judged by it, as 'The flow "name"' */
export function checkLoss(of: string, loss: Loss): void {
  if (typeof loss === "object") requirePart(of, "loss", loss, ["potential"]);
  else requireWord(of, "loss", loss, TOKEN_LOSSES);
}

/** How a prediction is judged. */
export type Loss = TokenLoss | Bregman;
/** How a point is judged. */
export type PointLoss = "squared error" | Bregman<"everywhere">;

export const lossName = (loss: Loss): string => (typeof loss === "string" ? loss : loss.name);

/** Whether a loss is for distributions alone. */
export const needsDistribution = (loss: Loss): boolean =>
  typeof loss === "string" ? loss !== "squared error" : loss.domain === "simplex";

interface Declared<D extends Domain> {
  readonly name: string;
  /** Finite on its domain; on the simplex that includes the corners, which tokens are. */
  readonly potential: Potential;
  /** "everywhere" by default; of "simplex" the divergence judges distributions alone. */
  readonly domain?: D;
}

/**
 * Declares a loss by its potential φ. Whether it is convex is for verify to see: the loss of a potential that is not is lowest away from
 * the target.
 * @throws RangeError when φ does not give one number per token
 */
export function bregman<const D extends Domain = "everywhere">(declared: Declared<D>): Bregman<D> {
  const { name, potential, domain } = partsOf(
    `The loss "${declared.name}"`,
    declared,
    ["name", "potential", "domain"],
    ["kind"], // of a loss that was spread into another
  );
  if (domain !== undefined) requireWord(`The loss "${name}"`, "domain", domain, ["simplex", "everywhere"]);
  // Different sizes, so that no axis is taken for another.
  const { shape } = outputSpec(fn({ x: f32(2, 3, 5) }, ({ x }) => potential(x)));
  if (shape.join() !== "2,3")
    throw new RangeError(
      `The potential of the loss "${name}" is a number per token, [2, 3] of values [2, 3, 5], and gives [${shape.join(", ")}]: ` +
        `sum over the last axis alone.`,
    );
  // The default of D is the default of the value.
  return { kind: "Bregman divergence", name, domain: domain ?? ("everywhere" as D), potential };
}

/** D_φ(target, value) of values [batch, length, entries]: [batch, length]. */
export function divergence({ potential }: Pick<Bregman, "potential">, target: Tensor, value: Tensor): Tensor {
  // Each token's potential depends on its own entries, so one tangent gives ⟨∇φ, target − value⟩ of all of them.
  const here = jvp((x: Tensor) => potential(x), [value], [sub(target, value)]);
  return sub(sub(potential(target), here.value), here.tangent);
}

/** ‖x‖², whose divergence is the squared error. */
export const squaredNorm: Potential = (x) => sum(square(x), -1);

/** Smallest probability whose logarithm is taken: 0 log 0 is 0. */
const LEAST = 1e-30;

const logOf = (p: Tensor): Tensor => log(maximum(p, LEAST) as Tensor);

const entropySum: Potential = (p) => sum(mul(p, logOf(p)), -1);

/**
 * Σ p log p, whose divergence is KL of distributions. Its derivative is log p + 1 by rule: that of a product holds p · 1/p, whose own
 * derivative has 1/p², in single precision infinite below p = 5e-20, and of capped logits p goes down to 1e-26.
 */
export const negativeEntropy: Potential = customJvp(entropySum, ([p], [dp]) => [
  entropySum(p),
  sum(mul(dp, add(logOf(p), 1)), -1) as Tensor,
]);
