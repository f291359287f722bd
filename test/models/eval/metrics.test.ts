// Metrics, group 19 of the specification: against closed forms, the published values, and what holds for any samples. They are functions
// of plain numbers on the host, the same whatever device wrote the samples and scored them.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bootstrapInterval,
  distinctN,
  likelihood,
  sampleEntropy,
  scoredPositions,
  unigramEntropy,
} from "../../../src/models/eval/metrics.ts";
import { fold, key, normals } from "../../../src/models/flow/host-random.ts";
import { at, goldenCase, numbers, scalar, tensor } from "../../golden/golden.ts";

describe("entropy", () => {
  it("is 0 for a constant sample and log L for distinct tokens", () => {
    expect(unigramEntropy([4, 4, 4, 4])).toBe(0);
    expect(unigramEntropy(Array.from({ length: 37 }, (_, i) => i))).toBeCloseTo(Math.log(37), 14);
    expect(unigramEntropy(Uint32Array.of(1, 1, 2, 2))).toBeCloseTo(Math.LN2, 15);
    expect(() => unigramEntropy([])).toThrow(RangeError);
    expect(() => sampleEntropy([])).toThrow(RangeError);
  });

  it("matches the published values", () => {
    const { inputs, outputs } = goldenCase("common", "i_sample_entropy");
    const { shape, data } = tensor(inputs, "tokens");
    const length = shape[1] ?? 0;
    const samples = Array.from({ length: shape[0] ?? 0 }, (_, i) => data.slice(i * length, (i + 1) * length));
    const got = sampleEntropy(samples);
    const want = numbers(outputs, "per_sample");
    expect(got.perSample).toHaveLength(want.length);
    got.perSample.forEach((value, i) => expect(value).toBeCloseTo(want[i] ?? NaN, 13));
    expect(got.mean).toBeCloseTo(scalar(outputs, "mean"), 13);
  });
});

describe("distinct-n", () => {
  it("counts n-grams within samples only", () => {
    expect(distinctN([[1, 2, 1, 2]], 1)).toBe(0.5);
    expect(distinctN([[1, 2, 1, 2]], 2)).toBe(2 / 3);
    expect(
      distinctN(
        [
          [1, 2],
          [2, 1],
        ],
        2,
      ),
    ).toBe(1);
    expect(
      distinctN(
        [
          [1, 2],
          [1, 2],
        ],
        2,
      ),
    ).toBe(0.5);
    expect(
      distinctN(
        [
          [11, 1],
          [1, 11],
        ],
        2,
      ),
    ).toBe(1);
    expect(distinctN([[1], [1, 2, 3]], 3)).toBe(1);
  });

  it("refuses lengths that no sample has", () => {
    expect(() => distinctN([[1, 2]], 3)).toThrow(/distinct-3/);
    expect(() => distinctN([[1, 2]], 0)).toThrow(RangeError);
  });
});

describe("likelihood", () => {
  it("matches the published aggregation of summed negative log-likelihoods", () => {
    const { inputs, outputs } = goldenCase("common", "i_nll_aggregation");
    const weights = numbers(inputs, "weights");
    const got = likelihood(numbers(inputs, "values").map((nll, i) => ({ nll, tokens: weights[i] ?? NaN })));
    expect(got.meanNll).toBeCloseTo(scalar(outputs, "nll"), 13);
    expect(got.perplexity).toBeCloseTo(scalar(outputs, "ppl"), 13);
    expect(got.bitsPerToken).toBeCloseTo(scalar(outputs, "bpd"), 13);
  });

  it("does not depend on the split and is not the mean of perplexities", () => {
    const whole = likelihood([{ nll: 30, tokens: 10 }]).perplexity;
    expect(
      likelihood([
        { nll: 2, tokens: 4 },
        { nll: 28, tokens: 6 },
      ]).perplexity,
    ).toBeCloseTo(whole, 12);
    expect(() => likelihood([{ nll: 0, tokens: 0 }])).toThrow(RangeError);
    expect(() => likelihood([])).toThrow(RangeError);
  });
});

