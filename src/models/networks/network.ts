/**
 * What flow models need of a network: a linear map of the state into its width, and logits from there.
 * Consumed by the models in src/models/language; implemented by dit.ts. A new network implements this interface.
 */
import type { nn, Tensor } from "../../dsl/index.ts";

/** Per-call inputs of a network besides the embedded state. */
export interface Conditioning {
  /** Clock time τ of the state, [batch]. */
  readonly tau: Tensor;
  /** Clock time that a flow map jumps to, [batch]; absent for a one-time denoiser. */
  readonly target?: Tensor;
  /** Key of the dropout masks; absent when not training. */
  readonly dropoutKey?: Tensor<[2], "u32">;
}

/** A last layer that is linear, and what goes into it: all that functions of the logits need to compute them part by part. */
export interface LinearHead<P> {
  /** Features [batch, length, width of the head] from the embedded state [batch, length, width]. */
  features(params: P, hidden: Tensor, conditioning: Conditioning): Tensor;
  /** Weight [vocab, width of the head], bias [vocab]. */
  layer(params: P): nn.LinearParams;
}

/** A network over parameters of type P. */
export interface Network<P> {
  readonly vocab: number;
  readonly length: number;
  /** Parameters, drawn with the given key. */
  init(key: Tensor<[2], "u32">): P;
  /** The table E [vocab, width] by which the network sees a state. */
  embedding(params: P): Tensor;
  /**
   * Raw logits [batch, length, vocab] from the embedded state [batch, length, width]; for a network of points of an embedding, the points
   * [batch, length, width].
   */
  logits(params: P, hidden: Tensor, conditioning: Conditioning): Tensor;
  /** Where the raw logits are features·Wᵀ + b: the two parts. */
  readonly head?: LinearHead<P>;
  /**
   * Entries of the vocabulary whose logits exist at a time: losses and samplers then stream the vocabulary and never hold
   * [batch, length, vocab]. All of them by default.
   */
  readonly vocabularyChunk?: number;
}

/** The network with its vocabulary streamed, `chunk` entries at a time. @throws RangeError when its last layer is not linear */
export function streamed<P>(network: Network<P>, chunk: number): Network<P> {
  if (network.head === undefined)
    throw new RangeError(
      "a network streams its vocabulary only if its last layer is linear, and this one has no head",
    );
  return { ...network, vocabularyChunk: chunk };
}
