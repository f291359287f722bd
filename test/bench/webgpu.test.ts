/**
 * The benchmarks on webgpu at tiny sizes, on whatever adapter there is: all contenders start, agree and run, and their calls are
 * counted. No time is asserted.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BENCHMARKS } from "../../bench/benchmarks.ts";
import { describeAdapter } from "../../bench/machine.ts";
import type { Peers } from "../../bench/peers.ts";
import { formatComparison, formatPhases } from "../../bench/report.ts";
import { timeTurns } from "../../bench/timing.ts";
import { startWebGpuPeers } from "../../bench/webgpu/peers.ts";

let peers: Peers;
beforeAll(async () => {
  peers = await startWebGpuPeers();
  console.log(`WebGPU adapter of these tests: ${peers.gpu?.gpu.describe()}.`);
}, 60_000);
afterAll(() => peers?.stop());

describe("the peers on webgpu", () => {
  it("are all there", () => {
    // The package has the provider for this platform; elsewhere a sentence says that it is missing.
    expect([...peers.absent]).toEqual([]);
    expect(peers.engines.map(({ name }) => name)).toEqual(["onnxruntime webgpu"]);
  });

  it("say on which adapter they are", () => {
    const { gpu } = peers.gpu ?? {};
    if (gpu === undefined) throw new Error("There is no adapter.");
    const { adapter, driver } = describeAdapter(gpu);
    expect(`${adapter} (${driver})`).toBe(gpu.adapter.name);
  });
});

describe("benchmarks on webgpu", () => {
  for (const benchmark of BENCHMARKS.webgpu) {
    it(`${benchmark.name}: contenders agree and run`, { timeout: 240_000 }, async () => {
      if (benchmark.kind === "phases") {
        const texts = (await benchmark.measure("tiny")).map(formatPhases);
        expect(texts[0]).toContain("write and make pipelines");
        expect(texts[0]).toContain("times that of the MLP step by jax-js");
        return;
      }
      for (const prepare of benchmark.comparisons("tiny", peers)) {
        const comparison = await prepare();
        // Where nothing computes, there is nothing to agree on.
        const computes = !comparison.name.endsWith("on no GPU");
        expect(comparison.agreements.length > 0).toBe(computes);
        const missing = (comparison.absent ?? []).filter(({ error }) => error !== "tfjs has no f16");
        expect(missing).toEqual([]);
        const result = await timeTurns(comparison, 0, peers.gpu?.count);
        await comparison.dispose();
        const text = formatComparison(result);
        expect(text.includes("agrees:")).toBe(computes);
        if (comparison.bounds?.submits !== undefined)
          expect(text).toContain("fluxion: submits with kernels 1.00; aim ≤ 1: met");
        if (comparison.perDispatch === true) {
          // Tiny: a chain of eight products, or a step.
          if (!comparison.name.includes("FLM"))
            expect(result.contenders.map(({ calls }) => calls?.dispatches)).toEqual([8, 8, 8]);
          expect(
            result.contenders.every(({ microsecondsPerDispatch }) => (microsecondsPerDispatch ?? 0) > 0),
          ).toBe(true);
        }
      }
    });
  }
});