describe("generative perplexity, given a scorer's log-likelihoods", () => {
  const golden = goldenCase("common", "i_generative_perplexity");
  const eos = scalar(golden.inputs, "eos");
  const { shape, data } = tensor(golden.outputs, "ids");
  const length = shape[1] ?? 0;
  const perSample = Array.from({ length: shape[0] ?? 0 }, (_, i) => {
    const scored = scoredPositions(data.slice(i * length, (i + 1) * length), eos);
    const nll = numbers(golden.outputs, "per_sample", i, "nll");
    return {
      scored,
      nll: nll.reduce((sum, value, j) => sum + (scored[j] === true ? value : 0), 0),
      tokens: scored.filter(Boolean).length,
    };
  });

  it("counts the published positions and gives the published perplexity of each sample", () => {
    expect(perSample).toHaveLength(7);
    perSample.forEach((sample, i) => {
      expect(sample.scored.map(Number)).toEqual(numbers(golden.outputs, "per_sample", i, "mask"));
      expect(likelihood([sample]).perplexity).toBeCloseTo(scalar(golden.outputs, "per_sample", i, "ppl"), 10);
    });
  });

  it("aggregates over tokens (the published run drops the seventh sample, an incomplete batch)", () => {
    const six = perSample.slice(0, 6);
    expect(likelihood(six).perplexity).toBeCloseTo(scalar(golden.outputs, "ppl"), 10);
    const again = likelihood([...six, ...perSample.slice(0, 2)]);
    expect(again.perplexity).toBeCloseTo(
      scalar(golden.outputs, "ppl_after_second_call_with_samples_0_1"),
      10,
    );
    expect(again.totalNll).toBeCloseTo(scalar(golden.outputs, "total_nll"), 9);
    expect(again.totalTokens).toBe(scalar(golden.outputs, "total_weight"));
    expect(at(golden.outputs, "per_sample", 6)).toBeDefined();
  });
});

describe("group 19, for any samples", () => {
  const EOS = 0;
  const ids = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 2, maxLength: 12 });

  it("the entropy is between 0 and log L, 0 for one token alone and log L for different ones, whatever tokens are called", () => {
    fc.assert(
      fc.property(ids, fc.integer({ min: 1, max: 1000 }), (tokens, by) => {
        const entropy = unigramEntropy(tokens);
        expect(entropy).toBeGreaterThanOrEqual(0);
        expect(entropy).toBeLessThanOrEqual(Math.log(tokens.length) + 1e-12);
        const different = new Set(tokens).size;
        expect(entropy === 0).toBe(different === 1);
        expect(entropy).toBeLessThanOrEqual(Math.log(different) + 1e-12);
        // Special tokens are tokens like any other: all positions count, in any order, under any names.
        expect(unigramEntropy(tokens.map((id) => id * by + 7).toReversed())).toBeCloseTo(entropy, 12);
        expect(unigramEntropy(tokens.map((_, i) => i))).toBeCloseTo(Math.log(tokens.length), 12);
        // Twice the sample has the same histogram.
        expect(unigramEntropy([...tokens, ...tokens])).toBeCloseTo(entropy, 12);
      }),
    );
  });

  it("a position is scored if it is no end of text, or the first one, unless it is position 0", () => {
    fc.assert(
      fc.property(ids, (tokens) => {
        // As defined: in the segment up to and with the first end of text, or not the end of text.
        const segment = tokens.map((_, i) => tokens.slice(0, i).every((id) => id !== EOS));
        const valid = tokens.map((id, i) => (segment[i] ?? false) || id !== EOS);
        const scored = scoredPositions(tokens, EOS);
        expect(scored).toEqual(valid.slice(1));
        const ends = tokens.filter((id) => id === EOS).length;
        const countedEnds = scored.filter((flag, i) => flag && tokens[i + 1] === EOS).length;
        expect(countedEnds).toBe(ends > 0 && tokens[0] !== EOS ? 1 : 0);
        // Text after the end of text counts, padding does not.
        expect(scoredPositions([...tokens, EOS, 3, EOS, EOS], EOS).slice(-4)).toEqual([
          ends === 0,
          true,
          false,
          false,
        ]);
      }),
    );
  });

  it("likelihoods are weighted by tokens: any split has one perplexity, between those of its parts", () => {
    const part = fc.record({
      nll: fc.double({ min: 0, max: 50, noNaN: true }),
      tokens: fc.integer({ min: 1, max: 40 }),
    });
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), fc.nat(), (parts, cut) => {
        const whole = likelihood(parts);
        const at = cut % parts.length;
        const sum = (some: typeof parts) => ({
          nll: some.reduce((a, { nll }) => a + nll, 0),
          tokens: some.reduce((a, { tokens }) => a + tokens, 0),
        });
        expect(likelihood([sum(parts.slice(0, at)), sum(parts.slice(at))]).meanNll).toBeCloseTo(
          whole.meanNll,
          12,
        );
        const each = parts.map(({ nll, tokens }) => nll / tokens);
        expect(whole.meanNll).toBeGreaterThanOrEqual(Math.min(...each) - 1e-12);
        expect(whole.meanNll).toBeLessThanOrEqual(Math.max(...each) + 1e-12);
        expect(Math.log(whole.perplexity)).toBeCloseTo(whole.bitsPerToken * Math.LN2, 12);
      }),
    );
  });
});

