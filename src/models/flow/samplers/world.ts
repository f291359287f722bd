/**
 * Where samples live: the source noise of every sample, from a key of its own, and the clean states of tokens. A key per sample, not per
 * batch, so that a sample is the same whatever else is in the batch.
 *
 * Consumed by sample.ts and adaptive.ts. To add a world, return the two functions.
 */
import { add, constant, gather, matmul, mul, oneHot, random, vmap } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import type { Flow } from "../flow.ts";
import { gaussian, momentsOf } from "../source.ts";
import type { Source } from "../source.ts";
import { drawNoise, projectedSpace, spaceFor, tableOf } from "../state-space.ts";
import type { OneHotSpace } from "../state-space.ts";

export interface World {
  /** Source noise [batch, length, dim] of keys [batch, 2] u32. */
  noise(keys: Tensor): Tensor;
  /** Clean states [batch, length, dim] of tokens [batch, length] i32. */
  clean(tokens: Tensor): Tensor;
}

/** A function of a key for every key of [batch, 2]. */
export const perKey = (draw: (key: random.Key) => Tensor, keys: Tensor): Tensor =>
  vmap((key: random.Key) => draw(key))(keys as Tensor<[number, 2], "u32">) as Tensor;

/** The n-th key of every key of [batch, 2]; n is a number, or a scalar of the program. */
export const foldedKeys = (keys: Tensor, n: number | Tensor<[], "i32">): Tensor =>
  perKey((key) => random.foldIn(key, n), keys);

export interface WorldOptions {
  readonly length: number;
  /** N(0, I) by default. */
  readonly source?: Source;
}

const drawn = (source: Source, keys: Tensor, length: number, dim: number): Tensor =>
  perKey((key) => source.sample(key, [length, dim]), keys);

/** One-hot states on the vocabulary. */
export const vocabularyWorld = ({
  vocab,
  length,
  source = gaussian(),
}: WorldOptions & { readonly vocab: number }): World => ({
  noise: (keys) => drawn(source, keys, length, vocab),
  clean: (tokens) => oneHot(tokens as Tensor<readonly number[], "i32">, vocab),
});

const rowsOf =
  (table: Tensor) =>
  (tokens: Tensor): Tensor =>
    gather(table, tokens as Tensor<[], "i32">) as Tensor;

/** States that are rows of a table [vocab, dim], with noise of their own size. */
export const embeddedWorld = (table: Tensor, { length, source = gaussian() }: WorldOptions): World => ({
  noise: (keys) => drawn(source, keys, length, table.shape[1] ?? 0),
  clean: rowsOf(table),
});

/**
 * The world of one-hot states seen through a table E [vocab, width]: h = x·E, as `projectedSpace` has it. Gaussian noise is drawn in width
 * numbers, any other in R^vocab and projected.
 * @param draw where Gaussian noise is drawn; from "vocabulary" paths equal those of `vocabularyWorld` for the same keys
 */
export function projectedWorld(
  table: Tensor,
  { length, source = gaussian() }: WorldOptions,
  draw: "width" | "vocabulary" = "width",
): World {
  const { scale } = source;
  const vocab = table.shape[0] ?? 0;
  // Once for all draws: a square root of EᵀE where noise is drawn in width numbers.
  const factor = projectedSpace(draw).noiseFactor(table);
  return {
    noise: (keys) => {
      if (scale === undefined) return matmul(drawn(source, keys, length, vocab), table);
      const each = keys as Tensor<readonly number[], "u32">;
      const noise: Tensor = mul(drawNoise(factor, each, [keys.shape[0] ?? 0, length], vocab), scale);
      return source.mean === 0 ? noise : add(noise, projectedMean(source, table));
    },
    clean: rowsOf(table),
  };
}

/** m·E, [1, width], for the mean m of noise in R^vocab and a table E [vocab, width]. */
export function projectedMean({ mean }: Source, table: Tensor): Tensor {
  const vocab = table.shape[0] ?? 0;
  return matmul(constant(momentsOf(mean, vocab), [1, vocab]) as Tensor, table);
}

/**
 * The world of a declared flow for a network whose table is E [vocab, width].
 * @param options.space how one-hot states are computed, as in training
 */
export function worldOf(
  { states, source }: Flow,
  embedding: Tensor,
  { length, space: kind = "vocabulary" }: { readonly length: number; readonly space?: OneHotSpace },
): World {
  const options = { length, source };
  if (states.kind === "embedded") return embeddedWorld(tableOf(spaceFor(states), embedding), options);
  if (kind === "projected") return projectedWorld(embedding, options);
  return vocabularyWorld({ ...options, vocab: embedding.shape[0] ?? 0 });
}
