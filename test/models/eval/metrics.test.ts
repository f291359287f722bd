// Metrics against closed forms and the published values.

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
