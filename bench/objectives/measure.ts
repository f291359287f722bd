/**
 * What samples are worth: how many are sentences of the corpus, which of them appear, and how far their distribution is from the corpus'.
 *
 * Consumed by run.ts and by tests.
 */
import { argmax, constant, fn, u32 } from "../../src/dsl/index.ts";
import { fold, key } from "../../src/models/flow/host-random.ts";
import type { Flow } from "../../src/models/flow/flow.ts";
import { corpusOracle } from "../../src/models/flow/oracle.ts";
import { held, sample, vocabularyWorld } from "../../src/models/flow/samplers/index.ts";
import { foldedKeys } from "../../src/models/flow/samplers/world.ts";
import type { SampledDenoiser, Schedule } from "../../src/models/flow/samplers/index.ts";
import { vocabularySpace } from "../../src/models/flow/state-space.ts";
import { flowDenoiser, mapDenoiser } from "../../src/models/language/declared-network.ts";
import { dit } from "../../src/models/networks/dit.ts";
import type { DitConfig, DitParams } from "../../src/models/networks/dit.ts";
import { weightsSpec } from "../../src/models/training/state.ts";
import { compile, disposeTree } from "../../src/runtime/compile.ts";
import type { Device } from "../../src/runtime/device.ts";
import type { SentenceCorpus } from "./corpus.ts";
import type { Weights } from "./train.ts";

export interface Quality {
  readonly samples: number;
  /** Share of samples that are sentences of the corpus, and Wilson's interval of it at 95 %. */
  readonly known: number;
  readonly interval: readonly [number, number];
  /** How many sentences of the corpus appear. */
  readonly sentences: number;
  /** Total variation between the samples and the corpus, and its mean for as many samples of the corpus itself. */
  readonly distance: number;
  readonly noise: number;
  /** Share of samples that are what the exact flow of the corpus makes of the same noise; only where that was asked for. */
  readonly followed?: number;
}

/** Wilson's interval of a share at 95 %. */
export function wilson(hits: number, n: number): readonly [number, number] {
  const z = 1.959964;
  const share = hits / n;
  const middle = (share + z ** 2 / (2 * n)) / (1 + z ** 2 / n);
  const half = (z / (1 + z ** 2 / n)) * Math.sqrt((share * (1 - share)) / n + z ** 2 / (4 * n ** 2));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

/** E|B − n/k| of a binomial B of n draws with probability 1/k, times k/(2n): the mean total variation of n draws of k equal sentences. */
export function samplingNoise(n: number, k: number): number {
  const p = 1 / k;
  let [probability, sum] = [(1 - p) ** n, 0];
  for (let hits = 0; hits <= n; hits++) {
    sum += probability * Math.abs(hits - n * p);
    probability *= ((n - hits) / (hits + 1)) * (p / (1 - p));
  }
  return (k * sum) / (2 * n);
}

/** Judges tokens [samples, length]. */
export function judge(
  { sequences, length }: SentenceCorpus,
  tokens: ArrayLike<number>,
  exact?: ArrayLike<number>,
): Quality {
  const samples = tokens.length / length;
  const rows = (ids: ArrayLike<number>): readonly string[] =>
    Array.from({ length: samples }, (_, i) =>
      Array.from({ length }, (_unused, l) => ids[i * length + l]).join(" "),
    );
  const counts = new Map(sequences.map((sequence) => [sequence.join(" "), 0]));
  const written = rows(tokens);
  for (const row of written) {
    const count = counts.get(row);
    if (count !== undefined) counts.set(row, count + 1);
  }
  const found = [...counts.values()];
  const hits = found.reduce((a, b) => a + b, 0);
  const outside = 1 - hits / samples;
  const apart = found.reduce((sum, count) => sum + Math.abs(count / samples - 1 / sequences.length), outside);
  const wanted = exact === undefined ? undefined : rows(exact);
  return {
    samples,
    known: hits / samples,
    interval: wilson(hits, samples),
    sentences: found.filter((count) => count > 0).length,
    distance: apart / 2,
    noise: samplingNoise(samples, sequences.length),
    ...(wanted === undefined
      ? {}
      : { followed: written.filter((row, i) => row === wanted[i]).length / samples }),
  };
}

/** Keys of samples: the same noise for whoever is asked. */
export const sampleKeys = (seed: number, samples: number): Uint32Array =>
  Uint32Array.from(Array.from({ length: samples }, (_, i) => fold(fold(key(seed), 2000), i)).flat());

/** Tokens of samples by a schedule, of a flow, or of a flow map where the network has a target time. */
export async function drawn(
  device: Device,
  flow: Flow,
  network: DitConfig,
  weights: Weights,
  schedule: Schedule,
  keys: Uint32Array,
): Promise<ArrayLike<number>> {
  const { vocab, length } = network;
  const program = fn({ params: weightsSpec(network), keys: u32(keys.length / 2, 2) }, (input) => {
    // The tree that the specification is of.
    const model = {
      network: dit(network),
      params: input.params as unknown as DitParams,
      space: vocabularySpace,
    };
    const denoiser: SampledDenoiser =
      network.targetTime === true
        ? mapDenoiser(flow, model)
        : held(flowDenoiser(flow, model), flow.interpolant);
    const { tokens } = sample(denoiser, schedule, {
      keys: input.keys,
      world: vocabularyWorld({ vocab, length }),
    });
    return { tokens };
  });
  const compiled = await compile(program, { device });
  const { tokens } = await compiled.run({ params: weights, keys });
  const { data } = await tokens.read();
  disposeTree(tokens);
  await compiled.dispose();
  return Array.from(data, Number);
}

/** What the exact flow of a corpus makes of the noise of the same keys, for a flow of standard normal noise on the line to the data. */
export async function followedExactly(
  device: Device,
  { words, length, sequences }: SentenceCorpus,
  keys: Uint32Array,
  steps = 48,
): Promise<ArrayLike<number>> {
  const vocab = words.length;
  const oracle = corpusOracle({ vocab, sequences });
  const samples = keys.length / 2;
  const program = fn({ keys: u32(samples, 2) }, (input) => {
    const noise = vocabularyWorld({ vocab, length }).noise(foldedKeys(input.keys, 0)); // as sample draws it
    const time = (t: number) => constant(Array<number>(samples).fill(t), [samples]);
    return { tokens: argmax(oracle.flowMap(noise, time(0), time(1), { steps }), 2) };
  });
  const compiled = await compile(program, { device });
  const { tokens } = await compiled.run({ keys });
  const { data } = await tokens.read();
  disposeTree(tokens);
  await compiled.dispose();
  return Array.from(data, Number);
}
