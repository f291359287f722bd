/**
 * Exponential moving average of parameters, with which flow models are evaluated.
 */
import { add, cast, div, maximum, mul, sub } from "../surface/elementwise.ts";
import { scalar } from "../surface/create.ts";
import { fail } from "../surface/operand.ts";
import { atCallSite } from "../trace/builder.ts";
import { mapTree } from "../tree.ts";
import type { Tensor } from "../types/index.ts";

export interface EmaOptions {
  /** 0.9999 by default. */
  readonly decay?: number;
  /**
   * Averages over fewer updates at first: the decay of update n is min(decay, (1 + n)/(10 + n)). True by
   * default.
   */
  readonly warmup?: boolean;
}

/**
 * The shadow after an update of the parameters: shadow − (1 − d)·(shadow − params).
 * @param updates number of this update, a scalar counted from 1
 * @throws OpError when the decay is not in [0, 1]
 */
export function ema<P>(
  shadow: P,
  params: P,
  updates: Tensor<[], "i32" | "f32">,
  { decay = 0.9999, warmup = true }: EmaOptions = {},
): P {
  if (!(decay >= 0 && decay <= 1)) fail(`ema: the decay must be in [0, 1], got ${decay}`);
  // 1 − (1 + n)/(10 + n) = 9/(10 + n): no digits are lost.
  const rate: Tensor = warmup ? maximum(div(9, add(cast(updates, "f32"), 10)), 1 - decay) : scalar(1 - decay);
  return atCallSite(() =>
    mapTree(
      (old, param) => {
        const shadowed = cast(old, "f32");
        return cast(sub(shadowed, mul(sub(shadowed, cast(param, "f32")), rate)), old.dtype);
      },
      shadow,
      params,
    ),
  );
}
