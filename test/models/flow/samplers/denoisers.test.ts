/**
 * What changes a denoiser: temperature and top-p, guidance, rewards. On networks and projected states: projected.test.ts.
 */
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { constant, matmul, mul, onesLike, softmax, sum } from "../../../../src/dsl/index.ts";
import type { Tensor } from "../../../../src/dsl/index.ts";
import { uniformClock } from "../../../../src/models/flow/clock.ts";
import { linear, trigonometric } from "../../../../src/models/flow/interpolant.ts";
import { oracleMap } from "../../../../src/models/flow/oracle-map.ts";
import { corpusOracle } from "../../../../src/models/flow/oracle.ts";
import type { Corpus } from "../../../../src/models/flow/corpus.ts";
import { bridge } from "../../../../src/models/flow/samplers/bridge.ts";
import { autoguided } from "../../../../src/models/flow/samplers/guidance.ts";
import { euler } from "../../../../src/models/flow/samplers/integrators.ts";
import { jumps } from "../../../../src/models/flow/samplers/jumps.ts";
import { shaped } from "../../../../src/models/flow/samplers/posterior.ts";
import { conditionedOn, rewarded } from "../../../../src/models/flow/samplers/reward.ts";
import type { SampledDenoiser } from "../../../../src/models/flow/samplers/sampled-denoiser.ts";
import {
  embeddedWorld,
  projectedWorld,
  vocabularyWorld,
} from "../../../../src/models/flow/samplers/world.ts";
import { logistic } from "../../../../src/models/flow/source.ts";
import type { Time, TwoTimeDenoiser } from "../../../../src/models/flow/two-time.ts";
import { distance, evaluate, floats, list } from "../../../support/evaluate.ts";
import { normals } from "../../networks/random-weights.ts";
import { exactDenoiser, keysOf, PHRASES, sampled, textsOf } from "./support.ts";

vi.setConfig({ testTimeout: 60_000 });

const COURSE = { interpolant: linear, clock: uniformClock() };
const at = (t: number, batch: number): Time => {
  const time: Tensor = constant(Array<number>(batch).fill(t), [batch]);
  return { t: time, tau: time, rate: onesLike(time) };
};
/** A denoiser that says the same of every state. */
const saying = (logits: Tensor): TwoTimeDenoiser => ({
  interpolant: linear,
  point: (value) => value,
  logits: () => logits,
  denoiser: () => softmax(logits),
});
const points = (denoiser: TwoTimeDenoiser): TwoTimeDenoiser => ({
  interpolant: denoiser.interpolant,
  point: (value) => denoiser.point(value),
  denoiser: (x, s, t) => denoiser.denoiser(x, s, t),
});

describe("temperature and top-p", () => {
  // Different by more than rounding: which of two equals is the first is no one's to say.
  const row = fc
    .uniqueArray(fc.integer({ min: -40, max: 40 }), { minLength: 6, maxLength: 6 })
    .map((tenths) => tenths.map((z) => z / 10));
  const shapedBy = (logits: readonly number[], options: Parameters<typeof shaped>[1]): readonly number[] =>
    list(
      evaluate({ logits: floats([1, 1, 6], logits) }, ({ logits: z }) =>
        shaped(saying(z), options).denoiser(z, at(0, 1), at(0, 1)),
      ),
    );
  const naive = (logits: readonly number[], temperature: number, topP: number): readonly number[] => {
    const powers = logits.map((z) => Math.exp((z - Math.max(...logits)) / temperature));
    const total = powers.reduce((a, b) => a + b, 0);
    const order = powers.map((p, i) => [p / total, i] as const).toSorted(([a], [b]) => b - a);
    const out = Array<number>(6).fill(0);
    let sum = 0;
    for (const [p, i] of order) {
      if (sum >= topP) break;
      out[i] = p;
      sum += p;
    }
    return out.map((p) => p / sum);
  };
  it("are the definitions", () => {
    fc.assert(
      fc.property(
        row,
        fc.double({ min: 0.2, max: 3, noNaN: true }),
        fc.double({ min: 0.05, max: 0.95, noNaN: true }),
        (logits, temperature, topP) => {
          for (const options of [{ temperature }, { topP }, { temperature, topP }]) {
            const wanted = naive(logits, options.temperature ?? 1, options.topP ?? 2);
            expect(distance(shapedBy(logits, options), wanted)).toBeLessThan(1e-9);
          }
        },
      ),
      { numRuns: 40 },
    );
  });
  it("keep at least the most probable token, and ties with the last one that is kept", () => {
    expect(shapedBy([0, 3, 0, 0, 0, 0], { topP: 1e-6 })).toEqual([0, 1, 0, 0, 0, 0]);
    expect(
      distance(shapedBy([1, 1, 1, -9, -9, -9], { topP: 0.5 }), [1 / 3, 1 / 3, 1 / 3, 0, 0, 0]),
    ).toBeLessThan(1e-9);
  });
  it("are refused where they are none, and where there is no distribution", () => {
    const d = saying(undefined as never); // never asked
    expect(() => shaped(d, { temperature: 0 })).toThrow("A temperature is a positive number, got 0.");
    expect(() => shaped(d, { topP: 1.5 })).toThrow("Top-p is a probability in (0, 1], got 1.5.");
    expect(() => shaped(points(d), { topP: 0.5 })).toThrow(
      'A temperature or top-p needs a distribution over tokens, and this denoiser gives points: take a flow that predicts "clean token", and guide it in logits or not before.',
    );
  });
  it("a cool bridge takes the most probable tokens", () => {
    const cool = shaped(exactDenoiser({ ...PHRASES, weights: [3, 1] }, linear), { temperature: 1e-3 });
    expect(new Set(textsOf(sampled(PHRASES, cool, bridge(COURSE, 1), keysOf(1, 20)).tokens))).toEqual(
      new Set(["0 1"]),
    );
  });
});

