/**
 * Cross-entropy of softmax(h·Wᵀ + b) from targets, without the logits ever being written down: they come and go chunk by chunk of
 * the vocabulary (vocabulary-chunks.ts), in the value and in its derivative. Exact: what differs from the plain composition is the
 * order of sums.
 *
 * A target is a token, a distribution, or a mixture of other layers' softmaxes, whose probabilities come and go along with the logits:
 * what a student learns from teachers of the same vocabulary. Reverse mode computes all logits a second time.
 */
import { customVjp, remat, scan } from "../surface/control.ts";
import { full } from "../surface/create.ts";
import {
  add,
  cast,
  equal,
  exp,
  log,
  maximum,
  minimum,
  mul,
  stopGradient,
  sub,
} from "../surface/elementwise.ts";
import { fail, traced } from "../surface/operand.ts";
import { max, sum } from "../surface/reduce.ts";
import { transpose } from "../surface/shape.ts";
import { mapTree } from "../tree.ts";
import type {
  Dim,
  DType,
  DTypeOf,
  Result,
  SameDim,
  Shape,
  ShapeError,
  ShapeOf,
  ShowShape,
  Tensor,
  Valid,
} from "../types/index.ts";
import { isFloat } from "../types/index.ts";
import type { LinearParams } from "./linear.ts";
import { linearSoftmax } from "./linear-softmax.ts";
import type { Fits, Logits, RowsOf } from "./linear-softmax.ts";
import {
  checkedSoftcap,
  chunkLogits,
  column,
  cut,
  cutOf,
  entriesOf,
  folded,
  layerCotangents,
  layerOf,
  LOWEST,
  pullLogits,
  slicesOf,
  unfolded,
} from "./vocabulary-chunks.ts";
import type { Cut, Layer, LogitOptions, Slice } from "./vocabulary-chunks.ts";

const OP = "linearCrossEntropy";

/** A softmax over the vocabulary as a target, or its share of one: softmax(h·Wᵀ + b) of a layer of its own. */
export interface SoftmaxTarget {
  /** weight [vocab, its width], bias [vocab]. */
  readonly params: LinearParams;
  /** [..., its width]. */
  readonly hidden: Tensor;
  /** As the option of the same name, for this layer. */
  readonly softcap?: number;
  /** log Σ e^logit [...] where a pass has found it already; computed otherwise. */
  readonly logSumExp?: Tensor;
  /** What it is multiplied by, [...]; 1 by default. */
  readonly share?: Tensor;
}

/** Whether two shapes agree as far as they are known. */
type Agree<A extends Shape, B extends Shape> = number extends A["length"]
  ? true
  : number extends B["length"]
    ? true
    : A extends readonly [infer First extends Dim, ...infer Rest extends Shape]
      ? B extends readonly [infer Other extends Dim, ...infer Others extends Shape]
        ? [SameDim<First, Other>] extends [never]
          ? false
          : Agree<Rest, Others>
        : false
      : B["length"] extends 0
        ? true
        : false;

type Must<Wanted, Given extends Shape> = Wanted extends Shape
  ? Agree<Wanted, Given> extends true
    ? Shape
    : ShapeError<`linearCrossEntropy: the targets must be ${ShowShape<Wanted>}, got ${ShowShape<Given>}`>
  : Shape;

/** Targets of logits L [..., vocab]: tokens [...] i32 or a distribution like L. The sentence of logits that failed is theirs to say. */
export type CrossEntropyTargets<L, T> = T extends Tensor
  ? DType extends DTypeOf<T>
    ? Shape
    : Must<DTypeOf<T> extends "i32" ? RowsOf<L> : L, ShapeOf<T>>
  : Shape;

/** Targets as one tree of tensors, none of them differentiated: tokens [rows], or a distribution [rows, vocab], or softmaxes. */
interface Held {
  readonly tokens?: Tensor;
  readonly distribution?: Tensor;
  readonly softmaxes?: readonly HeldSoftmax[];
}

interface HeldSoftmax extends Layer {
  /** [rows]. */
  readonly logSumExp: Tensor;
  readonly share?: Tensor;
}

/** A chunk of what is scanned over. */
interface Piece extends Slice {
  /** [rows, size]. */
  readonly distribution?: Tensor;
  readonly softmaxes?: readonly Slice[];
}

/** What does not change: the caps of the logits and of every softmax among the targets, and the cut. */
interface Setting {
  readonly softcap: number;
  readonly caps: readonly number[];
  readonly cut: Cut;
}

