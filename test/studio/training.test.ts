/** A training in the page, on a device that goes on after it: what it showed texts with is given back with the rest. */
import { expect, it, onTestFinished, vi } from "vitest";
import { UserError } from "../../src/runtime/files/errors.ts";
import { ReopenableDevice } from "../../src/runtime/reopenable.ts";
import { textFingerprint } from "../../src/runtime/text/documents.ts";
import { vocabularyText } from "../../src/runtime/run/vocabulary.ts";
import { summaryOf } from "../../studio/src/engine/summary.ts";
import { memoryStorage } from "../../studio/src/engine/storage/memory.ts";
import type { EngineEvent } from "../../studio/src/engine/protocol.ts";
import { Runs } from "../../studio/src/engine/runs.ts";
import { subjectOfRun } from "../../studio/src/engine/subject.ts";
import { Training } from "../../studio/src/engine/training.ts";
import { Turns } from "../../studio/src/engine/turns.ts";
import { openCounting } from "../support/counting-device.ts";
import { tinyConfig, tinyText } from "../support/tiny-training.ts";

it("leaves nothing on the device, stopped or finished", async () => {
  const fingerprint = textFingerprint(tinyText);
  const config = tinyConfig(4, 3);
  const known = await new Runs(memoryStorage("")).make(
    { ...config, data: { ...config.data, fingerprint } },
    { origin: "trained", text: "a story" },
    { vocabulary: vocabularyText(tinyText.vocabulary, fingerprint) },
  );
  const material = {
    subject: subjectOfRun(known.run.config, tinyText.vocabulary.tokens.length),
    text: tinyText,
  };
  const device = openCounting();
  const devices = await ReopenableDevice.open(async () => device);
  // Every look at the clock is a minute later, so texts are shown after every step.
  let minutes = 0;
  const clock = vi.spyOn(Date, "now").mockImplementation(() => 60_000 * minutes++);
  try {
    for (const stops of [true, false]) {
      const events: EngineEvent[] = [];
      const training: Training = new Training(known, material, {
        tell(event) {
          events.push(event);
          if (stops && event.kind === "texts") training.stop();
        },
        turns: new Turns(devices),
        summary: () => summaryOf(known, undefined),
        sentence: String,
      });
      await training.train(devices);
      expect(events.filter(({ kind }) => kind === "failed")).toEqual([]);
      expect(new Set(events.flatMap((event) => (event.kind === "texts" ? [event.phase] : [])))).toEqual(
        new Set(stops ? ["flm"] : ["flm", "fmlm"]),
      );
      expect(device.left()).toEqual({ values: 0, executables: 0 });
    }
  } finally {
    clock.mockRestore();
  }
});

it("of files that were dropped is stuck only where what it goes on from is not among them", async () => {
  const { run } = await new Runs(memoryStorage("")).make(tinyConfig(4, 3), {
    origin: "imported",
    text: "a story",
  });
  const told = async () => {
    const { state, stuck = "", done } = await summaryOf({ run, origin: "imported", text: "a story" }, undefined); // prettier-ignore
    return { state, stuck, done };
  };
  const weights = [{ name: "w", dtype: "F32", shape: [1], data: Float32Array.of(1) }] as const;
  expect((await told()).stuck).toContain("state.safetensors, which says where it stopped, was not dropped");
  await run.saveCheckpoint("state", weights, { step: 1, phase: "flm" });
  expect(await told()).toEqual({ state: "idle", stuck: "", done: 2 });

  // Another one took its place while it was read: once, or every time.
  let failures = 0;
  const read = run.checkpointMeta.bind(run);
  const refused = vi.spyOn(run, "checkpointMeta").mockImplementation(async (name) => {
    if (failures-- > 0) throw new UserError("Cannot read it");
    return read(name);
  });
  onTestFinished(() => refused.mockRestore());
  failures = 1;
  expect(await told()).toEqual({ state: "idle", stuck: "", done: 2 });
  failures = 9;
  expect((await told()).stuck).toContain("state.safetensors, which says where it stopped, cannot be read");
  failures = 0;

  // Between the two trainings there is no state.
  await run.removeCheckpoint("state");
  await run.saveCheckpoint("flm", weights, { step: 3, phase: "flm" });
  expect((await told()).stuck).toContain("was not dropped"); // without a log that cannot be told
  await run.appendMetrics([{ step: 3, phase: "flm", loss: 1, gradientNorm: 1 }]);
  expect(await told()).toEqual({ state: "idle", stuck: "", done: 4 });
  await run.appendMetrics([{ step: 4, phase: "fmlm", loss: 1, gradientNorm: 1 }]);
  expect((await told()).stuck).toContain("was not dropped");
});
