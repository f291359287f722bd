/**
 * One pass over the vocabulary, and its derivative: a scan over chunks with a running maximum that the sums are relative to (Milakov
 * and Gimelshein 2018), and for the derivative a second scan, which computes the logits again. Consumed by linear-softmax.ts.
 */
import { customVjp, remat, scan } from "../surface/control.ts";
import { full, scalar } from "../surface/create.ts";
import {
  add,
  cast,
  div,
  exp,
  greater,
  log,
  maximum,
  mul,
  neg,
  stopGradient,
  sub,
  where,
} from "../surface/elementwise.ts";
import { matmul } from "../surface/linear-algebra.ts";
import { argmax, max, sum } from "../surface/reduce.ts";
import { transpose } from "../surface/shape.ts";
import type { Tensor } from "../types/index.ts";
import type { LinearParams } from "./linear.ts";
import {
  chunkLogits,
  column,
  cut,
  joined,
  layerCotangents,
  LOWEST,
  pullLogits,
  slicesOf,
} from "./vocabulary-chunks.ts";
import type { Cut, Layer, Shaping, Slice } from "./vocabulary-chunks.ts";

/** What a pass takes, as one tree: the layer, and what is asked of it. */
export interface PassInputs extends Layer {
  /** [vocab, out]. */
  readonly values?: Tensor;
  readonly temperature?: Tensor;
}

/** What it gives, [rows] and [rows, out], all f32 but the mode. */
export interface PassOutputs {
  readonly logSumExp: Tensor;
  readonly mode: Tensor;
  readonly probability: Tensor;
  readonly expectation?: Tensor;
}

interface Piece extends Slice {
  readonly values?: Tensor;
}

const piecesOf = (inputs: PassInputs, cut_: Cut): Piece => ({
  ...slicesOf(inputs, cut_),
  ...(inputs.values === undefined ? {} : { values: cut(inputs.values, cut_) }),
});

const shapingOf = (softcap: number, { temperature }: PassInputs): Shaping =>
  temperature === undefined ? { softcap } : { softcap, temperature };

/** x·y of x [rows, n] f32 and y [n, m] of any dtype, in f32. */
const product = (x: Tensor, y: Tensor): Tensor => cast(matmul(cast(x, y.dtype), y) as Tensor, "f32");

interface Carry {
  /** The largest logit so far and its place; the sums are relative to it. */
  readonly top: Tensor;
  readonly mode: Tensor;
  readonly total: Tensor;
  readonly weighted?: Tensor;
}

/** The value, forwards. */
function pass(inputs: PassInputs, softcap: number, cut_: Cut): PassOutputs {
  const { hidden, values } = inputs;
  const rows = hidden.shape[0] as number; // a matrix
  // Derivatives of the loop compute a chunk's logits again rather than keep those of all chunks.
  const chunk = remat((top: Tensor, piece: Piece) => {
    const { logits } = chunkLogits(hidden, piece, shapingOf(softcap, inputs), cut_);
    const best: Tensor = stopGradient(max(logits, 1) as Tensor);
    const next: Tensor = maximum(top, best);
    const exponentials: Tensor = exp(sub(logits, column(next)) as Tensor);
    const mode: Tensor = add(argmax(logits, 1), piece.first);
    const sums = {
      total: sum(exponentials, 1) as Tensor,
      ...(piece.values === undefined ? {} : { weighted: product(exponentials, piece.values) }),
    };
    return { best, next, mode, sums };
  });
  const start: Carry = {
    top: full([rows], LOWEST),
    mode: full([rows], 0, "i32"),
    total: full([rows], 0),
    ...(values === undefined ? {} : { weighted: full([rows, values.shape[1] as number], 0) }),
  };
  const [end] = scan(
    (carry: Carry, piece: Piece): readonly [Carry, null] => {
      const { best, next, mode, sums } = chunk(carry.top, piece);
      const keep: Tensor = exp(sub(carry.top, next) as Tensor);
      const total: Tensor = add(mul(carry.total, keep), sums.total);
      const first: Tensor = where(greater(best, carry.top), mode, carry.mode);
      if (carry.weighted === undefined || sums.weighted === undefined)
        return [{ top: next, mode: first, total }, null];
      const weighted: Tensor = add(mul(carry.weighted, column(keep)), sums.weighted);
      return [{ top: next, mode: first, total, weighted }, null];
    },
    start,
    piecesOf(inputs, cut_),
  );
  const logSumExp: Tensor = add(end.top, log(end.total));
  return {
    logSumExp,
    mode: end.mode,
    probability: stopGradient(exp(sub(end.top, logSumExp) as Tensor)),
    ...(end.weighted === undefined ? {} : { expectation: div(end.weighted, column(end.total)) as Tensor }),
  };
}

