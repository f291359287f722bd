/**
 * A prediction that holds the features and the last layer and computes logits part by part of the vocabulary, whenever something is
 * asked: there is no tensor of [batch, length, vocab], neither forwards nor backwards, at the price of computing logits again. For
 * large vocabularies. Made by `predict` in denoiser.ts.
 *
 * What is written down by definition stays so: logits and probabilities where they are asked for, and the expected state
 * where states live on the vocabulary.
 */
import { concat, nn, slice, softcap, softmax } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { once } from "./once.ts";
import type { Prediction, Target } from "./prediction.ts";

export interface StreamedParts {
  /** What the last layer takes, [batch, length, width]. */
  readonly features: Tensor;
  /** Weight [vocab, width], bias [vocab]. */
  readonly layer: nn.LinearParams;
  /** Cap on the logits, 0 for none. */
  readonly softcap: number;
  /** Entries of the vocabulary whose logits exist at a time. */
  readonly chunk: number;
  /** The state of every token, [vocab, dim]; absent where states are distributions themselves. */
  readonly states?: Tensor;
}

const rowsOf = (target: Target): number => {
  const like =
    "tokens" in target
      ? target.tokens
      : "probabilities" in target
        ? target.probabilities
        : target.softmaxes[0]?.hidden;
  return like?.shape[0] ?? 0;
};

const contentOf = (target: Target): Tensor | readonly nn.SoftmaxTarget[] =>
  "tokens" in target ? target.tokens : "probabilities" in target ? target.probabilities : target.softmaxes;

export function streamedPrediction({
  features,
  layer,
  softcap: cap,
  chunk,
  states,
}: StreamedParts): Prediction {
  const options = { softcap: cap, chunk };
  const logits = once((): Tensor => {
    const plain: Tensor = nn.linear(layer, features);
    return cap > 0 ? softcap(plain, cap) : plain;
  });
  const probabilities = once((): Tensor => softmax(logits()));
  // One pass serves all questions; what nobody asks for is not computed.
  const pass = once((): nn.LinearSoftmax & { readonly expectation?: Tensor } =>
    states === undefined
      ? nn.linearSoftmax(layer, features, options)
      : nn.linearSoftmaxExpectation(layer, features, states, options),
  );
  const lossOf = (x: Tensor, target: Target): Tensor =>
    nn.linearCrossEntropy(layer, x, contentOf(target), options);
  return {
    logits,
    probabilities,
    expected: () => pass().expectation ?? probabilities(),
    mode: () => ({ tokens: pass().mode, confidence: pass().probability }),
    draw: (temperature, uniforms) =>
      nn.linearSoftmaxDraw(layer, features, uniforms, { ...options, temperature }),
    tokenLoss: (tokens) => lossOf(features, { tokens }),
    asTarget: () => ({
      softmaxes: [{ params: layer, hidden: features, softcap: cap, logSumExp: pass().logSumExp }],
    }),
    crossEntropy(targets) {
      let start = 0;
      const parts = targets.map((target) => {
        const stop = start + rowsOf(target);
        const rows: Tensor = slice(features, 0, start, stop);
        start = stop;
        return lossOf(rows, target);
      });
      return concat(parts, 0);
    },
  };
}
