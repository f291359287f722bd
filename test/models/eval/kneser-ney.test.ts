/** The judge against a hand-computed example, a literal transcription of the definition, and the order of texts. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cutBlocks, shuffledText, unigramSamples } from "../../../src/models/data/index.ts";
import { key, uniforms } from "../../../src/models/flow/host-random.ts";
import {
  nextTokenDistribution,
  perplexity,
  scoreBlocks,
  trainKneserNey,
} from "../../../src/models/eval/kneser-ney.ts";

const stream = (...tokens: number[]): Int32Array => Int32Array.from(tokens);

/** The definition, with n-grams as strings in maps and no sharing between orders. */
function definedProbability(texts: readonly Int32Array[], order: number, size: number) {
  const gramsOf = (k: number): Map<string, number> => {
    const counts = new Map<string, number>();
    for (const text of texts) {
      for (let i = 0; i + k <= text.length; i++) {
        const gram = text.slice(i, i + k).join(",");
        counts.set(gram, (counts.get(gram) ?? 0) + 1);
      }
    }
    return counts;
  };
  const continuationsOf = (k: number): Map<string, number> => {
    const counts = new Map<string, number>();
    for (const gram of gramsOf(k + 1).keys()) {
      const tail = gram.split(",").slice(1).join(",");
      counts.set(tail, (counts.get(tail) ?? 0) + 1);
    }
    return counts;
  };
  const discountFor = (counts: ReadonlyMap<string, number>, c: number): number => {
    if (c === 0) return 0;
    const n = (r: number): number => [...counts.values()].filter((x) => x === r).length;
    const y = n(1) / (n(1) + 2 * n(2));
    const d = (r: number): number => r - ((r + 1) * y * n(r + 1)) / n(r);
    if (n(1) > 0 && n(2) > 0 && n(3) > 0 && n(4) > 0 && [1, 2, 3].every((r) => d(r) > 0 && d(r) <= r)) {
      return d(Math.min(c, 3));
    }
    return y > 0 && y < 1 ? y : 0.75;
  };
  const recurse = (
    k: number,
    counts: ReadonlyMap<string, number>,
    context: readonly number[],
    w: number,
  ): number => {
    if (k === 0) return 1 / size;
    const lower = recurse(k - 1, continuationsOf(k - 1), context.slice(1), w);
    const followers = Array.from({ length: size }, (_, v) => counts.get([...context, v].join(",")) ?? 0);
    const total = followers.reduce((a, b) => a + b, 0);
    if (total === 0) return lower;
    const freed = followers.reduce((sum, c) => sum + discountFor(counts, c), 0) / total;
    const c = followers[w] ?? 0;
    return (c - discountFor(counts, c)) / total + freed * lower;
  };
  return (context: readonly number[], w: number): number => {
    const used = order === 1 ? [] : context.slice(-(order - 1));
    return recurse(used.length + 1, gramsOf(used.length + 1), used, w);
  };
}

/** Text with structure: each token mostly decides the next. */
function markovText(length: number, size: number, seed: number): Int32Array {
  const u = uniforms(key(seed), length);
  const text = new Int32Array(length);
  for (let i = 1; i < length; i++) {
    const jump = Math.floor((u[i] ?? 0) ** 4 * size);
    text[i] = (3 * (text[i - 1] ?? 0) + 1 + jump) % size;
  }
  return text;
}

