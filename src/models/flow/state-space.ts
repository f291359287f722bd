/**
 * Where the flow's state lives. The network sees a state x in R^V per token only through h = x·E, and every update of a flow
 * language model is linear in x, the denoiser and the noise; so the state may as well be h itself, in R^d.
 *
 *   vocabulary: state x, noise N(0, I_V), clean token one-hot, denoiser p       (arXiv:2602.16813)
 *   projected:  state h, noise N(0, EᵀE), clean token a row of E, denoiser p·E  (the same process seen through E)
 *   embedded:   state z, noise N(0, I_d), clean token a row of a table, denoiser p·table  (another process; states.ts)
 *
 * Consumed by losses and samplers, which are written once for both. To add a space, return the same functions; the test
 * compares its samples with those of `vocabularySpace` for the same noise.
 */
import {
  constant,
  div,
  gather,
  iota,
  matmul,
  maximum,
  mul,
  oneHot,
  random,
  sqrt,
  square,
  stopGradient,
  sum,
  vmap,
} from "../../dsl/index.ts";
import type { Dim, Tensor } from "../../dsl/index.ts";
import { noiseRoot, projectedNoise } from "./noise-root.ts";
import { normOf, oneHotStates } from "./states.ts";
import type { EmbeddedStates, States } from "./states.ts";

/** How one-hot states are computed: as they are, or seen through the network's table. */
export type OneHotSpace = "vocabulary" | "projected";

/** The linear picture of the flow's state that an objective or sampler needs. `embedding` is the table E [vocab, width]. */
export interface StateSpace {
  readonly kind: OneHotSpace | "embedded";
  /** Source noise [...rows, dim] of one key [2], or of a key for each of the first rows [rows[0], 2]. */
  noise(key: Tensor<readonly Dim[], "u32">, rows: readonly Dim[], embedding: Tensor): Tensor;
  /** What the noise needs of the embedding. A sampler, whose weights stay, computes it once, for {@link drawNoise}. */
  noiseFactor(embedding: Tensor): NoiseFactor;
  /** The clean state of tokens [...rows] -> [...rows, dim]. */
  clean(tokens: Tensor, embedding: Tensor): Tensor;
  /** The state of a distribution over tokens: probabilities [...rows, vocab] -> [...rows, dim]. */
  expected(probabilities: Tensor, embedding: Tensor): Tensor;
  /** What the network's first layer makes of a state: [...rows, dim] -> [...rows, width]. */
  embed(state: Tensor, embedding: Tensor): Tensor;
}

/** Noise is a product ε·F of standard normal ε and the matrix F [n, dim]; without a matrix it is ε itself. */
export interface NoiseFactor {
  readonly matrix?: Tensor;
}

const product = (x: Tensor, y: Tensor): Tensor => matmul(x, y);
const vocabularyOf = (embedding: Tensor): number => embedding.shape[0] ?? 0;

/** Standard normal numbers; with a key per row, a row's do not depend on the other rows. */
function normals(key: Tensor<readonly Dim[], "u32">, shape: readonly Dim[]): Tensor {
  const draw = (one: Tensor<[2], "u32">, size: readonly Dim[]): Tensor => random.normal(one, size) as Tensor;
  // The rank of a key is known when the function is traced.
  if (key.shape.length === 1) return draw(key as Tensor<[2], "u32">, shape);
  return vmap((one: Tensor<[2], "u32">) => draw(one, shape.slice(1)))(
    key as Tensor<[number, 2], "u32">,
  ) as Tensor;
}

/**
 * The source noise [...rows, dim] that {@link StateSpace.noise} gives for the same key, from the factor of its embedding. Not for
 * training: its derivative in the embedding is not that of `noise`.
 * @param vocab size of the vocabulary, which is `dim` without a matrix
 */
export function drawNoise(
  { matrix }: NoiseFactor,
  key: Tensor<readonly Dim[], "u32">,
  rows: readonly Dim[],
  vocab: number,
): Tensor {
  if (matrix === undefined) return normals(key, [...rows, vocab]);
  return product(normals(key, [...rows, matrix.shape[0] ?? 0]), matrix);
}

