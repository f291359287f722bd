/**
 * Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019) with the conventions of PyTorch: bias
 * corrections on both averages, eps added to the corrected root, decay of AdamW scaled by the learning rate.
 */
import { add, div, mul, sqrt, square, sub } from "../surface/elementwise.ts";
import type { Shape, Tensor } from "../types/index.ts";
import { average, biasCorrection, checkDecay, checkNonNegative, decayed, withPenalty } from "./math.ts";
import { fromRule } from "./optimizer.ts";
import type { Optimizer } from "./optimizer.ts";
import type { Leaf, LeafRule, Selects, Step } from "./rule.ts";

export interface AdamOptions {
  /** Decay of the average of gradients; 0.9 by default. */
  readonly beta1?: number;
  /** Decay of the average of squares; 0.999 by default. */
  readonly beta2?: number;
  /** 1e-8 by default. */
  readonly eps?: number;
  /** 0 by default (PyTorch's AdamW has 0.01). */
  readonly weightDecay?: number;
  readonly decays?: Selects;
}

type F32 = Tensor<Shape, "f32">;

/**
 * p − rate·m̂/(√v̂ + eps), with m̂ = m/c₁ and v̂ = v/c₂. Multiplied out by √c₂, so that what is per step
 * stays scalar: p − (rate·√c₂/c₁)·m/(√v + eps·√c₂).
 */
export function adamStep(
  { beta1, beta2, eps }: Required<Pick<AdamOptions, "beta1" | "beta2" | "eps">>,
  { count, learningRate }: Step,
) {
  const root = sqrt(biasCorrection(beta2, count));
  const rate = div(mul(learningRate, root), biasCorrection(beta1, count));
  const floor = mul(root, eps);
  return ({ slots }: Pick<Leaf, "slots">, param: F32, grad: F32) => {
    const [m, v] = slots as readonly [F32, F32];
    const mean = average(m, grad, beta1);
    const variance = average(v, square(grad), beta2);
    const direction = div(mean, add(sqrt(variance), floor));
    return { param: sub(param, mul(direction, rate)), slots: [mean, variance] };
  };
}

function adamRule(
  name: string,
  { beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0, decays }: AdamOptions,
  decoupled: boolean,
): LeafRule {
  checkDecay(name, "beta1", beta1);
  checkDecay(name, "beta2", beta2);
  checkNonNegative(name, "eps", eps);
  checkNonNegative(name, "weightDecay", weightDecay);
  return {
    slots: ["mean", "variance"],
    elementwise: () => true,
    update(step) {
      const move = adamStep({ beta1, beta2, eps }, step);
      return (leaf) => {
        const param = decoupled ? decayed(leaf, step.learningRate, weightDecay, decays) : leaf.param;
        const grad = decoupled ? leaf.grad : withPenalty(leaf, weightDecay, decays);
        return move(leaf, param, grad);
      };
    },
  };
}

/** Adam; weight decay is an L2 penalty, added to the gradients. */
export const adam = (options: AdamOptions = {}): Optimizer => fromRule(adamRule("adam", options, false));

/** AdamW; weight decay shrinks the parameters by 1 − rate·weightDecay before the step. */
export const adamW = (options: AdamOptions = {}): Optimizer => fromRule(adamRule("adamW", options, true));
