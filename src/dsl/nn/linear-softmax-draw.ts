/**
 * Draws from softmax(h·Wᵀ + b) without its logits or probabilities ever being written down: one pass over chunks of the vocabulary for
 * the normalizer (linear-softmax.ts), one that inverts the distribution function at given uniform numbers. Consumed by samplers.
 */
import { scan } from "../surface/control.ts";
import { full } from "../surface/create.ts";
import { add, cast, exp, lessEqual, minimum, sub } from "../surface/elementwise.ts";
import { fail, traced } from "../surface/operand.ts";
import { cumsum, sum } from "../surface/reduce.ts";
import type { Result, Tensor, Valid } from "../types/index.ts";
import type { LinearParams } from "./linear.ts";
import { linearSoftmax } from "./linear-softmax.ts";
import type { Fits, LinearSoftmaxOptions, Logits, RowsOf } from "./linear-softmax.ts";
import {
  checkedSoftcap,
  checkedTemperature,
  chunkLogits,
  column,
  cutOf,
  folded,
  layerOf,
  slicesOf,
  unfolded,
} from "./vocabulary-chunks.ts";
import type { Shaping, Slice } from "./vocabulary-chunks.ts";

const OP = "linearSoftmaxDraw";

/**
 * One entry per row, by the probabilities softmax((h·Wᵀ + b)/temperature): hidden [..., width], weight [vocab, width], bias [vocab] and
 * uniform numbers in [0, 1) [...] f32 -> the entries [...] i32 in whose intervals of the distribution function the numbers fall.
 * @throws OpError when sizes or dtypes do not fit
 */
export function linearSoftmaxDraw<X extends Tensor, W extends Tensor>(
  params: LinearParams<W>,
  hidden: Valid<X, Fits<X, W, "linearSoftmaxDraw">>,
  uniforms: Tensor,
  options: LinearSoftmaxOptions = {},
): Result<RowsOf<Logits<X, W, "linearSoftmaxDraw">>, "i32"> {
  const x: Tensor = hidden as Tensor;
  const layer = layerOf(OP, params, x);
  const rows = x.shape.slice(0, -1);
  const { shape } = traced(OP, uniforms);
  if (shape.join() !== rows.join())
    fail(`${OP}: the uniform numbers must be [${rows.join(",")}], got [${shape.join(",")}]`);
  const cut = cutOf(OP, layer.weight.shape[0] as number, options.chunk); // a matrix
  const { softcap = 0, temperature } = options;
  const shaping: Shaping = {
    softcap: checkedSoftcap(OP, softcap),
    ...(temperature === undefined ? {} : { temperature: checkedTemperature(OP, temperature) }),
  };
  const { logSumExp } = linearSoftmax(layer, layer.hidden, options);
  const points = column(folded(uniforms, rows.length));
  interface Carry {
    /** Probability of all entries before the chunk, and number of entries up to whose ends the function stays below the point. */
    readonly below: Tensor;
    readonly passed: Tensor;
  }
  const count = logSumExp.shape[0] as number; // one per row
  const start: Carry = { below: full([count], 0), passed: full([count], 0, "i32") };
  const [{ passed }] = scan(
    (carry: Carry, slice: Slice): readonly [Carry, null] => {
      const { logits } = chunkLogits(layer.hidden, slice, shaping, cut);
      const p: Tensor = exp(sub(logits, column(logSumExp)) as Tensor);
      const ends: Tensor = add(column(carry.below), cumsum(p, 1));
      const more: Tensor = sum(cast(lessEqual(ends, points) as Tensor, "i32"), 1);
      return [{ below: add(carry.below, sum(p, 1)), passed: add(carry.passed, more) }, null];
    },
    start,
    slicesOf(layer, cut),
  );
  // Rounding may leave the function's last value below the largest uniform number.
  return unfolded(minimum(passed, cut.vocab - 1) as Tensor, x);
}