/** States on R^V, as published. */
export const vocabularySpace: StateSpace = {
  kind: "vocabulary",
  noiseFactor: () => ({}),
  noise: (key, rows, embedding) => normals(key, [...rows, vocabularyOf(embedding)]),
  clean: (tokens, embedding) => oneHot(tokens, vocabularyOf(embedding)),
  expected: (probabilities) => probabilities,
  embed: product,
};

/**
 * States on R^d, the width of the embedding: the same process seen through E.
 *
 * @param draw "width" draws noise in R^d with the covariance EᵀE (see noise-root.ts) where the vocabulary is larger than d;
 *   "vocabulary" always draws it in R^V and projects it, so that sample paths equal those of {@link vocabularySpace} for the same key
 */
export function projectedSpace(draw: "width" | "vocabulary" = "width"): StateSpace {
  /** Whether noise is drawn on the vocabulary: a small one has fewer numbers to draw, and EᵀE is singular. */
  const onVocabulary = ([vocab = 0, width = 0]: readonly number[]): boolean =>
    draw === "vocabulary" || vocab <= width;
  return {
    kind: "projected",
    noiseFactor: (embedding) => ({
      matrix: onVocabulary(embedding.shape) ? embedding : noiseRoot(embedding),
    }),
    noise: (key, rows, embedding) => {
      if (onVocabulary(embedding.shape))
        return product(vocabularySpace.noise(key, rows, embedding), embedding);
      return projectedNoise(embedding, normals(key, [...rows, embedding.shape[1] ?? 0]));
    },
    clean: (tokens, embedding) => gather(embedding, tokens as Tensor<[], "i32">) as Tensor,
    expected: product,
    embed: (state) => state,
  };
}

/** Less than the squared length of any row that has one. */
const LEAST = 1e-30;

/**
 * States that are rows of a table, with standard normal noise in their own space: the network's table, with or without a gradient, or a
 * given one. The network takes them as they are.
 * @throws RangeError, as it is used, for a given table that is not [vocab, width] of the network
 */
export function embeddedSpace({ table, norm }: EmbeddedStates): StateSpace {
  const normed = (rows: Tensor): Tensor => {
    if (norm === undefined) return rows;
    const axis = rows.shape.length - 1;
    const size: Tensor = sqrt(maximum(sum(square(rows), [axis], { keepDims: true }) as Tensor, LEAST));
    return mul(rows, div(normOf(norm, rows.shape[axis] ?? 0), size)) as Tensor;
  };
  const rowsOf = (embedding: Tensor): Tensor => {
    if (table === "learned") return embedding;
    if (table === "frozen") return stopGradient(embedding) as Tensor;
    const [vocab = 0, width = 0] = embedding.shape;
    const [rows, columns] = [table.length, table[0]?.length ?? 0];
    if (rows !== vocab || columns !== width)
      throw new RangeError(
        `The given table of embeddings is [${rows}, ${columns}], and the network has ${vocab} tokens and the width ${width}.`,
      );
    return constant(table.flat(), [rows, columns]);
  };
  return {
    kind: "embedded",
    noiseFactor: () => ({}),
    noise: (key, rows, embedding) => normals(key, [...rows, embedding.shape[1] ?? 0]),
    clean: (tokens, embedding) => normed(gather(rowsOf(embedding), tokens as Tensor<[], "i32">) as Tensor),
    expected: (probabilities, embedding) => product(probabilities, normed(rowsOf(embedding))),
    embed: (state) => state,
  };
}

/** The space of one-hot states, as training and sampling compute them. */
export const spaceOf = (kind: OneHotSpace): StateSpace =>
  kind === "projected" ? projectedSpace() : vocabularySpace;

/** The space of declared states; `kind` says how one-hot states are computed, and nothing of others. */
export const spaceFor = (states: States = oneHotStates, kind: OneHotSpace = "vocabulary"): StateSpace =>
  states.kind === "one-hot" ? spaceOf(kind) : embeddedSpace(states);

/** The table of the clean states of all tokens, [vocab, dim]: what the nearest token of a point is found by. */
export const tableOf = (space: StateSpace, embedding: Tensor): Tensor =>
  space.clean(iota([vocabularyOf(embedding)]) as Tensor, embedding);