describe("bootstrap interval", () => {
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

  it("has the width of the standard error and is a function of its key", () => {
    const items = Array.from(normals(key(21), 400), (z) => 5 + 2 * z);
    const interval = bootstrapInterval({ items, statistic: mean, key: key(1), resamples: 2000 });
    expect(interval.estimate).toBe(mean(items));
    // Both ends lie 1.96 standard errors from the mean.
    const variance = mean(items.map((value) => (value - interval.estimate) ** 2));
    const reach = 1.96 * Math.sqrt(variance / items.length);
    expect(Math.abs((interval.high - interval.estimate) / reach - 1)).toBeLessThan(0.1);
    expect(Math.abs((interval.estimate - interval.low) / reach - 1)).toBeLessThan(0.1);
    expect(bootstrapInterval({ items, statistic: mean, key: key(1), resamples: 2000 })).toEqual(interval);
    expect(bootstrapInterval({ items, statistic: mean, key: key(2), resamples: 2000 })).not.toEqual(interval);
    const narrow = bootstrapInterval({ items, statistic: mean, key: key(1), resamples: 2000, level: 0.5 });
    expect(narrow.high - narrow.low).toBeLessThan(0.5 * (interval.high - interval.low));
  });

  it("covers the true mean about as often as it says", () => {
    let covered = 0;
    for (let trial = 0; trial < 200; trial++) {
      const items = Array.from(normals(fold(key(31), trial), 60));
      const { low, high } = bootstrapInterval({
        items,
        statistic: mean,
        key: fold(key(32), trial),
        resamples: 200,
        level: 0.9,
      });
      if (low <= 0 && 0 <= high) covered++;
    }
    expect(covered / 200).toBeGreaterThan(0.82);
    expect(covered / 200).toBeLessThan(0.96);
  });

  it("collapses on one item and works on any item type", () => {
    const one = bootstrapInterval({
      items: [{ nll: 6, tokens: 3 }],
      statistic: (parts) => likelihood(parts).meanNll,
      key: key(0),
      resamples: 10,
    });
    expect(one).toEqual({ estimate: 2, low: 2, high: 2 });
  });

  it("refuses nothing to resample and impossible options", () => {
    const options = { items: [1], statistic: mean, key: key(0) };
    expect(() => bootstrapInterval({ ...options, items: [] })).toThrow(RangeError);
    expect(() => bootstrapInterval({ ...options, resamples: 0 })).toThrow(RangeError);
    expect(() => bootstrapInterval({ ...options, level: 1 })).toThrow(RangeError);
  });
});
