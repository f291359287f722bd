/**
 * A weighting that learns: a small network w of the clock times, sinusoids -> 128 -> GELU -> 1, and the loss e^{−w} L + w, which is least
 * where w is the logarithm of the expected loss at those times (Kendall et al. 2018; Karras et al. 2024, arXiv:2312.02696). So every time
 * ends up with about the same say. Its last layer is zero at first: w = 0, the plain loss. w has parameters of its own, which are trained
 * with those of the network and are part of the training's state.
 *
 * Consumed by users as `models.weightings.learned`, and by training.
 */
import { partsOf } from "./declared-parts.ts";
import { add, concat, exp, gelu, mul, neg, nn, random, squeeze } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";

/** Parameters of w. */
export interface LearnedWeights {
  readonly hidden: nn.LinearParams;
  readonly out: nn.LinearParams;
}

export interface LearnedWeighting {
  readonly kind: "learned";
  readonly name: string;
  /** Parameters, for rows with this many times: 1 in a flow, 2 in a flow map. */
  init(key: Tensor<[2], "u32">, times: 1 | 2): LearnedWeights;
  /** w of clock times [batch]: [batch]. */
  exponent(weights: LearnedWeights, taus: readonly [Tensor] | readonly [Tensor, Tensor]): Tensor;
  /** e^{−w} L + w of losses [batch, length] and w [batch, 1]. */
  weighted(loss: Tensor, exponent: Tensor): Tensor;
}

export interface LearnedOptions {
  /** Width of the hidden layer; 128 by default. */
  readonly hidden?: number;
  /** Sinusoidal features of each time, an even number; 256 by default, as networks are told the time. */
  readonly features?: number;
  /** Whether in flow maps w depends on the target's time as well as on the state's. True by default; a flow has no target. */
  readonly target?: boolean;
}

/** @throws RangeError unless `hidden` is a whole number from 1 and `features` an even one from 2 */
export function learned(options: LearnedOptions = {}): LearnedWeighting {
  const {
    hidden = 128,
    features = 256,
    target = true,
  } = partsOf("A learned weighting", options, ["hidden", "features", "target"]);
  if (!Number.isSafeInteger(hidden) || hidden < 1)
    throw new RangeError(
      `The hidden layer of a learned weighting has a whole number of units >= 1, not ${hidden}.`,
    );
  if (!Number.isSafeInteger(features / 2) || features < 2)
    throw new RangeError(
      `A learned weighting sees an even number of features >= 2 of a time, not ${features}.`,
    );
  return {
    kind: "learned",
    name: "learned",
    init(key, times) {
      const [first, second] = random.split(key, 2);
      const { zeros } = nn.initializers;
      return {
        hidden: nn.initLinear(first, { inputs: target ? times * features : features, outputs: hidden }),
        out: nn.initLinear(second, { inputs: hidden, outputs: 1, weightInit: zeros, biasInit: zeros }),
      };
    },
    exponent(weights, taus) {
      const seen = target ? taus : taus.slice(0, 1);
      const told: Tensor = concat(
        seen.map((tau) => nn.sinusoids(tau, { count: features }) as Tensor),
        1,
      );
      const units: Tensor = nn.linear(weights.hidden, told);
      return squeeze(nn.linear(weights.out, gelu(units)) as Tensor, 1);
    },
    weighted: (loss, exponent) => add(mul(exp(neg(exponent)), loss), exponent),
  };
}