describe("group 18: guidance", () => {
  const strong = exactDenoiser(PHRASES, trigonometric);
  const weak = exactDenoiser({ ...PHRASES, sequences: [[0, 1], [2, 3], [0, 3]] }, trigonometric); // prettier-ignore
  it("says what it needs", () => {
    expect(() => autoguided(strong, points(weak), 2, { form: "logits" })).toThrow(
      "Guidance in logits needs a distribution",
    );
    expect(() => autoguided(strong, weak, NaN)).toThrow(
      "The strength of guidance is a finite number, got NaN.",
    );
    expect(() =>
      sampled(
        PHRASES,
        autoguided(strong, weak, 2),
        bridge({ ...COURSE, interpolant: trigonometric }, 2),
        keysOf(1, 1),
      ),
    ).toThrow("A sampler that draws endpoints needs a distribution over tokens");
  });
  it("away from a model that mixes makes fewer mixtures", () => {
    const corpus: Corpus = { ...PHRASES, sequences: [[0, 1], [2, 3], [0, 3]], weights: [4, 4, 2] }; // prettier-ignore
    const worse: Corpus = { ...corpus, weights: [3, 3, 4] };
    const course = { ...COURSE, interpolant: trigonometric };
    const bad = (eta: number): number => {
      const guided = autoguided(
        exactDenoiser(corpus, trigonometric),
        exactDenoiser(worse, trigonometric),
        eta,
      );
      return textsOf(sampled(corpus, guided, euler(course, 16), keysOf(12, 150)).tokens).filter(
        (text) => text === "0 3",
      ).length;
    };
    expect(bad(6)).toBeLessThan(bad(1));
  });
});

describe("rewards", () => {
  const corpus: Corpus = { vocab: 3, sequences: [[0, 1], [2, 2], [1, 0]], weights: [3, 1, 2] }; // prettier-ignore
  /** Reward of a token at any place. */
  const prices = [0.5, -1, 2];
  const reward = (value: Tensor): Tensor => sum(mul(value, constant(prices, [3])), [1, 2]);
  const worth = corpus.sequences.map((sequence) =>
    sequence.reduce((total, id) => total + (prices[id] as number), 0),
  );
  const tilted = (strength: number): Corpus => ({
    ...corpus,
    weights: worth.map((r, k) => (corpus.weights?.[k] as number) * Math.exp(strength * r)),
  });
  const x = floats([4, 2, 3], Array.from({ length: 24 }, normals(9)));
  const value = (denoiser: SampledDenoiser, t: number): readonly number[] =>
    list(evaluate({ x }, ({ x: of }) => denoiser.denoiser(of, at(t, 4), at(t, 4))));

  it.each([linear, trigonometric])(
    "to first order in the strength are the posterior of the tilted corpus, $name",
    (interpolant) => {
      const plain = exactDenoiser(corpus, interpolant);
      for (const t of [0.2, 0.5]) {
        const errors = [0.04, 0.02].map((strength) =>
          distance(
            value(rewarded(plain, reward, { strength }), t),
            value(exactDenoiser(tilted(strength), interpolant), t),
          ),
        );
        expect(errors[0]).toBeLessThan(4e-3);
        // Of second order: a quarter at half the strength.
        expect((errors[0] as number) / (errors[1] as number)).toBeGreaterThan(3.7);
      }
    },
  );
  it("add nothing at t = 0, and leave tokens to the denoiser", () => {
    const plain = exactDenoiser(corpus, linear);
    const guided = rewarded(plain, reward, { strength: 5 });
    expect(value(guided, 0)).toEqual(value(plain, 0));
    const tokens = evaluate({ x }, ({ x: of }) => guided.tokens?.(of, at(0.4, 4), at(0.4, 4)) as Tensor);
    const largest = value(plain, 0.4);
    list(tokens).forEach((id, i) =>
      expect(largest[i * 3 + id]).toBe(Math.max(...largest.slice(i * 3, i * 3 + 3))),
    );
  });
  it("make samples that are worth more, and still of the corpus", () => {
    const plain = exactDenoiser(corpus, linear);
    const mean = (strength: number): number => {
      const guided = rewarded(plain, reward, { strength });
      const texts = textsOf(sampled(corpus, guided, euler(COURSE, 12), keysOf(13, 60)).tokens);
      const worths = texts.map((text) => worth[corpus.sequences.findIndex((s) => s.join(" ") === text)]);
      expect(worths).not.toContain(undefined);
      return worths.reduce<number>((total, r) => total + (r ?? NaN), 0) / worths.length;
    };
    expect(mean(2)).toBeGreaterThan(mean(0) + 0.3);
  });
  it("where the exact map ends is a text, and gives no direction", () => {
    const map = oracleMap(corpusOracle(corpus), linear, { steps: 32 });
    const moved = distance(
      value(rewarded(map, reward, { strength: 1, look: "flow map" }), 0.3),
      value(map, 0.3),
    );
    expect(moved).toBeLessThan(1e-3);
    expect(distance(value(rewarded(map, reward, { strength: 1 }), 0.3), value(map, 0.3))).toBeGreaterThan(
      0.05,
    );
  });
});