function piecesOf(layer: Layer, held: Held, setting: Setting): Piece {
  const { distribution, softmaxes } = held;
  return {
    ...slicesOf(layer, setting.cut),
    ...(distribution === undefined
      ? {}
      : {
          distribution: transpose(cut(transpose(distribution) as Tensor, setting.cut), [0, 2, 1]) as Tensor,
        }),
    ...(softmaxes === undefined ? {} : { softmaxes: softmaxes.map((one) => slicesOf(one, setting.cut)) }),
  };
}

/** The targets' probabilities of a chunk, [rows, size] f32. */
function targetChunk(held: Held, piece: Piece, setting: Setting): Tensor {
  if (piece.distribution !== undefined) return cast(piece.distribution, "f32");
  if (held.tokens !== undefined)
    return cast(equal(column(held.tokens), entriesOf(piece, setting.cut)) as Tensor, "f32");
  const parts = (held.softmaxes ?? []).map(({ hidden, logSumExp, share }, i): Tensor => {
    const shaping = { softcap: setting.caps[i] ?? 0 };
    const { logits } = chunkLogits(hidden, piece.softmaxes?.[i] as Slice, shaping, setting.cut); // one for each
    const p: Tensor = exp(sub(logits, column(logSumExp)) as Tensor);
    return share === undefined ? p : mul(p, column(share));
  });
  return parts.reduce((a, b) => add(a, b));
}

/** What the targets of a row sum to, [rows] f32; undefined for 1. */
function massOf({ tokens, distribution, softmaxes = [] }: Held): Tensor | undefined {
  if (tokens !== undefined) return undefined;
  if (distribution !== undefined) return sum(cast(distribution, "f32"), 1);
  const shares = softmaxes.map(({ share }) => share);
  if (shares.every((share) => share === undefined) && shares.length === 1) return undefined;
  return softmaxes
    .map(({ share, logSumExp }): Tensor => share ?? (full(logSumExp.shape, 1) as Tensor))
    .reduce((a, b) => add(a, b));
}

/** Normalizers [rows] of the layer, and its cross-entropy: mass · log Σ e^logit − Σ target · logit. */
function value(
  layer: Layer,
  held: Held,
  setting: Setting,
): { readonly loss: Tensor; readonly logSumExp: Tensor } {
  const rows = layer.hidden.shape[0] as number; // a matrix
  interface Carry {
    /** The largest logit so far, to which `total` is relative. */
    readonly top: Tensor;
    readonly total: Tensor;
    readonly along: Tensor;
  }
  // Derivatives of the loop compute a chunk's logits again rather than keep those of all chunks.
  const chunk = remat((top: Tensor, piece: Piece) => {
    const { logits } = chunkLogits(layer.hidden, piece, setting, setting.cut);
    const next: Tensor = maximum(top, stopGradient(max(logits, 1) as Tensor));
    const total: Tensor = sum(exp(sub(logits, column(next)) as Tensor), 1);
    const along: Tensor = sum(mul(targetChunk(held, piece, setting), logits) as Tensor, 1);
    return { next, total, along };
  });
  const start: Carry = { top: full([rows], LOWEST), total: full([rows], 0), along: full([rows], 0) };
  const [end] = scan(
    (carry: Carry, piece: Piece): readonly [Carry, null] => {
      const { next, total, along } = chunk(carry.top, piece);
      const kept: Tensor = mul(carry.total, exp(sub(carry.top, next) as Tensor));
      return [{ top: next, total: add(kept, total), along: add(carry.along, along) }, null];
    },
    start,
    piecesOf(layer, held, setting),
  );
  const logSumExp: Tensor = add(end.top, log(end.total));
  const mass = massOf(held);
  return { loss: sub(mass === undefined ? logSumExp : mul(mass, logSumExp), end.along), logSumExp };
}

interface Residuals {
  readonly layer: Layer;
  readonly held: Held;
  readonly logSumExp: Tensor;
}

/** The layer's cotangents: those of the logits are c·(mass·p − target). */
function pull({ layer, held, logSumExp }: Residuals, cotangent: Tensor, setting: Setting): Layer {
  const { hidden } = layer;
  const mass = massOf(held);
  const level: Tensor = mass === undefined ? cotangent : mul(cotangent, mass);
  const chunk = remat((piece: Piece) => {
    const found = chunkLogits(hidden, piece, setting, setting.cut);
    const p: Tensor = mul(column(level), exp(sub(found.logits, column(logSumExp)) as Tensor));
    const target: Tensor = mul(column(cotangent), targetChunk(held, piece, setting));
    return pullLogits(sub(p, target), found, hidden, piece);
  });
  const [sums, slices] = scan(
    (carry: Tensor, piece: Piece) => {
      const found = chunk(piece);
      return [add(carry, found.hidden) as Tensor, found.slice] as const;
    },
    full(hidden.shape, 0) as Tensor,
    piecesOf(layer, held, setting),
  );
  return layerCotangents(layer, sums, slices, setting.cut);
}

