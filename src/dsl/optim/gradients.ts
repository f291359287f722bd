/**
 * What happens to gradients between differentiation and the optimizer: their norm, clipping, and the dynamic
 * loss scale that keeps f16 gradients from vanishing.
 */
import { LARGEST_F32 } from "../numerics/float32.ts";
import { OpError } from "../ops/definition.ts";
import {
  abs,
  add,
  and,
  cast,
  div,
  equal,
  lessEqual,
  minimum,
  mul,
  not,
  sqrt,
  square,
  where,
} from "../surface/elementwise.ts";
import { scalar } from "../surface/create.ts";
import { blaming, fail } from "../surface/operand.ts";
import { sum } from "../surface/reduce.ts";
import { reshape } from "../surface/shape.ts";
import { atCallSite } from "../trace/builder.ts";
import { mapTree, treeLeaves } from "../tree.ts";
import type { Tensor } from "../types/index.ts";

type Scalar = Tensor<[], "f32">;

const total = (terms: readonly Scalar[]): Scalar => terms.reduce((a, b) => add(a, b), scalar(0));
const scaled = (x: Tensor, factor: Scalar): Tensor => cast(mul(cast(x, "f32"), factor), x.dtype);

/** Vectors longer than this are summed in two steps. */
const LONG = 2 ** 14;

/**
 * The sum over a tensor. Long vectors, such as packed gradients, are first summed in up to 1024 rows, where their length divides by a
 * power of two: targets sum rows in parallel, and f32 loses less.
 */
function sumOf(x: Tensor): Scalar {
  const [length = 0] = x.shape;
  let rows = 1;
  while (rows < 1024 && length % (2 * rows) === 0) rows *= 2;
  const long = x.shape.length === 1 && length > LONG && rows > 1;
  return sum(long ? (sum(reshape(x, [rows, length / rows]), 1) as Tensor) : x) as Scalar;
}

/** Σ a b over all entries of all leaves of two trees of one structure. */
export function innerProduct<P>(a: P, b: P): Scalar {
  return atCallSite(() => {
    const products = mapTree((x, y) => mul(cast(x, "f32"), cast(y as Tensor, "f32")), a, b);
    return total(treeLeaves(products).map(sumOf));
  });
}

/** √Σx² over all entries of all leaves. */
export function globalNorm(tree: unknown): Scalar {
  return atCallSite(() => sqrt(total(treeLeaves(tree).map((leaf) => sumOf(square(cast(leaf, "f32")))))));
}

/**
 * Scales the tree down to norm `most` where it is larger: by min(1, most/(norm + 1e-6)), as PyTorch does.
 * Also returns the norm before.
 * @throws OpError when `most` is not positive
 */
export function clipByGlobalNorm<P>(tree: P, most: number): { readonly tree: P; readonly norm: Scalar } {
  if (!(most > 0)) fail(`clipByGlobalNorm: the largest norm must be positive, got ${most}`);
  const norm = globalNorm(tree);
  const factor = minimum(div(most, add(norm, 1e-6)), 1);
  return { tree: atCallSite(() => mapTree((leaf) => scaled(leaf, factor), tree)), norm };
}

/**
 * Whether no leaf holds an infinity or NaN. By counting the entries that do not compare as at most the
 * largest number: targets may assume that infinities do not occur, but not that a comparison is not made.
 */
export function allFinite(tree: unknown): Tensor<[], "bool"> {
  const counts = treeLeaves(tree).map((leaf) =>
    sumOf(cast(not(lessEqual(abs(cast(leaf, "f32")), LARGEST_F32)), "f32")),
  );
  return equal(total(counts), 0);
}

/** The tree `yes` where the condition holds, else `no`: skips an update as a whole. */
export const selectTree = <P>(condition: Tensor<[], "bool">, yes: P, no: P): P =>
  mapTree((a, b) => where(condition, a, b), yes, no);

/** State of a dynamic loss scale. */
export interface LossScale {
  /** Factor of the loss. */
  readonly scale: Scalar;
  /** Finite steps since the scale last changed. */
  readonly goodSteps: Tensor<[], "i32">;
}

export interface LossScaleOptions {
  /** Factor after `interval` finite steps; 2 by default. */
  readonly growth?: number;
  /** Factor after a step that is not finite; ½ by default. */
  readonly backoff?: number;
  /** 2000 by default. */
  readonly interval?: number;
}

/** The state before the first step; powers of two scale without rounding. */
export const initLossScale = (scale = 2 ** 16): LossScale => ({
  scale: scalar(scale),
  goodSteps: scalar(0, "i32"),
});

/** loss·scale. */
export const scaleLoss = (state: LossScale, loss: Scalar): Scalar => mul(loss, state.scale);

/** Gradients of the scaled loss as gradients of the loss, and whether all are finite. */
export function unscale<P>(
  state: LossScale,
  grads: P,
): { readonly grads: P; readonly finite: Tensor<[], "bool"> } {
  const inverse = div(1, state.scale);
  return { grads: mapTree((leaf) => scaled(leaf, inverse), grads), finite: allFinite(grads) };
}

/**
 * The next state: less at once after a step that was not finite, more after `interval` finite ones. Such a
 * step should also be skipped: `selectTree(finite, updated, previous)`.
 * @throws OpError when a factor is on the wrong side of 1
 */
export function updateLossScale(
  state: LossScale,
  finite: Tensor<[], "bool">,
  { growth = 2, backoff = 0.5, interval = 2000 }: LossScaleOptions = {},
): LossScale {
  return blaming(() => {
    if (!(growth >= 1 && backoff > 0 && backoff <= 1 && interval >= 1)) {
      throw new OpError(
        `updateLossScale: needs growth >= 1, 0 < backoff <= 1 and interval >= 1, got ${growth}, ${backoff} and ${interval}`,
      );
    }
    const good = where(finite, add(state.goodSteps, 1), 0);
    const grows = and(finite, lessEqual(interval, good));
    const scale = where(
      finite,
      where(grows, mul(state.scale, growth), state.scale),
      mul(state.scale, backoff),
    );
    return { scale, goodSteps: where(grows, 0, good) };
  });
}