describe("conditioning on known tokens", () => {
  const corpus: Corpus = { vocab: 4, sequences: [[0, 1], [2, 3], [0, 3], [2, 1]], weights: [3, 1, 2, 2] }; // prettier-ignore
  const among = (keep: (text: readonly number[]) => boolean): Corpus => {
    const kept = corpus.sequences.flatMap((text, k) => (keep(text) ? [k] : []));
    return {
      vocab: 4,
      sequences: kept.map((k) => corpus.sequences[k] as readonly number[]),
      weights: kept.map((k) => corpus.weights?.[k] as number),
    };
  };
  const known = (row: readonly number[], count: number): Tensor =>
    constant(Array.from({ length: count }, () => row).flat(), [count, 2], "i32");
  it.each([linear, trigonometric])(
    "for one token is the denoiser of the texts that have it, $name",
    (interpolant) => {
      const x = floats([4, 2, 4], Array.from({ length: 32 }, normals(6)));
      for (const [place, token] of [
        [0, 2],
        [1, 1],
      ] as const) {
        // prettier-ignore
        const row = [0, 1].map((i) => (i === place ? token : -1));
        const [found, wanted] = [
          (all: TwoTimeDenoiser) => conditionedOn(all, known(row, 4)),
          () =>
            exactDenoiser(
              among((text) => text[place] === token),
              interpolant,
            ),
        ].map((change) =>
          list(
            evaluate({ x }, ({ x: of }) =>
              change(exactDenoiser(corpus, interpolant)).denoiser(of, at(0.35, 4), at(0.35, 4)),
            ),
          ),
        );
        expect(distance(found ?? [], wanted ?? [])).toBeLessThan(1e-9);
      }
    },
  );
  it("and holding it, the other words follow, in their conditional proportions", () => {
    for (const interpolant of [linear, trigonometric])
      for (const method of [euler, jumps]) {
        const guided = () => conditionedOn(exactDenoiser(corpus, interpolant), known([0, -1], 300));
        const schedule = method({ ...COURSE, interpolant }, 32);
        const texts = textsOf(
          sampled(corpus, guided, schedule, keysOf(14, 300), () => ({ given: known([0, -1], 300) })).tokens,
        );
        const first = texts.filter((text) => text === "0 1").length;
        expect(first + texts.filter((text) => text === "0 3").length).toBe(300);
        // 3 to 2, within 4 standard deviations.
        expect(Math.abs(first - 180)).toBeLessThan(4 * Math.sqrt(300 * 0.24));
      }
  });
  it("of the two phrases gives the right one always", () => {
    const guided = () => conditionedOn(exactDenoiser(PHRASES, linear), known([-1, 3], 200));
    const { tokens } = sampled(PHRASES, guided, euler(COURSE, 16), keysOf(7, 200), () => ({
      given: known([-1, 3], 200),
    }));
    expect(new Set(textsOf(tokens))).toEqual(new Set(["2 3"]));
  });
});

describe("worlds", () => {
  it("of any source; noise that is not Gaussian is drawn on the vocabulary and projected", () => {
    const table = floats([5, 2], Array.from({ length: 10 }, normals(3)));
    const { projected, whole, embedded } = evaluate({ keys: keysOf(3, 40), table }, ({ keys, table: e }) => {
      const options = { length: 3, source: logistic() };
      return {
        projected: projectedWorld(e, options).noise(keys),
        whole: matmul(vocabularyWorld({ ...options, vocab: 5 }).noise(keys), e) as Tensor,
        embedded: embeddedWorld(e, options).noise(keys),
      };
    });
    expect(list(projected)).toEqual(list(whole));
    expect(embedded.shape).toEqual([40, 3, 2]);
  });
});