/**
 * −Σ target · log softmax(h·Wᵀ + b), in nats: hidden [..., width], weight [vocab, width], bias [vocab], and targets that are tokens
 * [...] i32 (clamped to the vocabulary), a distribution [..., vocab], or softmaxes whose weighted sum they are -> [...] f32. Targets
 * are constants: no gradient reaches them.
 * @throws OpError when sizes or dtypes do not fit
 */
export function linearCrossEntropy<
  X extends Tensor,
  W extends Tensor,
  T extends Tensor | readonly SoftmaxTarget[],
>(
  params: LinearParams<W>,
  hidden: Valid<X, Fits<X, W, "linearCrossEntropy">>,
  targets: Valid<T, CrossEntropyTargets<Logits<X, W, "linearCrossEntropy">, T>>,
  { softcap = 0, chunk }: LogitOptions = {},
): Result<RowsOf<Logits<X, W, "linearCrossEntropy">>, "f32"> {
  const x: Tensor = hidden as Tensor;
  const layer = layerOf(OP, params, x);
  const setting: Setting = {
    softcap: checkedSoftcap(OP, softcap),
    caps: isList(targets) ? targets.map((one) => checkedSoftcap(OP, one.softcap ?? 0)) : [],
    cut: cutOf(OP, layer.weight.shape[0] as number, chunk), // a matrix
  };
  const held = isList(targets)
    ? heldSoftmaxes(targets, x, setting)
    : heldTensor(targets as unknown as Tensor, x, setting.cut.vocab);
  const run = customVjp(
    (of: Layer) => value(of, held, setting).loss,
    (of: Layer) => {
      const { loss, logSumExp } = value(of, held, setting);
      const residuals: Residuals = { layer: of, held, logSumExp };
      return [loss, residuals] as const;
    },
    (residuals: Residuals, cotangent: Tensor) => [pull(residuals, cotangent, setting)] as const,
  );
  return unfolded(run(layer), x);
}

const isList = (targets: unknown): targets is readonly SoftmaxTarget[] => Array.isArray(targets);

/** Tokens or a distribution for the rows of x [..., width]. */
function heldTensor(targets: Tensor, x: Tensor, vocab: number): Held {
  const { dtype, shape } = traced(OP, targets);
  const rows = x.shape.slice(0, -1);
  const wanted = dtype === "i32" ? rows : [...rows, vocab];
  if (dtype !== "i32" && !isFloat(dtype))
    fail(`${OP}: the targets must be tokens (i32) or a distribution, got ${dtype}`);
  if (shape.join() !== wanted.join())
    fail(`${OP}: the targets must be [${wanted.join(",")}], got [${shape.join(",")}]`);
  if (dtype === "i32")
    return { tokens: maximum(0, minimum(vocab - 1, folded(targets, rows.length))) as Tensor };
  return { distribution: stopGradient(folded(targets, rows.length)) };
}

/** Softmaxes for the rows of x [..., width], with their normalizers. */
function heldSoftmaxes(
  targets: readonly SoftmaxTarget[],
  x: Tensor,
  { cut: { vocab, size } }: Setting,
): Held {
  const rows = x.shape.slice(0, -1);
  if (targets.length === 0) fail(`${OP}: an empty list has no softmax to learn from`);
  const perRow = (what: string, tensor: Tensor): Tensor => {
    const { shape } = traced(OP, tensor);
    if (shape.join() !== rows.join())
      fail(`${OP}: the ${what} of a target must be [${rows.join(",")}], got [${shape.join(",")}]`);
    return stopGradient(cast(folded(tensor, rows.length), "f32"));
  };
  return {
    softmaxes: targets.map(({ params, hidden, softcap = 0, logSumExp, share }): HeldSoftmax => {
      const given = layerOf(OP, params, hidden);
      if (given.weight.shape[0] !== vocab)
        fail(`${OP}: the weight has ${vocab} rows, that of a target ${given.weight.shape[0]}`);
      if (hidden.shape.slice(0, -1).join() !== rows.join())
        fail(`${OP}: the input is [${x.shape.join(",")}], that of a target [${hidden.shape.join(",")}]`);
      const layer = mapTree(stopGradient, given);
      const normalizer: Tensor =
        logSumExp === undefined
          ? linearSoftmax(layer, layer.hidden, { softcap, chunk: size }).logSumExp
          : perRow("logSumExp", logSumExp);
      return {
        ...layer,
        logSumExp: stopGradient(normalizer),
        ...(share === undefined ? {} : { share: perRow("share", share) }),
      };
    }),
  };
}
