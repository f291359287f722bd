/**
 * Lion (Chen et al. 2023): steps by the sign of an average, which holds half of Adam's state. Use a rate 3 to
 * 10 times lower than Adam's and a decay as much higher.
 */
import { mul, sign, sub } from "../surface/elementwise.ts";
import type { Shape, Tensor } from "../types/index.ts";
import { average, checkDecay, checkNonNegative, decayed } from "./math.ts";
import { fromRule } from "./optimizer.ts";
import type { Optimizer } from "./optimizer.ts";
import type { Selects } from "./rule.ts";

export interface LionOptions {
  /** Weight of the average in the step's sign; 0.9 by default. */
  readonly beta1?: number;
  /** Decay of the average; 0.99 by default. */
  readonly beta2?: number;
  /** Decoupled, as in AdamW; 0 by default. */
  readonly weightDecay?: number;
  readonly decays?: Selects;
}

/** p ← (1 − rate·weightDecay)·p − rate·sign(β₁m + (1 − β₁)g), then m ← β₂m + (1 − β₂)g. */
export function lion({ beta1 = 0.9, beta2 = 0.99, weightDecay = 0, decays }: LionOptions = {}): Optimizer {
  checkDecay("lion", "beta1", beta1);
  checkDecay("lion", "beta2", beta2);
  checkNonNegative("lion", "weightDecay", weightDecay);
  return fromRule({
    slots: ["mean"],
    elementwise: () => true,
    update:
      ({ learningRate }) =>
      (leaf) => {
        const mean = leaf.slots[0] as Tensor<Shape, "f32">;
        const direction: Tensor = sign(average(mean, leaf.grad, beta1));
        const param: Tensor = decayed(leaf, learningRate, weightDecay, decays);
        return { param: sub(param, mul(direction, learningRate)), slots: [average(mean, leaf.grad, beta2)] };
      },
  });
}
