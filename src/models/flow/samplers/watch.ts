/**
 * Watching a sampling: what somebody makes of every call of the denoiser, beside the samples, which stay what they are.
 *
 * Consumed by sample.ts and endpoints.ts, which call it, and by training/watching.ts, which watches.
 */
import type { Tensor } from "../../../dsl/index.ts";

/** A call of the denoiser. */
export interface WatchedCall {
  /** The state that is denoised, [batch, length, dim]. */
  readonly state: Tensor;
  /**
   * What is said of it: distributions over tokens [batch, length, vocab], or points, as the denoiser has them. Where the sampler knows that a
   * token is finished, that token for certain.
   */
  readonly value: Tensor;
  /** The tokens that follow, [batch, length] i32: the most probable or the nearest ones, or those that are drawn. */
  readonly tokens: Tensor;
}

export type Watched = Readonly<Record<string, Tensor>>;

/** Called in every call of the denoiser; what it returns is stacked, [calls, ...]. */
export type Watch = (call: WatchedCall) => Watched;
