/**
 * What objectives in logits share. Consumed by lagrangian.ts and eulerian.ts.
 */
import { add, log, logSoftmax, maximum, mul, softmax, sub, sum } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";

/** Below this ratio of D to ψ a target says nothing new: see `quotient`. */
const LEAST = 1e-3;

/**
 * Logits of D/ratio, where ratio = D/ψ at the exact map: log D − log ratio. The ratio comes from derivatives and may be anything
 * elsewhere, also negative, and where the flow is committed both it and D are nearly 0. Where it is below LEAST it is taken for
 * LEAST, and where D/ψ is, D is taken for LEAST · ψ: then the target is bounded and ψ itself is still what fulfils it.
 * @param logits of D, up to a constant
 * @param own logits of ψ, up to a constant
 * @param weight positive factor of D and of ratio both, [batch, 1, 1]
 */
export function quotient(logits: Tensor, own: Tensor, ratio: Tensor, weight?: Tensor): Tensor {
  const plain = logSoftmax(logits);
  const numerator: Tensor = weight === undefined ? plain : add(plain, log(maximum(weight, SMALL)));
  const floor: Tensor = add(logSoftmax(own), Math.log(LEAST));
  return sub(maximum(numerator, floor), log(maximum(ratio, LEAST)));
}

/** What log takes instead of 0. */
const SMALL = 1e-30;

/** ż − ⟨softmax z, ż⟩, per token: the derivative of log softmax z. */
export const centered = (z: Tensor, rate: Tensor): Tensor =>
  sub(rate, sum(mul(softmax(z), rate), 2, { keepDims: true }) as Tensor);

/** The logits of a denoiser. @throws TypeError when its values are not distributions over tokens */
export function logitsOf<A extends readonly unknown[]>(
  denoiser: { readonly logits?: (...inputs: A) => Tensor },
  ...inputs: A
): Tensor {
  if (denoiser.logits === undefined)
    throw new TypeError(
      'An objective in logits needs a denoiser over tokens, and this one predicts a point: declare predicts "clean token", or take the objective in probabilities.',
    );
  return denoiser.logits(...inputs);
}
