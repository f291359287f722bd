/**
 * The benchmarks on the cpu at tiny sizes: contenders agree and run, ratios name contenders, disagreement is noticed. No time is
 * asserted.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BENCHMARKS } from "../../bench/benchmarks.ts";
import { agree } from "../../bench/case.ts";
import type { Comparison } from "../../bench/case.ts";
import { compare } from "../../bench/contenders.ts";
import type { Candidate } from "../../bench/contenders.ts";
import { startCpuPeers, versions } from "../../bench/peers.ts";
import type { Peers } from "../../bench/peers.ts";
import { formatComparison, formatMachine, formatPhases, resultsPath } from "../../bench/report.ts";
import { sampledProduct } from "../../bench/sampled-product.ts";
import { summarize, timeTurns } from "../../bench/timing.ts";

let peers: Peers;
beforeAll(async () => {
  peers = await startCpuPeers();
}, 60_000);
afterAll(() => peers?.stop());

describe("benchmarks", () => {
  for (const benchmark of BENCHMARKS.cpu) {
    it(`${benchmark.name}: contenders agree and run`, { timeout: 60_000 }, async () => {
      if (benchmark.kind === "phases") {
        const phases = await benchmark.measure("tiny");
        expect(phases.map(formatPhases).join("\n")).toContain("load by ONNX Runtime");
        return;
      }
      for (const prepare of benchmark.comparisons("tiny", peers)) {
        const comparison = await prepare();
        expect(comparison.agreements.length).toBeGreaterThan(0);
        expect(comparison.absent).toEqual([]);
        const result = await timeTurns(comparison, 0);
        await comparison.dispose();
        expect(result.contenders.every(({ ms }) => ms.least > 0)).toBe(true);
        expect(formatComparison(result)).toContain("agrees:");
      }
    });
  }
});

describe("timing", () => {
  /** What was called, in order. */
  const log: string[] = [];
  const comparison: Comparison = {
    name: "asking",
    what: "two ways of asking",
    contenders: [
      {
        name: "ours",
        run: async () => {
          log.push("ours");
          return 1e9; // more than any machine takes
        },
        settle: async () => void log.push("settled"),
      },
      { name: "theirs", run: async () => void log.push("theirs") },
    ],
    ratios: [{ of: "ours", to: "theirs" }],
    perDispatch: true,
    bounds: { submits: 1, microsecondsPerDispatch: 1 },
    agreements: [],
    dispose: async () => undefined,
  };

  it("lets work settle before the next turn, counts calls once, and takes off what is not a contender's own", async () => {
    const result = await timeTurns(comparison, 0, async (work) => {
      await work();
      return { dispatches: 4, submits: 3, submitsWithKernels: 2 };
    });
    expect(log.filter((entry, i) => entry === "ours" && log[i + 1] !== "settled")).toEqual([]);
    const [ours] = result.contenders;
    expect(ours?.ms.median).toBeLessThan(0);
    expect(ours?.microsecondsPerDispatch).toBeCloseTo((1000 * (ours?.ms.median ?? 0)) / 4, 9);
    const text = formatComparison(result);
    expect(text).toContain("2 + 1 copying");
    expect(text).toContain("ours: submits with kernels 2.00; aim ≤ 1: missed");
    expect(text).toContain("ours: µs per dispatch");
  });
});

