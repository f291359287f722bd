/** A device that goes on after a training, as the studio's does, holds nothing of it, however the training ended. */
import { expect, it } from "vitest";
import type { TrainingHooks } from "../../../src/runtime/training/trainer.ts";
import { openCounting } from "../../support/counting-device.ts";
import { newRun, tinyConfig, trained } from "../../support/tiny-training.ts";

it("is left on the device by a training that was stopped, resumed, failed or finished", async () => {
  const device = openCounting();
  const run = await newRun(tinyConfig(6, 4));
  const ended = async (hooks: Partial<TrainingHooks>): Promise<unknown> =>
    trained(device, run, hooks).catch((error: unknown) => error);
  const nothing = { values: 0, executables: 0 };
  // At the first step and at later ones, in the flow and, resumed, in the map.
  for (const stop of [0, 3, 4, 2]) {
    let steps = 0;
    await ended({ step: () => void steps++, stopped: () => steps >= stop });
    expect(device.left(), `stopped after ${stop} steps`).toEqual(nothing);
  }
  const broken = new Error("the page is gone");
  for (const where of ["prepare", "begin", "step", "validation", "sample", "between"] as const) {
    const another = await newRun(tinyConfig(6, 4));
    const fails = (): never => {
      throw broken;
    };
    expect(await trained(device, another, { [where]: fails }).catch((error: unknown) => error)).toBe(broken);
    expect(device.left(), `failed in ${where}`).toEqual(nothing);
  }
  expect(await ended({})).toHaveProperty("files");
  expect(device.left()).toEqual(nothing);
});
