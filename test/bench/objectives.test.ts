/**
 * The comparison of objectives at a tiny size: corpus, judgement, one training from beginning to end; and where attention's scores would
 * be stored, by a step that differentiates the network along a direction.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compete, preparedFlow } from "../../bench/objectives/compete.ts";
import { CONTESTANTS } from "../../bench/objectives/contestants.ts";
import { sentenceCorpus, twoPhrases } from "../../bench/objectives/corpus.ts";
import { followedExactly, judge, sampleKeys, samplingNoise, wilson } from "../../bench/objectives/measure.ts";
import { formatResults } from "../../bench/objectives/report.ts";
import { PHRASES, SENTENCES } from "../../bench/objectives/settings.ts";
import { costMap, costOptions } from "../../bench/cases/objectives.ts";
import { inlineCalls } from "../../src/compiler/passes/inline.ts";
import { optimize } from "../../src/compiler/passes/pipeline.ts";
import { schedule } from "../../src/compiler/schedule/schedule.ts";
import { outputSpec, trace } from "../../src/dsl/index.ts";
import { eulerian, lagrangian, meanFlow } from "../../src/models/flow/objectives/index.ts";
import type { Objective } from "../../src/models/flow/objectives/index.ts";
import { flm } from "../../src/models/language/variants/index.ts";
import { flowMapStep } from "../../src/models/training/declared.ts";
import { initFmlm } from "../../src/models/training/programs.ts";
import { weightsSpec } from "../../src/models/training/state.ts";
import { openCpu } from "../../src/runtime/onnx/cpu-device.ts";
import type { CpuDevice } from "../../src/runtime/onnx/cpu-device.ts";

describe("the corpus of sentences", () => {
  it("has 200 different sentences of one length, by its seed", () => {
    const { sequences, words, length } = sentenceCorpus();
    expect(new Set(sequences.map((ids) => ids.join(" "))).size).toBe(200);
    expect(sequences.every((ids) => ids.length === length && ids.every((id) => id < words.length))).toBe(
      true,
    );
    expect(new Set(words).size).toBe(words.length);
    expect(sentenceCorpus()).toEqual(sentenceCorpus(1));
    expect(sentenceCorpus(2).words).not.toEqual(words);
  });

  it("is one in forty of what its words allow one by one", () => {
    const { sequences, length } = sentenceCorpus();
    const choices = Array.from({ length }, (_, place) => new Set(sequences.map((ids) => ids[place])).size);
    expect(choices.reduce((a, b) => a * b, 1)).toBe(40 * sequences.length);
    // No subject is an object: the same words, in other pairs.
    const phrases = (from: number): readonly string[] => sequences.map((ids) => ids.slice(from, from + 2).join(" ")); // prettier-ignore
    const objects = new Set(phrases(3));
    expect(phrases(0).filter((phrase) => objects.has(phrase))).toEqual([]);
  });
});

describe("samples are judged", () => {
  it("by what is known, what appears, and how evenly", () => {
    const tokens = [0, 1, 2, 3, 0, 3, 0, 1];
    const { samples, known, sentences, distance, followed } = judge(
      twoPhrases,
      tokens,
      [0, 1, 2, 3, 2, 3, 2, 3],
    );
    expect({ samples, known, sentences, distance, followed }).toEqual({ samples: 4, known: 0.75, sentences: 2, distance: 0.25, followed: 0.5 }); // prettier-ignore
  });
  it("with Wilson's interval and the distance that draws of the corpus have", () => {
    // 8 of 10: by hand from the formula. Two draws of two sentences: apart by 1/2 half of the time.
    expect(wilson(8, 10).map((x) => x.toFixed(4))).toEqual(["0.4902", "0.9433"]);
    expect(samplingNoise(2, 2)).toBeCloseTo(0.25, 12);
  });
});

describe("those that take part", () => {
  it.each(CONTESTANTS)("$name can be declared as the settings of either corpus say", ({ name, map }) => {
    for (const settings of [SENTENCES, PHRASES]) {
      const declared = map(flm(4), settings);
      expect(declared.name).toBe(name);
      expect(declared.diagonal).toBe(settings.diagonal);
      expect(declared.boundary).toBe(declared.objective.atData === false ? 0 : settings.boundary);
    }
  });
});

describe("objectives", () => {
  let device: CpuDevice;
  beforeAll(async () => {
    device = await openCpu({ threads: 1 });
  });
  afterAll(() => device?.dispose());

  it("are compared with the exact flow of the corpus", async () => {
    const exact = judge(twoPhrases, await followedExactly(device, twoPhrases, sampleKeys(1, 400)));
    expect(exact.known).toBe(1);
    expect(exact.distance).toBeLessThan(0.1);
  });

  it("are trained and judged from beginning to end", { timeout: 180_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "fluxion-objectives-"));
    const said: string[] = [];
    const settings = {
      ...PHRASES,
      depth: 2,
      flow: { ...PHRASES.flow, batch: 64, steps: 150 },
      map: { ...PHRASES.map, batch: 64, steps: 100 },
    };
    const context = { device, corpus: twoPhrases, settings, seed: 1, samples: 256, tell: (line: string) => void said.push(line) }; // prettier-ignore
    const flow = flm(4);
    try {
      const { result } = await preparedFlow(flow, context, folder);
      const again = await preparedFlow(flow, context, folder);
      expect(again.result.curve).toHaveLength(result.curve.length);
      const semigroup = CONTESTANTS.find(({ name }) => name === "semigroup");
      if (semigroup === undefined) throw new Error("The semigroup does not take part.");
      const trained = await compete(semigroup, flow, again.weights, context);
      const first = trained.steps["1"];
      // Word by word, half of the samples are phrases; these steps are few, and still more than that.
      expect(first?.known).toBeGreaterThan(0.6);
      expect(first?.samples).toBe(256);
      expect(trained.curve.at(-1)?.step).toBe(100);
      expect(trained.curve.every(({ loss, gradientNorm }) => loss !== null && gradientNorm !== null)).toBe(
        true,
      );
      expect(said.some((line) => line.startsWith("semigroup: step 100 of 100"))).toBe(true);
      const machine = { date: "", cpu: "", cores: 1, memoryGiB: 1, platform: "", node: "", packages: {} };
      const corpus = { name: "phrases", sentences: 2, vocabulary: 4, length: 2 };
      const text = formatResults({ identity: "", command: "", machine, device: "", load: 0, corpus, settings, seed: 1, flow: result, objectives: [trained] }); // prettier-ignore
      expect(text).toMatch(/\nsemigroup +\d+\.\d \(/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it.each([lagrangian(), eulerian(), meanFlow()])("$name: no scores are stored", (objective: Objective) => {
    const options = costOptions("full", true);
    const { batch, network } = options;
    /** Temporaries of the size of the scores of a step's jumps, and of all its rows. */
    const scores = (length: number): number => {
      const sized = { ...options, network: { ...network, length } };
      const step = flowMapStep(costMap(objective, network.vocab), sized, outputSpec(initFmlm(sized)), weightsSpec(sized.network)); // prettier-ignore
      const plan = schedule(optimize(inlineCalls(trace(step as never).program)));
      const square = network.heads * length * length;
      return plan.buffers.filter(
        ({ type: { shape }, role }) =>
          role.kind === "temporary" &&
          shape.at(-1) === length &&
          [batch, batch / 2].some((rows) => shape.reduce((a, b) => a * b, 1) === rows * square),
      ).length;
    };
    // Of 8 words attention is written out, scores and all; of 24 there are kernels for it.
    expect(scores(8)).toBeGreaterThan(0);
    expect(scores(24)).toBe(0);
  });
});
