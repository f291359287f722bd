/**
 * A prediction that holds its logits [batch, length, vocab]: the quickest way for a small vocabulary, and the definition of what the
 * streamed kind must give. Made by `predict` in denoiser.ts.
 */
import {
  argmax,
  cast,
  concat,
  cumsum,
  div,
  expandDims,
  lessEqual,
  logSumExp,
  max,
  minimum,
  mul,
  softmax,
  squeeze,
  stopGradient,
  sub,
  sum,
  takeAlong,
} from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { once } from "./once.ts";
import { writtenTarget } from "./prediction.ts";
import type { Prediction } from "./prediction.ts";

/** @param expected the state of probabilities [batch, length, vocab] */
export function writtenPrediction(logits: Tensor, expected: (probabilities: Tensor) => Tensor): Prediction {
  const vocab = logits.shape.at(-1) ?? 0;
  const probabilities = once((): Tensor => softmax(logits));
  return {
    logits: () => logits,
    probabilities,
    expected: () => expected(probabilities()),
    mode: () => ({ tokens: argmax(probabilities(), 2), confidence: max(probabilities(), 2) }),
    draw(temperature, uniforms) {
      const distribution = cumsum(softmax(div(logits, temperature)), 2);
      const below = sum(cast(lessEqual(distribution, expandDims(uniforms, 2)), "f32"), 2);
      // Rounding may leave the last value of the distribution function below the largest uniform number.
      return cast(minimum(below, vocab - 1), "i32");
    },
    tokenLoss: (tokens) => sub(logSumExp(logits, 2), squeeze(takeAlong(logits, expandDims(tokens, 2)), 2)),
    asTarget: () => ({ probabilities: probabilities() }),
    crossEntropy(targets) {
      const target = stopGradient(
        concat(
          targets.map((part) => writtenTarget(part, vocab)),
          0,
        ),
      );
      // The target sums to 1, so −Σ target·log δ is log Σ e^logit − Σ target·logit: fewer passes over the vocabulary.
      return sub(logSumExp(logits, 2), sum(mul(target, logits), 2));
    },
  };
}
