/**
 * How a prediction is judged: the losses that flow() and flowMap() name. Consumed by training (language/declared-loss.ts) and by verify,
 * which asks whether each is least at the exact answer. To add a loss: a potential in bregman.ts, or its name in `TokenLoss` and a case here.
 */
import { log, logSoftmax, maximum, mul, square, sub, sum } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { divergence } from "./bregman.ts";
import type { Loss } from "./bregman.ts";

/** Smallest probability whose logarithm is taken: 0 log 0 is 0. */
const LEAST = 1e-30;

/**
 * Judges a distribution by its logits against target distributions, or a point against target points, [batch, length, entries]:
 * [batch, length].
 */
export function judged(loss: Loss, target: Tensor, value: Tensor, logits: Tensor | undefined): Tensor {
  if (typeof loss !== "string") return divergence(loss, target, value);
  if (loss === "squared error" || logits === undefined) return sum(square(sub(value, target)), 2);
  const cross: Tensor = sum(mul(target, logSoftmax(logits)), 2);
  if (loss === "cross-entropy") return mul(cross, -1);
  return sub(sum(mul(target, log(maximum(target, LEAST) as Tensor)), 2) as Tensor, cross);
}
