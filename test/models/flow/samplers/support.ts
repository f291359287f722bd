/** Worlds to sample in, and running a sampler on the interpreter. Consumed by the tests of samplers. */
import type { ExactTensor } from "../../../../src/compiler/host-tensor.ts";
import type { Tensor } from "../../../../src/dsl/index.ts";
import { fold, key } from "../../../../src/models/flow/host-random.ts";
import type { Interpolant } from "../../../../src/models/flow/interpolant.ts";
import { oracleDenoiser } from "../../../../src/models/flow/oracle-denoiser.ts";
import { corpusOracle } from "../../../../src/models/flow/oracle.ts";
import type { Corpus } from "../../../../src/models/flow/corpus.ts";
import { sample } from "../../../../src/models/flow/samplers/sample.ts";
import type { SampleInputs } from "../../../../src/models/flow/samplers/sample.ts";
import { held } from "../../../../src/models/flow/samplers/sampled-denoiser.ts";
import type { SampledDenoiser } from "../../../../src/models/flow/samplers/sampled-denoiser.ts";
import type { Schedule } from "../../../../src/models/flow/samplers/schedule.ts";
import { vocabularyWorld } from "../../../../src/models/flow/samplers/world.ts";
import type { TwoTimeDenoiser } from "../../../../src/models/flow/two-time.ts";
import { evaluate, list, words } from "../../../support/evaluate.ts";

/** "New York" and "San Diego". */
export const PHRASES: Corpus = { vocab: 4, sequences: [[0, 1], [2, 3]] }; // prettier-ignore

/** Keys of the samples numbered from `from`. */
export const keysOf = (seed: number, count: number, from = 0): ExactTensor =>
  words([count, 2], Array.from({ length: count }, (_, i) => [...fold(key(seed), from + i)]).flat());

/** The exact denoiser of a corpus, of one time. */
export const exactDenoiser = (corpus: Corpus, interpolant: Interpolant): TwoTimeDenoiser =>
  held(oracleDenoiser(corpusOracle(corpus), interpolant), interpolant);

export const worldOf = ({ vocab, sequences }: Corpus) =>
  vocabularyWorld({ vocab, length: sequences[0]?.length ?? 0 });

/** Samples of a corpus. */
export const sampled = (
  corpus: Corpus,
  denoiser: SampledDenoiser | (() => SampledDenoiser),
  schedule: Schedule,
  keys: ExactTensor,
  more: (inputs: { readonly keys: Tensor }) => Partial<SampleInputs> = () => ({}),
): { readonly state: ExactTensor; readonly tokens: ExactTensor } =>
  evaluate({ keys }, ({ keys: each }) => {
    const inputs = { keys: each, world: worldOf(corpus), ...more({ keys: each }) };
    const { state, tokens } = sample(
      typeof denoiser === "function" ? denoiser() : denoiser,
      schedule,
      inputs,
    );
    return { state, tokens };
  });

/** The texts of tokens [count, length]. */
export function textsOf(tokens: ExactTensor): readonly string[] {
  const [count = 0, length = 0] = tokens.shape;
  const all = list(tokens);
  return Array.from({ length: count }, (_, i) => all.slice(i * length, (i + 1) * length).join(" "));
}

/** How many of the texts are none of the corpus. */
export const mixtures = ({ sequences }: Corpus, texts: readonly string[]): number =>
  texts.filter((text) => !sequences.some((sequence) => sequence.join(" ") === text)).length;
