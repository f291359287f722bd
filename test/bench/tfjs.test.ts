/** The benchmark of the devices on TensorFlow.js at a tiny size: those that every checkout has take part and agree. No time is asserted. */
import { expect, it } from "vitest";
import { BENCHMARKS } from "../../bench/benchmarks.ts";
import { startTfjsPeers } from "../../bench/tfjs/peers.ts";
import { timeTurns } from "../../bench/timing.ts";
import { missing } from "../browser/chromium.ts";

/** In a page each, where there is a Chromium for the tests. */
const IN_BROWSER = missing === undefined ? ["tfjs:webgl", "tfjs:webgpu"] : [];

it("compares the devices on TensorFlow.js, and names those that are not here", async () => {
  const peers = await startTfjsPeers();
  const open = [...peers.ours, ...(peers.inBrowser ?? [])].map(({ name }) => name);
  expect(open).toEqual(expect.arrayContaining(["cpu", "tfjs:cpu", "tfjs:wasm", ...IN_BROWSER]));
  const names = new Set([...open, ...peers.absent.keys()]);
  expect(names.size).toBe(open.length + peers.absent.size);
  for (const name of ["webgpu", "tfjs:webgl", "tfjs:webgpu", "tfjs:node", "tfjs:node-gpu"])
    expect(names).toContain(name);
  const [benchmark] = BENCHMARKS.tfjs;
  if (benchmark?.kind !== "comparison") throw new Error("it is a comparison");
  for (const prepare of benchmark.comparisons("tiny", peers)) {
    const comparison = await prepare();
    expect(comparison.absent).toEqual([]);
    const result = await timeTurns(comparison, 0);
    await comparison.dispose();
    expect(result.contenders.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["cpu", "tfjs:cpu", "tfjs:wasm", ...IN_BROWSER]),
    );
    expect(result.ratios.map(({ to }) => to)).toEqual(result.ratios.map(() => "cpu"));
  }
  await peers.stop();
}, 120_000);
