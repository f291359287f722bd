/**
 * The exact flow of a finite corpus on the sphere: the law of a state given its text is known (density.ts), so the posterior over
 * texts is a softmax, and the denoiser and the drift are exact; the flow is integrated by steps of order 1 or 2.
 *
 * Consumed by verify, tests and examples. Everything is in the language.
 */
import { add, constant, einsum, expandDims, gather, mul, oneHot, scan, softmax, sub, sum } from "../../../dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../dsl/index.ts";
import { checkCorpus } from "../corpus.ts";
import type { Corpus } from "../corpus.ts";
import type { Time } from "../two-time.ts";
import { sphere } from "./geometry.ts";
import type { SphericalFlow } from "./spherical-flow.ts";
import { eulerStep, midpointStep } from "./step.ts";

export interface IntegrationOptions {
  /** Steps from source to target time; 64 by default. */
  readonly steps?: number;
  /** Order of the steps; 2 by default. */
  readonly order?: 1 | 2;
}

/** The exact fields of a corpus. States are [batch, length, d], times [batch]. */
export interface SphericalOracle {
  readonly vocab: number;
  readonly length: number;
  /** Unit vectors of tokens, [vocab, d]. */
  table(): Tensor;
  /** Unit vectors of the sequences, [sequences, length, d]. */
  states(): Tensor;
  /** Probability of every sequence given x, [batch, sequences]. */
  posterior(x: Tensor, t: Tensor): Tensor;
  /** Distribution over tokens given x, [batch, length, vocab]. */
  denoiser(x: Tensor, t: Tensor): Tensor;
  /** b_t(x), for t < 1. */
  drift(x: Tensor, t: Tensor): Tensor;
  /** X_{s,t}(x) for s <= t <= 1. */
  flowMap(x: Tensor, s: Tensor, t: Tensor, options?: IntegrationOptions): Tensor;
}

/**
 * @param embedding a vector per token, [vocab][d], which is normalized; without a pattern, or rows of a trained table
 * @throws RangeError as checkCorpus does, and when vectors are not one per token, of one size of at least 2, of finite numbers and not 0
 */
export function sphericalOracle(
  flow: SphericalFlow,
  { vocab, sequences, weights }: Corpus,
  embedding: readonly (readonly number[])[],
): SphericalOracle {
  const length = checkCorpus({ vocab, sequences, weights });
  const dimension = checkVectors(vocab, embedding);
  const total = weights?.reduce((sum, w) => sum + w, 0) ?? sequences.length;
  const logWeights = sequences.map((_, k) => Math.log((weights?.[k] ?? 1) / total));
  const ids = () => constant(sequences.flat(), [sequences.length, length], "i32");
  // Of the sphere whatever the flow takes for it: what is compared with the oracle must be on it.
  const table = (): Tensor => sphere.unit(constant(embedding.flat(), [vocab, dimension]));
  const states = (): Tensor => gather(table(), ids()) as Tensor;
  const posterior = (x: Tensor, t: Tensor): Tensor => {
    const perToken = flow.logDensity(expandDims(x, 1), expandDims(states(), 0), t);
    return softmax(add(sum(perToken, 2), constant(logWeights, [sequences.length]))) as Tensor;
  };
  const denoiser = (x: Tensor, t: Tensor): Tensor =>
    einsum("b k, k l v -> b l v", posterior(x, t), oneHot(ids(), vocab) as Tensor);
  return {
    vocab,
    length,
    table,
    states,
    posterior,
    denoiser,
    drift: (x, t) => flow.drift(x, table(), denoiser(x, t), t),
    flowMap(x, s, t, { steps = 64, order = 2 } = {}) {
      const moving = { flow, table: table(), distribution: (at: Tensor, time: Time) => denoiser(at, time.t) };
      const at = (share: Tensor): Time => {
        const time: Tensor = add(s, mul(sub(t, s) as Tensor, share));
        return { t: time, tau: time, rate: time };
      };
      const [end] = scan(
        (state: Tensor, share: Tensor) => {
          const [from, middle, to] = [0, 1 / 2, 1].map((part) => at(add(share, part / steps) as Tensor)) as [
            Time,
            Time,
            Time,
          ]; // three
          const next =
            order === 1 ? eulerStep(moving, state, from, to) : midpointStep(moving, state, from, middle, to);
          return [flow.geometry.unit(next.state), null];
        },
        x,
        constant(
          Array.from({ length: steps }, (_, i) => i / steps),
          [steps],
        ) as Tensor,
      );
      return end;
    },
  };
}

/** @returns the dimension of the vectors */
function checkVectors(vocab: number, embedding: readonly (readonly number[])[]): number {
  const dimension = embedding[0]?.length ?? 0;
  const fits = (row: readonly number[]): boolean =>
    row.length === dimension && row.every(Number.isFinite) && row.some((x) => x !== 0);
  if (embedding.length !== vocab || dimension < 2 || !embedding.every(fits))
    throw new RangeError(
      `A corpus on the sphere needs a vector for each of ${vocab} tokens, of one size of at least 2, of finite numbers and not 0.`,
    );
  return dimension;
}
