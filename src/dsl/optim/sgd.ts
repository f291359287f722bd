/**
 * Stochastic gradient descent with momentum, as in PyTorch: the average is the sum momentum·m + g, not
 * normalized.
 */
import { add, mul, sub } from "../surface/elementwise.ts";
import type { Tensor } from "../types/index.ts";
import { checkDecay, checkNonNegative, withPenalty } from "./math.ts";
import { fromRule } from "./optimizer.ts";
import type { Optimizer } from "./optimizer.ts";
import type { Selects } from "./rule.ts";

export interface SgdOptions {
  /** 0 by default: plain descent. */
  readonly momentum?: number;
  /** Looks ahead along the momentum. */
  readonly nesterov?: boolean;
  /** Added to gradients as weightDecay·parameter; 0 by default. */
  readonly weightDecay?: number;
  readonly decays?: Selects;
}

/** p ← p − rate·m, m ← momentum·m + g; with Nesterov p ← p − rate·(g + momentum·m). */
export function sgd({ momentum = 0, nesterov = false, weightDecay = 0, decays }: SgdOptions = {}): Optimizer {
  checkDecay("sgd", "momentum", momentum);
  checkNonNegative("sgd", "weightDecay", weightDecay);
  return fromRule({
    slots: momentum === 0 ? [] : ["momentum"],
    elementwise: () => true,
    update:
      ({ learningRate }) =>
      (leaf) => {
        const grad: Tensor = withPenalty(leaf, weightDecay, decays);
        const previous: Tensor | undefined = leaf.slots[0];
        const velocity: Tensor = previous === undefined ? grad : add(mul(previous, momentum), grad);
        const direction: Tensor =
          nesterov && previous !== undefined ? add(grad, mul(velocity, momentum)) : velocity;
        return {
          param: sub(leaf.param, mul(direction, learningRate)),
          slots: previous === undefined ? [] : [velocity],
        };
      },
  });
}
