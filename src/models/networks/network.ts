/**
 * What flow models need of a network: a linear map of the state into its width, and logits from there.
 * Consumed by the models in src/models/language; implemented by dit.ts. A new network implements this interface.
 */
import type { Tensor } from "../../dsl/index.ts";

/** Per-call inputs of a network besides the embedded state. */
export interface Conditioning {
  /** Clock time τ of the state, [batch]. */
  readonly tau: Tensor;
  /** Clock time that a flow map jumps to, [batch]; absent for a one-time denoiser. */
  readonly target?: Tensor;
  /** Key of the dropout masks; absent when not training. */
  readonly dropoutKey?: Tensor<[2], "u32">;
}

/** A network over parameters of type P. */
export interface Network<P> {
  readonly vocab: number;
  readonly length: number;
  /** Parameters, drawn with the given key. */
  init(key: Tensor<[2], "u32">): P;
  /** The table E [vocab, width] by which the network sees a state. */
  embedding(params: P): Tensor;
  /** Raw logits [batch, length, vocab] from the embedded state [batch, length, width]. */
  logits(params: P, hidden: Tensor, conditioning: Conditioning): Tensor;
}
