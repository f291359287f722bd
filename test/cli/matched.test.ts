import { describe, expect, it } from "vitest";
import { atEntropy, MATCHED } from "../../src/cli/matched.ts";
import type { Measured, Side } from "../../src/cli/matched.ts";
import { verdict } from "../../src/cli/verdicts.ts";
import type { Decoder } from "../../src/runtime/training/sampler.ts";

/** A decoder whose tokens encode the temperature in thousandths, so that a measure can read it. */
const thermometer: Decoder = {
  decode: (temperature) => Promise.resolve(Int32Array.of(Math.round(temperature * 1000))),
  dispose: () => Promise.resolve(),
};

const measureBy =
  (entropyAt: (temperature: number) => number) =>
  (tokens: Int32Array): Measured => {
    const temperature = (tokens[0] ?? 0) / 1000;
    return { perplexity: 10 * temperature, low: 0, high: 1, entropy: entropyAt(temperature) };
  };

describe("atEntropy", () => {
  it.each([0.3, 0.7, 1.1, 1.9])("finds the temperature %f of an entropy", async (temperature) => {
    const curve = (t: number): number => 2 * Math.sqrt(t);
    const found = await atEntropy(thermometer, curve(temperature), measureBy(curve));
    expect(Math.abs(found.entropy - curve(temperature))).toBeLessThan(MATCHED);
    expect(found.temperature).toBeCloseTo(temperature, 1);
    expect(found.perplexity).toBeCloseTo(10 * found.temperature, 1);
  });

  it("gives the nearest when no temperature reaches the entropy", async () => {
    const found = await atEntropy(
      thermometer,
      5,
      measureBy((t) => Math.min(1, t)),
    );
    expect(found.entropy).toBe(1);
  });
});

describe("verdict", () => {
  const side = (
    model: "FLM" | "FMLM",
    low: number,
    high: number,
    entropy: number,
    temperature = 0,
  ): Side => ({
    model,
    steps: 1,
    temperature,
    perplexity: (low + high) / 2,
    low,
    high,
    entropy,
  });

  const comparison = (fmlm: Side, flm: Side): string =>
    verdict({ drawn: { fmlm: side("FMLM", 80, 90, 1.9), flm: side("FLM", 70, 75, 1) }, fmlm, flm });

  it("says who is better only when the intervals are apart", () => {
    expect(comparison(side("FMLM", 80, 90, 1.9), side("FLM", 101, 110, 1.9, 0.8))).toBe(
      "FMLM in 1 step, FLM in 1: FMLM is better at an entropy of 1.90 nats, perplexity 85.0 (80.0-90.0) against 105.5 (101.0-110.0) " +
        "(last step of FLM drawn at temperature 0.80). As drawn, 85.0 (80.0-90.0) at 1.90 nats against 72.5 (70.0-75.0) at 1.00.",
    );
    expect(comparison(side("FMLM", 90, 102, 2), side("FLM", 101, 110, 2, 0.5))).toContain(
      "no clear difference at",
    );
    expect(comparison(side("FMLM", 120, 130, 2), side("FLM", 101, 110, 2, 0.5))).toContain(
      "FLM is better at",
    );
  });

  it("says when the entropies were equal as drawn, and when they stay apart", () => {
    const [fmlm, flm] = [side("FMLM", 90, 100, 2), side("FLM", 101, 110, 2.01)];
    expect(verdict({ drawn: { fmlm, flm }, fmlm, flm })).toMatch(
      /FMLM is better at an entropy of 2\.00 nats.*\)\.$/,
    );
    expect(comparison(side("FMLM", 90, 100, 2), side("FLM", 101, 110, 1.5, 2))).toContain(
      "which no temperature brings together",
    );
  });
});
