/** The benchmark of the devices on TensorFlow.js at a tiny size: those that every checkout has take part and agree. No time is asserted. */
import { expect, it } from "vitest";
import { BENCHMARKS } from "../../bench/benchmarks.ts";
import { startTfjsPeers } from "../../bench/tfjs/peers.ts";
import { timeTurns } from "../../bench/timing.ts";

it("compares the devices on TensorFlow.js, and names those that are not here", async () => {
  const peers = await startTfjsPeers();
  const names = new Set([...peers.ours.map(({ name }) => name), ...peers.absent.keys()]);
  for (const name of ["cpu", "webgpu", "tfjs:cpu", "tfjs:wasm", "tfjs:node", "tfjs:node-gpu"])
    expect(names).toContain(name);
  const [benchmark] = BENCHMARKS.tfjs;
  if (benchmark?.kind !== "comparison") throw new Error("it is a comparison");
  for (const prepare of benchmark.comparisons("tiny", peers)) {
    const comparison = await prepare();
    expect(comparison.absent).toEqual([]);
    const result = await timeTurns(comparison, 0);
    await comparison.dispose();
    expect(result.contenders.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["cpu", "tfjs:cpu", "tfjs:wasm"]),
    );
    expect(result.ratios.map(({ to }) => to)).toEqual(result.ratios.map(() => "cpu"));
  }
  await peers.stop();
}, 120_000);