describe("Kneser-Ney", () => {
  it("gives the probabilities worked out by hand for a b a c, order 2", () => {
    const model = trainKneserNey([stream(0, 1, 0, 2)], { order: 2, vocabularySize: 3 });
    // First token: occurrences 2, 1, 1; n1 = 2, n2 = 1, so D = 1/2: P(a) = 1.5/4 + (1.5/4)/3.
    expect([...nextTokenDistribution(model, [])]).toEqual([0.5, 0.25, 0.25]);
    // After a: "ab" and "ac" once each, no bigram twice, so D = 3/4. Every token follows one token: P₁ = 1/3.
    const afterA = nextTokenDistribution(model, [0]);
    [0.25, 0.375, 0.375].forEach((p, i) => expect(afterA[i]).toBeCloseTo(p, 15));
    // c was never followed by anything: the continuation distribution, not the frequencies.
    nextTokenDistribution(model, [2]).forEach((p) => expect(p).toBeCloseTo(1 / 3, 15));
    const scores = scoreBlocks(model, stream(0, 1, 2, 0), 2);
    [0.5, 0.375, 0.25, 1 / 3].forEach((p, i) => expect(scores[i]).toBeCloseTo(Math.log(p), 14));
  });

  it("equals the definition, for every context of random texts", () => {
    const text = (size: number) => fc.array(fc.nat(size - 1), { minLength: 1, maxLength: 40 });
    const cases = fc.integer({ min: 2, max: 5 }).chain((size) =>
      fc.record({
        size: fc.constant(size),
        order: fc.integer({ min: 1, max: 4 }),
        texts: fc.array(text(size), { minLength: 1, maxLength: 3 }),
        context: fc.array(fc.nat(size - 1), { maxLength: 5 }),
      }),
    );
    fc.assert(
      fc.property(cases, ({ size, order, texts, context }) => {
        const streams = texts.map((tokens) => Int32Array.from(tokens));
        const model = trainKneserNey(streams, { order, vocabularySize: size });
        const defined = definedProbability(streams, order, size);
        nextTokenDistribution(model, context).forEach((p, w) =>
          expect(p).toBeCloseTo(defined(context, w), 12),
        );
      }),
      { numRuns: 150 },
    );
  });

  it("equals the definition where the modified discounts apply", () => {
    const text = markovText(400, 12, 5);
    const model = trainKneserNey([text], { order: 3, vocabularySize: 12 });
    const [first, second, third] = model.levels[2]?.byOccurrence.discounts ?? [0, 0, 0];
    expect(new Set([first, second, third]).size).toBe(3);
    const defined = definedProbability([text], 3, 12);
    const rows = text.slice(100, 112);
    const scores = scoreBlocks(model, rows, 4);
    rows.forEach((token, i) => {
      const context = Array.from(rows.slice(i - (i % 4), i));
      expect(scores[i]).toBeCloseTo(Math.log(defined(context, token)), 11);
    });
  });

  it("is a positive distribution after seen and unseen contexts of any length", () => {
    const size = 50;
    const model = trainKneserNey([markovText(3000, size, 1), markovText(500, size, 2)], {
      order: 6,
      vocabularySize: size,
    });
    fc.assert(
      fc.property(fc.array(fc.nat(size - 1), { maxLength: 8 }), fc.nat(2990), (random, at) => {
        const seen = Array.from(markovText(3000, size, 1).slice(at, at + random.length));
        for (const context of [random, seen]) {
          const p = nextTokenDistribution(model, context);
          expect(p.every((x) => x > 0)).toBe(true);
          expect(p.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("scores rows independently, each token from its own row alone", () => {
    const model = trainKneserNey([markovText(2000, 9, 3)], { order: 4, vocabularySize: 9 });
    const rows = markovText(30, 9, 4);
    const together = scoreBlocks(model, rows, 10);
    for (let row = 0; row < 3; row++) {
      const alone = scoreBlocks(model, rows.slice(10 * row, 10 * row + 10), 10);
      expect(together.slice(10 * row, 10 * row + 10)).toEqual(alone);
    }
    rows.slice(0, 10).forEach((token, i) => {
      const p = nextTokenDistribution(model, rows.slice(0, i))[token] ?? 0;
      expect(together[i]).toBeCloseTo(Math.log(p), 12);
    });
  });

  it("never counts an n-gram across two streams", () => {
    const apart = trainKneserNey([stream(0, 0), stream(1, 1)], { order: 2, vocabularySize: 2 });
    expect(apart.levels[1]?.ngrams.size).toBe(2);
    const joined = trainKneserNey([stream(0, 0, 1, 1)], { order: 2, vocabularySize: 2 });
    expect(joined.levels[1]?.ngrams.size).toBe(3);
  });

  it("prefers held-out text to shuffled text to unigram samples", () => {
    const size = 40;
    const judge = trainKneserNey([markovText(20_000, size, 6)], { order: 5, vocabularySize: size });
    const heldOut = cutBlocks(markovText(8000, size, 7), 16);
    const score = (tokens: Int32Array): number => perplexity(scoreBlocks(judge, tokens, 16));
    const real = score(heldOut.tokens);
    const shuffled = score(shuffledText(heldOut, key(8)).tokens);
    const unigrams = score(unigramSamples(heldOut.tokens, heldOut.count, 16, key(9)).tokens);
    const uniform = score(Int32Array.from(uniforms(key(10), 8000), (u) => Math.floor(u * size)));
    expect(real).toBeLessThan(0.6 * shuffled);
    expect(shuffled).toBeLessThan(unigrams);
    expect(unigrams).toBeLessThan(1.1 * uniform);
    expect(real).toBeGreaterThan(1);
  });

  it("says what is wrong with its input", () => {
    expect(() => trainKneserNey([], { order: 2, vocabularySize: 3 })).toThrow("at least one token");
    expect(() => trainKneserNey([stream(0)], { order: 0, vocabularySize: 3 })).toThrow("order");
    expect(() => trainKneserNey([stream(3)], { order: 1, vocabularySize: 3 })).toThrow("token id 3");
    const model = trainKneserNey([stream(0, 1)], { order: 2, vocabularySize: 2 });
    expect(() => scoreBlocks(model, stream(0, 2), 2)).toThrow("token id 2");
    expect(() => scoreBlocks(model, stream(0, 1, 0), 2)).toThrow("rows of 2");
  });
});
