/**
 * A vocabulary in chunks: how functions of the logits h·Wᵀ + b [rows, vocab] are computed without the logits ever being there at once.
 * A scan runs over chunks of the rows of W, as attention runs over its keys (Milakov and Gimelshein 2018; Rabe and Staats 2021); the
 * last chunk is filled up, and what fills it has no probability.
 *
 * Consumed by linear-softmax.ts and linear-cross-entropy.ts. To add a function of the logits: a scan over `slicesOf` for its value,
 * and for its derivative another one, which computes the logits again and hands their cotangents to `pullLogits`.
 */
import { LARGEST_F32 } from "../numerics/float32.ts";
import { iota, scalar } from "../surface/create.ts";
import { add, cast, div, less, mul, sub, tanh, where } from "../surface/elementwise.ts";
import { einsum, matmul } from "../surface/linear-algebra.ts";
import { fail, traced, typed } from "../surface/operand.ts";
import { sum } from "../surface/reduce.ts";
import { expandDims } from "../surface/shape.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import type { Tensor } from "../types/index.ts";
import { linear, operands } from "./linear.ts";
import type { LinearParams } from "./linear.ts";

/** A logit that no other one falls below; finite, because targets need not support infinities. */
export const LOWEST = -LARGEST_F32;

/** The longest chunk by default, and the shortest that is taken instead where it divides the vocabulary. */
const [LONGEST, SHORTEST] = [2048, 1024];

/**
 * The usual number of entries of a vocabulary whose logits exist at a time: its largest divisor between 1024 and 2048, or else 2048.
 * Enough for a product to be efficient, and a few percent of a vocabulary for which this is made.
 */
export function vocabularyChunk(vocab: number): number {
  for (let size = LONGEST; size >= SHORTEST; size--) if (vocab % size === 0) return size;
  return Math.min(vocab, LONGEST);
}

export interface LogitOptions {
  /** Logits are mapped to c·tanh(logit/c); not by default. */
  readonly softcap?: number;
  /**
   * Entries of the vocabulary whose logits exist at a time; see {@link vocabularyChunk} for the default. Where it does not divide the
   * vocabulary, the weight is copied and filled up.
   */
  readonly chunk?: number;
}

/** One number per row, to stretch along it. */
export const column = (x: Tensor): Tensor => expandDims(x, 1);

/** The first `axes` axes as one. */
export function folded(x: Tensor, axes: number): Tensor {
  const t = x as unknown as TracedTensor; // tensors are traced tensors
  const rows = t.shape.slice(0, axes).reduce((a, b) => a * b, 1);
  return typed(prim.reshape(t, [rows, ...t.shape.slice(axes)]));
}

/** Undoes {@link folded}: the first axis as all axes but the last of `like` [..., width]. */
export function unfolded<T>(x: Tensor, like: Tensor): T {
  const t = x as unknown as TracedTensor; // tensors are traced tensors
  return typed(prim.reshape(t, [...like.shape.slice(0, -1), ...t.shape.slice(1)]));
}

/** How a vocabulary is cut. */
export interface Cut {
  readonly vocab: number;
  readonly size: number;
  readonly count: number;
}

/** @throws OpError when `chunk` is not a whole number >= 1, or there is no vocabulary */
export function cutOf(op: string, vocab: number, chunk: number | undefined): Cut {
  if (vocab < 1) fail(`${op}: the weight has no rows, so there is nothing to choose from`);
  if (chunk !== undefined && !(Number.isSafeInteger(chunk) && chunk >= 1))
    fail(`${op}: a chunk must be a whole number >= 1, got ${chunk}`);
  const size = Math.min(vocab, chunk ?? vocabularyChunk(vocab));
  return { vocab, size, count: Math.ceil(vocab / size) };
}

/** @throws OpError when the cap is negative or NaN */
export function checkedSoftcap(op: string, softcap: number): number {
  return softcap >= 0 ? softcap : fail(`${op}: softcap must be at least 0, got ${softcap}`);
}

/** A temperature as a scalar. @throws OpError when it is not one */
export function checkedTemperature(op: string, temperature: number | Tensor): Tensor {
  if (typeof temperature === "number") return scalar(temperature);
  const { shape } = traced(op, temperature);
  return shape.length === 0
    ? temperature
    : fail(`${op}: the temperature must be a scalar, got [${shape.join(",")}]`);
}

/** [vocab, ...] -> [count, size, ...], the end filled with zeros. */
export function cut(x: Tensor, { vocab, size, count }: Cut): Tensor {
  const t = x as unknown as TracedTensor; // tensors are traced tensors
  const rest = t.shape.slice(1);
  const missing = count * size - vocab;
  const none = t.shape.map(() => 0);
  const filled =
    missing === 0 ? t : prim.pad(t, { low: none, high: [missing, ...rest.map(() => 0)], interior: none });
  return typed(prim.reshape(filled, [count, size, ...rest]));
}