describe("candidates", () => {
  const disposed: string[] = [];
  const candidate = (name: string, values: readonly number[], error?: string): Candidate => ({
    name,
    prepare: async () => {
      if (error !== undefined) throw new Error(`${error}\nat some line`);
      return {
        run: async () => undefined,
        values: async () => [values],
        dispose: async () => void disposed.push(name),
      };
    },
  });
  const absent = new Map([["away", "it did not start"]]);
  const compared = (candidates: readonly Candidate[], expected?: readonly number[]): Promise<Comparison> =>
    compare(
      { absent },
      {
        name: "adding",
        what: "one and one",
        candidates,
        checks: [{ what: "the sum", tolerance: 0.01 }],
        ratios: [
          { of: "ours", to: "right" },
          { of: "ours", to: "wrong" },
        ],
        ...(expected === undefined ? {} : { expected: { from: "arithmetic", values: [expected] } }),
      },
    );

  it("name those who cannot run or are wrong, and go on with the rest", async () => {
    const others = [candidate("right", [2.001]), candidate("wrong", [3]), candidate("broken", [], "no f16"), candidate("away", [])]; // prettier-ignore
    const comparison = await compared([candidate("ours", [2]), ...others]);
    expect(comparison.contenders.map(({ name }) => name)).toEqual(["ours", "right"]);
    expect(comparison.ratios).toEqual([{ of: "ours", to: "right" }]);
    expect(comparison.agreements.map(({ what }) => what)).toEqual(["the sum of right with what ours finds"]);
    expect(comparison.absent).toEqual([
      { name: "wrong", error: expect.stringContaining("the contenders disagree") as unknown, wrong: true },
      { name: "broken", error: "no f16", wrong: false },
    ]);
    expect(disposed).toEqual(["wrong"]);
    const text = formatComparison(await timeTurns(comparison, 0));
    expect(text).toContain("WRONG: wrong: the sum of wrong with what ours finds: the contenders disagree");
    expect(text).toContain("absent: broken: no f16");
  });

  it("must begin with one that runs and is right", async () => {
    await expect(compared([candidate("ours", [], "no memory"), candidate("right", [2])])).rejects.toThrow(
      "no memory",
    );
    await expect(compared([candidate("ours", [3]), candidate("right", [2])], [2])).rejects.toThrow(
      "the sum of ours with arithmetic: the contenders disagree",
    );
  });

  it("are out when they fail while they are timed, unless it is the first", async () => {
    let left = 4; // two to warm up, two to be timed
    const failing = {
      name: "right",
      run: async () => {
        if (left-- === 0) throw new Error("the device was lost");
      },
    };
    const comparison = await compared([candidate("ours", [2]), candidate("right", [2])]);
    const [ours] = comparison.contenders;
    if (ours === undefined) throw new Error("There is no contender.");
    const result = await timeTurns({ ...comparison, contenders: [ours, failing] }, 0);
    expect(result.contenders.map(({ name }) => name)).toEqual(["ours"]);
    expect(result.ratios).toEqual([]);
    expect(result.absent).toEqual([{ name: "right", error: "the device was lost", wrong: false }]);
    left = 0;
    await expect(timeTurns({ ...comparison, contenders: [failing, ours] }, 0)).rejects.toThrow(
      "the device was lost",
    );
  });
});

describe("products", () => {
  it("are sampled by whole rows", () => {
    const [a, b] = [
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ];
    const { expected, sample } = sampledProduct(2, a ?? [], b ?? []);
    expect([...expected]).toEqual([19, 22, 43, 50]);
    expect([...sample([1, 2, 3, 4])]).toEqual([1, 2, 3, 4]);
    const few = sampledProduct(4, Array.from({ length: 16 }, (_, i) => i), [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], 32); // prettier-ignore
    expect([...few.expected]).toEqual([0, 1, 2, 3, 8, 9, 10, 11]);
    expect([...few.sample(Array.from({ length: 16 }, (_, i) => i))]).toEqual([...few.expected]);
  });
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
  it("names an adapter and its driver, and the file by it", () => {
    const machine = {
      date: "2026-11-30T12:00:00Z",
      cpu: "AMD EPYC",
      cores: 2,
      memoryGiB: 8,
      platform: "linux-x64",
      node: "v20",
      packages: {},
      gpu: {
        adapter: "llvmpipe-llvm-15-0-6-256-bits",
        driver: "llvmpipe: Mesa 25.0.7",
        vendor: "mesa",
        architecture: "software",
        software: true,
        features: ["shader-f16"],
      },
    };
    expect(formatMachine(machine)).toContain(
      "WebGPU on llvmpipe-llvm-15-0-6-256-bits, a software adapter, llvmpipe: Mesa 25.0.7; shader-f16",
    );
    expect(resultsPath("bench/results", machine)).toBe(
      "bench/results/2026-11-30-llvmpipe-llvm-15-0-6-256-bits.json",
    );
  });
  it.each(["cpu", "webgpu"] as const)("finds the versions of all packages compared on %s", async (target) => {
    for (const version of Object.values(await versions(target))) expect(version).toMatch(/^\d+\.\d+\.\d+/);
  });
});
