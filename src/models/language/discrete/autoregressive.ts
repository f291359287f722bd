/**
 * The autoregressive baseline: every token from those before it. A causal network of tokens [batch, length − 1] gives logits for the tokens
 * after them.
 *
 * Consumed by training and evaluation of the baseline and by tests.
 */
import { constant, logSumExp, slice, sub, where } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { entryAt } from "./process.ts";

/** What the network sees, the tokens but for the last, and what it is to say, the tokens but for the first: [batch, length − 1] each. */
export function nextTokens(tokens: Tensor): { readonly inputs: Tensor; readonly targets: Tensor } {
  const length = tokens.shape[1] ?? 0;
  return { inputs: slice(tokens, 1, 0, length - 1), targets: slice(tokens, 1, 1, length) };
}

/**
 * −log p of the targets, [batch, length], in nats.
 * @param mask a token that is never said, where the vocabulary has one
 */
export function nextTokenLoss(logits: Tensor, targets: Tensor, mask?: number): Tensor {
  const vocab = logits.shape[2] ?? 0;
  const never = constant(
    Array.from({ length: vocab }, (_, v) => Number(v === mask)),
    [vocab],
    "bool",
  );
  const allowed: Tensor = mask === undefined ? logits : where(never, -1e30, logits);
  return sub(logSumExp(allowed, 2), entryAt(allowed, targets));
}
