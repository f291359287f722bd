/**
 * softmax(h·Wᵀ + b) without its logits or probabilities ever being written down: its normalizer, its mode, and the expectation of
 * values under it, chunk by chunk of the vocabulary (softmax-pass.ts). Exact: what differs from the plain composition is
 * the order of sums.
 *
 * Consumed by samplers, whose states are expectations of rows of an embedding, and by linear-cross-entropy.ts's callers, whose targets
 * are such distributions. Costs one more product h·Wᵀ in reverse mode than the plain composition.
 */
import { cast } from "../surface/elementwise.ts";
import { fail, traced } from "../surface/operand.ts";
import type {
  BinaryDType,
  Dim,
  DTypeOf,
  Result,
  SameDim,
  Shape,
  ShapeError,
  ShapeOf,
  ShowDim,
  Tensor,
  Valid,
} from "../types/index.ts";
import type { Linear, LinearParams } from "./linear.ts";
import { softmaxPass } from "./softmax-pass.ts";
import type { PassInputs, PassOutputs } from "./softmax-pass.ts";
import { checkedSoftcap, checkedTemperature, cutOf, layerOf, unfolded } from "./vocabulary-chunks.ts";
import type { LogitOptions } from "./vocabulary-chunks.ts";

export interface LinearSoftmaxOptions extends LogitOptions {
  /** Capped logits are divided by it; 1 by default. A number or a scalar. */
  readonly temperature?: number | Tensor;
}

/** Without the last axis. */
export type RowsOf<S> = S extends readonly [...infer Rows extends Shape, Dim] ? [...Rows] : S;

/** [..., vocab] probabilities and values [vocab, out] give [..., out]; the sentence of probabilities that failed is theirs to say. */
export type Expectation<P, V extends Shape> = P extends ShapeError
  ? Shape
  : number extends V["length"]
    ? Shape
    : V extends readonly [infer Count extends Dim, infer Out extends Dim]
      ? P extends readonly [...infer Rows extends Shape, infer Vocab extends Dim]
        ? [SameDim<Vocab, Count>] extends [never]
          ? ShapeError<`linearSoftmaxExpectation: the weight has ${ShowDim<Vocab>} rows, there are ${ShowDim<Count>} values`>
          : [...Rows, Out]
        : Shape
      : ShapeError<"linearSoftmaxExpectation: the values must be a matrix [vocab, width]">;

/** The rule of the logits, which are never there. */
export type Logits<X extends Tensor, W extends Tensor, Op extends string> = Linear<
  ShapeOf<X>,
  ShapeOf<W>,
  Op
>;
export type Fits<X extends Tensor, W extends Tensor, Op extends string> =
  | Logits<X, W, Op>
  | BinaryDType<Op, DTypeOf<X>, DTypeOf<W>>;

/** What one pass over the vocabulary says of softmax(h·Wᵀ + b). In f32 whatever the dtype of the layer. */
export interface LinearSoftmax<S = Shape> {
  /** log Σ e^logit, [...]. */
  readonly logSumExp: Result<S, "f32">;
  /** The first of the most probable entries, [...] i32. */
  readonly mode: Result<S, "i32">;
  /** The probability of the mode, [...]; no gradient goes through it. */
  readonly probability: Result<S, "f32">;
}

/**
 * softmax(h·Wᵀ + b) in one pass over the vocabulary: hidden [..., width], weight [vocab, width], bias [vocab] -> numbers of every row
 * [...]; for the expectation as well, see {@link linearSoftmaxExpectation}.
 * @throws OpError when sizes or dtypes do not fit
 */
export function linearSoftmax<X extends Tensor, W extends Tensor>(
  params: LinearParams<W>,
  hidden: Valid<X, Fits<X, W, "linearSoftmax">>,
  options: LinearSoftmaxOptions = {},
): LinearSoftmax<RowsOf<Logits<X, W, "linearSoftmax">>> {
  const x: Tensor = hidden as Tensor;
  const { logSumExp, mode, probability } = runPass("linearSoftmax", params, x, undefined, options);
  return {
    logSumExp: unfolded(logSumExp, x),
    mode: unfolded(mode, x),
    probability: unfolded(probability, x),
  };
}

/**
 * softmax(h·Wᵀ + b)·values, for sampling in the space of an embedding: hidden [..., width], weight [vocab, width], bias [vocab],
 * values [vocab, out] -> the expectation [..., out] of the values' dtype, and what {@link linearSoftmax} says, of the same pass.
 * @throws OpError when sizes or dtypes do not fit
 */
export function linearSoftmaxExpectation<X extends Tensor, W extends Tensor, V extends Tensor>(
  params: LinearParams<W>,
  hidden: Valid<X, Fits<X, W, "linearSoftmaxExpectation">>,
  values: Valid<V, Expectation<Logits<X, W, "linearSoftmaxExpectation">, ShapeOf<V>>>,
  options: LinearSoftmaxOptions = {},
): LinearSoftmax<RowsOf<Logits<X, W, "linearSoftmaxExpectation">>> & {
  readonly expectation: Result<Expectation<Logits<X, W, "linearSoftmaxExpectation">, ShapeOf<V>>, DTypeOf<V>>;
} {
  const [x, table]: readonly [Tensor, Tensor] = [hidden as Tensor, values as Tensor];
  const found = runPass("linearSoftmaxExpectation", params, x, table, options);
  const expectation: Tensor = cast(found.expectation as Tensor, table.dtype); // values were given
  return {
    expectation: unfolded(expectation, x),
    logSumExp: unfolded(found.logSumExp, x),
    mode: unfolded(found.mode, x),
    probability: unfolded(found.probability, x),
  };
}

/** The pass over checked inputs. */
function runPass(
  op: string,
  params: LinearParams,
  hidden: Tensor,
  values: Tensor | undefined,
  { softcap = 0, temperature, chunk }: LinearSoftmaxOptions,
): PassOutputs {
  const layer = layerOf(op, params, hidden);
  const vocab = layer.weight.shape[0] as number; // a matrix
  const inputs: PassInputs = {
    ...layer,
    ...(values === undefined ? {} : { values: checkedValues(op, values, vocab) }),
    ...(temperature === undefined ? {} : { temperature: checkedTemperature(op, temperature) }),
  };
  return softmaxPass(inputs, checkedSoftcap(op, softcap), cutOf(op, vocab, chunk));
}

function checkedValues(op: string, values: Tensor, vocab: number): Tensor {
  const { shape } = traced(op, values);
  if (shape.length !== 2) fail(`${op}: the values must be a matrix [vocab, width], got [${shape.join(",")}]`);
  if (shape[0] !== vocab) fail(`${op}: the weight has ${vocab} rows, there are ${shape[0]} values`);
  return values;
}