/** Undoes {@link cut}. */
export function joined(x: Tensor, { vocab, size, count }: Cut): Tensor {
  const t = x as unknown as TracedTensor; // tensors are traced tensors
  return typed(prim.sliceAxis(prim.reshape(t, [count * size, ...t.shape.slice(2)]), 0, 0, vocab));
}

/** A linear layer and what goes into it: hidden [rows, width], weight [vocab, width], bias [vocab]. */
export interface Layer {
  readonly hidden: Tensor;
  readonly weight: Tensor;
  readonly bias?: Tensor;
}

/** The layer with its input's leading axes as one. @throws OpError when sizes or dtypes do not fit */
export function layerOf(op: string, params: LinearParams, hidden: Tensor): Layer {
  const { input, weight, bias } = operands(op, params, hidden);
  if (input.dtype !== weight.dtype) fail(`${op}: dtypes differ: ${input.dtype} vs ${weight.dtype}; use cast`);
  return {
    hidden: folded(typed(input), input.shape.length - 1),
    weight: typed(weight),
    ...(bias === undefined ? {} : { bias: typed<Tensor>(bias) }),
  };
}

/** A chunk of a layer's parameters, weight [size, width] and bias [size], and its first entry in the vocabulary, [] i32. */
export interface Slice extends LinearParams {
  readonly first: Tensor;
}

/** A layer in chunks, stacked: what a scan runs over. */
export const slicesOf = ({ weight, bias }: Layer, cut_: Cut): Slice => ({
  weight: cut(weight, cut_),
  first: mul(iota([cut_.count]), cut_.size),
  ...(bias === undefined ? {} : { bias: cut(bias, cut_) }),
});

/** The entries of a chunk, [size] i32. */
export const entriesOf = ({ first }: Slice, { size }: Cut): Tensor => add(iota([size]), first);

/** What becomes of h·Wᵀ + b before the softmax. */
export interface Shaping {
  /** 0 for none. */
  readonly softcap: number;
  /** A scalar; 1 without it. */
  readonly temperature?: Tensor;
}

/** Logits of a chunk, and their derivative with respect to h·Wᵀ + b where it is not 1. Both [rows, size] f32. */
export interface ChunkLogits {
  readonly logits: Tensor;
  readonly slope?: Tensor;
}

/**
 * The logits of a chunk: capped, divided by the temperature, and {@link LOWEST} where the chunk is filled up. In f32 whatever the
 * layer's dtype is, since the sums over the vocabulary are.
 */
export function chunkLogits(
  hidden: Tensor,
  slice: Slice,
  { softcap, temperature }: Shaping,
  cut_: Cut,
): ChunkLogits {
  const { weight, bias } = slice;
  const plain: Tensor = cast(
    linear(bias === undefined ? { weight } : { weight, bias }, hidden) as Tensor,
    "f32",
  );
  const bent: Tensor | undefined = softcap > 0 ? tanh(mul(plain, 1 / softcap) as Tensor) : undefined;
  const capped: Tensor = bent === undefined ? plain : mul(bent, softcap);
  const tempered: Tensor = temperature === undefined ? capped : div(capped, temperature);
  const whole = cut_.vocab % cut_.size === 0;
  const logits: Tensor = whole ? tempered : where(less(entriesOf(slice, cut_), cut_.vocab), tempered, LOWEST);
  const slope: Tensor | undefined = bent === undefined ? undefined : sub(1, mul(bent, bent) as Tensor);
  if (temperature === undefined) return slope === undefined ? { logits } : { logits, slope };
  return { logits, slope: div(slope ?? 1, temperature) };
}

/** Cotangents of a layer's input [rows, width], in f32 because they are added up over the chunks, and of one chunk's parameters. */
export interface LayerCotangents {
  readonly hidden: Tensor;
  readonly slice: LinearParams;
}

/** The cotangents of what a chunk's logits are made of, from the logits' own [rows, size] f32. */
export function pullLogits(
  cotangent: Tensor,
  { slope }: ChunkLogits,
  hidden: Tensor,
  slice: Slice,
): LayerCotangents {
  const plain: Tensor = slope === undefined ? cotangent : mul(cotangent, slope);
  const narrow: Tensor = cast(plain, hidden.dtype);
  return {
    hidden: cast(matmul(narrow, slice.weight) as Tensor, "f32"),
    slice: {
      weight: einsum("rows size, rows width -> size width", narrow, hidden),
      ...(slice.bias === undefined ? {} : { bias: cast(sum(plain, 0), slice.bias.dtype) as Tensor }),
    },
  };
}

/** The cotangents of a layer from those of its input, in f32, and of its chunks. */
export const layerCotangents = (like: Layer, hidden: Tensor, slices: LinearParams, cut_: Cut): Layer => ({
  hidden: cast(hidden, like.hidden.dtype),
  weight: joined(slices.weight, cut_),
  ...(slices.bias === undefined ? {} : { bias: joined(slices.bias, cut_) }),
});
