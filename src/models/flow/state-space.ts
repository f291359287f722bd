/**
 * Where the flow's state lives. The network sees a state x in R^V per token only through h = x·E, and every update of a flow
 * language model is linear in x, the denoiser and the noise; so the state may as well be h itself, in R^d.
 *
 *   vocabulary: state x, noise N(0, I_V), clean token one-hot, denoiser p       (arXiv:2602.16813)
 *   projected:  state h, noise N(0, EᵀE), clean token a row of E, denoiser p·E  (the same process seen through E)
 *
 * Consumed by losses and samplers, which are written once for both. To add a space, return the same functions; the test
 * compares its samples with those of `vocabularySpace` for the same noise.
 */
import { gather, matmul, oneHot, random, vmap } from "../../dsl/index.ts";
import type { Dim, Tensor } from "../../dsl/index.ts";
import { noiseRoot, projectedNoise } from "./noise-root.ts";

/** The linear picture of the flow's state that an objective or sampler needs. `embedding` is the table E [vocab, width]. */
export interface StateSpace {
  readonly kind: "vocabulary" | "projected";
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

/** The space of a kind, as training and sampling use it. */
export const spaceOf = (kind: StateSpace["kind"]): StateSpace =>
  kind === "projected" ? projectedSpace() : vocabularySpace;