interface Residuals {
  readonly inputs: PassInputs;
  readonly logSumExp: Tensor;
  readonly expectation?: Tensor;
}

/**
 * Cotangents of a pass: with the cotangents a of log Σ e^logit and c of the expectation e, those of the logits are
 * p·(a + c·values − c·e), where p comes from the normalizer that the pass found.
 */
function pullPass(
  { inputs, logSumExp, expectation }: Residuals,
  cotangents: PassOutputs,
  softcap: number,
  cut_: Cut,
): PassInputs {
  const { hidden, values, temperature } = inputs;
  const along = cotangents.expectation;
  const level: Tensor =
    along === undefined || expectation === undefined
      ? cotangents.logSumExp
      : sub(cotangents.logSumExp, sum(mul(along, expectation) as Tensor, 1));
  const chunk = remat((piece: Piece) => {
    const found = chunkLogits(hidden, piece, shapingOf(softcap, inputs), cut_);
    const p: Tensor = exp(sub(found.logits, column(logSumExp)) as Tensor);
    const towards: Tensor =
      along === undefined || piece.values === undefined
        ? column(level)
        : add(column(level), product(along, transpose(piece.values) as Tensor));
    const cotangent: Tensor = mul(p, towards);
    return {
      ...pullLogits(cotangent, found, hidden, piece),
      // logits = capped / temperature
      temperature: neg(sum(mul(cotangent, found.logits) as Tensor) as Tensor) as Tensor,
      ...(along === undefined || piece.values === undefined
        ? {}
        : { values: cast(matmul(transpose(p) as Tensor, along) as Tensor, piece.values.dtype) as Tensor }),
    };
  });
  interface Sums {
    readonly hidden: Tensor;
    readonly temperature: Tensor;
  }
  const start: Sums = { hidden: full(hidden.shape, 0), temperature: scalar(0) };
  const [sums, parts] = scan(
    (carry: Sums, piece: Piece) => {
      const found = chunk(piece);
      const next: Sums = {
        hidden: add(carry.hidden, found.hidden),
        temperature: add(carry.temperature, found.temperature),
      };
      const own: { readonly slice: LinearParams; readonly values?: Tensor } = {
        slice: found.slice,
        ...(found.values === undefined ? {} : { values: found.values }),
      };
      return [next, own] as const;
    },
    start,
    piecesOf(inputs, cut_),
  );
  return {
    ...layerCotangents(inputs, sums.hidden, parts.slice, cut_),
    ...(values === undefined || parts.values === undefined ? {} : { values: joined(parts.values, cut_) }),
    ...(temperature === undefined
      ? {}
      : { temperature: cast(div(sums.temperature, temperature) as Tensor, temperature.dtype) }),
  };
}

/** The pass with its derivative. */
export const softmaxPass = (inputs: PassInputs, softcap: number, cut_: Cut): PassOutputs =>
  customVjp(
    (all: PassInputs) => pass(all, softcap, cut_),
    (all: PassInputs) => {
      const outputs = pass(all, softcap, cut_);
      const { logSumExp, expectation } = outputs;
      const residuals: Residuals = {
        inputs: all,
        logSumExp,
        ...(expectation === undefined ? {} : { expectation }),
      };
      return [outputs, residuals] as const;
    },
    (residuals: Residuals, cotangents: PassOutputs) =>
      [pullPass(residuals, cotangents, softcap, cut_)] as const,
  )(inputs);
