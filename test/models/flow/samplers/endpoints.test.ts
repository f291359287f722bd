/**
 * Drawn endpoints: with tokens that come one after another the law of the texts is exact, in as many calls as there are tokens; with one
 * time for all it is as steps become small; given tokens are kept; and what follows a drift refuses a point mass.
 */
import { describe, expect, it } from "vitest";
import { mul } from "../../../../src/dsl/index.ts";
import type { Tensor } from "../../../../src/dsl/index.ts";
import type { Flow } from "../../../../src/models/flow/flow.ts";
import { flow } from "../../../../src/models/flow/flow.ts";
import { oracleDenoiser } from "../../../../src/models/flow/oracle-denoiser.ts";
import { corpusOracle } from "../../../../src/models/flow/oracle.ts";
import { sampleAdaptively } from "../../../../src/models/flow/samplers/adaptive.ts";
import { sampleEndpoints } from "../../../../src/models/flow/samplers/endpoints.ts";
import { euler } from "../../../../src/models/flow/samplers/integrators.ts";
import { gammaResampling, jumps } from "../../../../src/models/flow/samplers/jumps.ts";
import { held } from "../../../../src/models/flow/samplers/sampled-denoiser.ts";
import { vocabularyWorld } from "../../../../src/models/flow/samplers/world.ts";
import { maskedGaussian, pointMass } from "../../../../src/models/flow/source-masked.ts";
import { maskedDiffusion, maskedHybrid } from "../../../../src/models/language/variants/index.ts";
import { evaluate, ints, list, words } from "../../../support/evaluate.ts";

const COUNT = 1200;
const CORPUS = {
  vocab: 4,
  sequences: [
    [0, 1, 1],
    [2, 3, 0],
    [2, 1, 3],
  ],
  weights: [3, 2, 1],
};
const keys = words(
  [COUNT, 2],
  Array.from({ length: 2 * COUNT }, (_, i) => (i * 2_654_435_761) >>> 0),
);

/**
 * Texts by drawn endpoints of the exact flow of the corpus. A token that changes at once says all or nothing, so for a point mass the
 * posterior is that of noise of any size.
 */
function texts(declared: Flow, steps: number, known: readonly number[] = [-1, -1, -1]): readonly string[] {
  const source = declared.source.scale === undefined ? maskedGaussian() : declared.source;
  const truth = held(
    oracleDenoiser(corpusOracle(CORPUS, { source }), declared.interpolant),
    declared.interpolant,
  );
  const given = ints([COUNT, 3], Array.from({ length: COUNT }, () => known).flat());
  const ids = list(
    evaluate({ keys, given }, (i) => {
      const world = vocabularyWorld({ vocab: 4, length: 3, source: declared.source });
      return sampleEndpoints(truth, declared, { steps }, { keys: i.keys, world, given: i.given }).tokens;
    }),
  );
  return Array.from({ length: COUNT }, (_, i) => ids.slice(3 * i, 3 * i + 3).join(""));
}

/** Whether texts are the corpus in its proportions, within four and a half standard deviations. */
function expectCorpus(found: readonly string[]): void {
  CORPUS.sequences.forEach((sequence, k) => {
    const p = (CORPUS.weights[k] ?? NaN) / 6;
    const share = found.filter((text) => text === sequence.join("")).length / COUNT;
    expect(Math.abs(share - p), sequence.join("")).toBeLessThan(4.5 * Math.sqrt((p * (1 - p)) / COUNT));
  });
}

const inCorpus = (found: readonly string[]): number =>
  found.filter((text) => CORPUS.sequences.some((sequence) => sequence.join("") === text)).length / COUNT;

describe("drawn endpoints", () => {
  it("from masks, one by one, are texts of the corpus in their proportions", () => {
    const found = texts(maskedDiffusion({ length: 3 }), 3);
    expect(inCorpus(found)).toBe(1);
    expectCorpus(found);
  });

  it("from noise around masks are, as tokens follow each other in small steps", () => {
    expectCorpus(texts(maskedHybrid({ length: 3, scale: 0.3 }), 24));
    // All at once, words are drawn each on its own.
    const whole = flow({ name: "whole", source: maskedGaussian({ scale: 0.3 }) });
    expect(inCorpus(texts(whole, 1))).toBeLessThan(0.6);
    expectCorpus(texts(whole, 32));
  });

  it("keep given tokens, and the others follow them", () => {
    const found = texts(maskedDiffusion({ length: 3, rank: [1, 0, 2] }), 3, [-1, 3, -1]);
    expect(new Set(found)).toEqual(new Set(["230"]));
  });
});

it.each([[[0, 1]], [[0, 0, 2]], [[1, 2, 3]], [[0, 0.5, 2]]])(
  "ranks %j are no order of three tokens",
  (rank) => {
    for (const declare of [maskedDiffusion, maskedHybrid])
      expect(() => declare({ length: 3, rank })).toThrow(
        `The ranks of masked tokens are an order of 3 positions, each number from 0 to 2 once, got ${rank.join(", ")}.`,
      );
  },
);

it("a finished token is what the state says, whatever the denoiser says of it later", () => {
  const declared = maskedDiffusion({ length: 3 });
  const { tokens, state } = evaluate({ keys }, (i) => {
    // All tokens are as likely at all times.
    const even = (x: Tensor): Tensor => mul(x, 0);
    const world = vocabularyWorld({ vocab: 4, length: 3, source: declared.source });
    const denoiser = {
      interpolant: declared.interpolant,
      denoiser: even,
      logits: even,
      point: (x: Tensor) => x,
    };
    return sampleEndpoints(denoiser, declared, { steps: 3 }, { keys: i.keys, world });
  });
  const rows = list(state);
  list(tokens).forEach((id, i) => expect(rows.slice(4 * i, 4 * i + 4).indexOf(1)).toBe(id));
});

describe("a point mass", () => {
  const declared = flow({ name: "masks", source: pointMass() });
  it.each([
    ["Euler", () => euler(declared, 4), 'The schedule "Euler" follows the drift from where a text begins'],
    ["jumps", () => jumps(declared, 4), "follows the drift from where a text begins"],
    [
      "adaptive sampling",
      () => sampleAdaptively({} as never, declared, { tolerance: 1 }, {} as never),
      "Adaptive sampling follows the drift from where a text begins, and this flow begins at a point mass",
    ],
    [
      "fresh noise",
      () => gammaResampling({ ...declared, source: maskedGaussian() }, 4, { gamma: 0.5 }),
      "only of Gaussian noise around 0 is the mixture such noise again",
    ],
  ])("is refused by %s", (_name, declare, message) => {
    expect(declare).toThrow(message);
  });
});
