/**
 * Gradient surgery (Yu et al. 2020; for flow maps Discrete Flow Maps, arXiv:2604.09784): of one part of a gradient, what works against
 * another part is left out. A flow map learns its diagonal from the data and everything else from itself; where the two disagree, the
 * data are right.
 *
 * Consumed by declared.ts, for flow maps that are declared with `surgery`.
 */
import { add, div, less, mapTree, maximum, mul, optim, scalar, sub, vjp, where } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";

/**
 * Two losses of one computation, and the gradient of each. The computation is done once, and differentiated backwards twice.
 */
export function gradientsOfParts<P>(
  parts: (params: P) => readonly [Tensor<[]>, Tensor<[]>],
  params: P,
): { readonly values: readonly [Tensor<[]>, Tensor<[]>]; readonly gradients: readonly [P, P] } {
  const { value, pullback } = vjp(parts, params);
  const [one, none] = [scalar(1), scalar(0)] as unknown as [Tensor<[]>, Tensor<[]>]; // of the losses' dtype
  return { values: value, gradients: [pullback([one, none])[0], pullback([none, one])[0]] };
}

/**
 * `along` + `other`, where of `other` the component that points against `along` is left out: with ⟨other, along⟩ < 0,
 * other − ⟨other, along⟩/‖along‖² along. So the inner product of the result with `along` is at least ‖along‖². Where the two agree it is
 * their sum.
 */
export function projected<P>(along: P, other: P): P {
  const inner = optim.innerProduct(other, along);
  // Without a gradient along, there is nothing to work against.
  const length = maximum(optim.innerProduct(along, along), SMALL);
  const against = where(less(inner, 0), div(inner, length), 0);
  return mapTree((a, b) => add(a, sub(b as Tensor, mul(a, against))) as Tensor, along, other);
}

/**
 * The same two gradients for `projected`, of weights with those of a learned weighting beside them: what the weighting learns is all in the
 * second, so that it has no part in whether the two agree, and keeps its sum. How much rows count is no opinion on what is predicted.
 */
export function apartFromWeighting<P extends { readonly weighting?: unknown }>(
  along: P,
  other: P,
): readonly [P, P] {
  if (along.weighting === undefined) return [along, other];
  const none = mapTree((x) => mul(x, 0), along.weighting);
  const both = mapTree((a, b) => add(a, b as Tensor), along.weighting, other.weighting);
  return [
    { ...along, weighting: none },
    { ...other, weighting: both },
  ];
}

/** Below this a squared norm is none, also in single precision. */
const SMALL = 1e-30;
