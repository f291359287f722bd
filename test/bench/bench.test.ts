/**
 * The benchmarks at tiny sizes: contenders agree and run, ratios name contenders, disagreement is noticed. No time is asserted.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BENCHMARKS } from "../../bench/benchmarks.ts";
import { agree } from "../../bench/case.ts";
import { startPeers, stopPeers, versions } from "../../bench/peers.ts";
import type { Peers } from "../../bench/peers.ts";
import { formatComparison, formatPhases, resultsPath } from "../../bench/report.ts";
import { summarize, timeTurns } from "../../bench/timing.ts";

let peers: Peers;
beforeAll(async () => {
  peers = await startPeers();
}, 60_000);
afterAll(() => stopPeers(peers));

describe("benchmarks", () => {
  for (const benchmark of BENCHMARKS) {
    it(`${benchmark.name}: contenders agree and run`, { timeout: 60_000 }, async () => {
      if (benchmark.kind === "phases") {
        const phases = await benchmark.measure("tiny");
        expect(formatPhases(phases)).toContain("load by ONNX Runtime");
        return;
      }
      for (const prepare of benchmark.comparisons("tiny")) {
        const comparison = await prepare(peers);
        expect(comparison.agreements.length).toBeGreaterThan(0);
        const result = await timeTurns(comparison, 0);
        await comparison.dispose();
        expect(result.contenders.every(({ ms }) => ms.least > 0)).toBe(true);
        expect(formatComparison(result)).toContain("agrees:");
      }
    });
  }
});

describe("agree", () => {
  it("gives the greatest difference", () => {
    expect(agree("x", [1, 2], [1, 2.25], 0.1).difference).toBeCloseTo(0.25 / 3.25, 12);
  });
  it("refuses values that are too far apart, not finite, or too few", () => {
    expect(() => agree("the loss", [1, 2], [1, 2.5], 0.1)).toThrow(
      "the loss: the contenders disagree; value 1 is 2, against 2.5 (tolerance 0.1)",
    );
    expect(() => agree("the loss", [Number.NaN], [1], 1)).toThrow("value 0 is NaN");
    expect(() => agree("the loss", [1], [], 1)).toThrow("1 values against 0");
  });
});

describe("reports", () => {
  it("summarizes by median, quartiles and minimum", () => {
    expect(summarize([4, 1, 3, 2, 5])).toEqual({ median: 3, lowerQuartile: 2, upperQuartile: 4, least: 1 });
    expect(summarize([2, 1]).median).toBe(1.5);
  });
  it("names the file by date and processor", () => {
    const machine = {
      date: "2026-11-30T12:00:00Z",
      cpu: "Intel(R) Xeon(R) Processor @ 2.10GHz",
      cores: 2,
      memoryGiB: 8,
      platform: "linux-x64",
      node: "v20",
      packages: {},
    };
    expect(resultsPath("bench/results", machine)).toBe(
      "bench/results/2026-11-30-intel-xeon-processor-2-10ghz.json",
    );
  });
  it("finds the versions of all packages", async () => {
    for (const version of Object.values(await versions())) expect(version).toMatch(/^\d+\.\d+\.\d+/);
  });
});
