/**
 * A device that is lost while it trains, wherever that is noticed: the training ends as one that nothing disturbed. Here the device is
 * an interpreter that can be lost, so that every kind of place is tried; lost-webgpu.test.ts destroys real ones.
 */
import { readdir } from "node:fs/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { hostTensor } from "../../../src/compiler/host-tensor.ts";
import type { Device, DeviceValue } from "../../../src/runtime/device.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";
import { ReopenableDevice } from "../../../src/runtime/reopenable.ts";
import type { TrainingHooks } from "../../../src/runtime/training/trainer.ts";
import { DeviceLostError } from "../../../src/runtime/webgpu/errors.ts";
import { openLosable } from "../../support/losable-device.ts";
import type { LosableDevice } from "../../support/losable-device.ts";
import { differences, newRun, tinyConfig, trained } from "../../support/tiny-training.ts";
import type { Trained } from "../../support/tiny-training.ts";

const config = tinyConfig(12, 5);
let undisturbed: Trained;
let operations: number;
beforeAll(async () => {
  const device = openLosable();
  undisturbed = await trained(device, await newRun(config));
  operations = device.operations();
});

const NOTE =
  /^The device was lost \(The driver was reset\); (going on from step \d+ of FM?LM|starting FM?LM over) on losable, opened again\.$/;

/** Where a note says that the training goes on: "FLM 3". */
function placeIn(note = ""): string {
  const [, step, name, over] = /step (\d+) of (\w+)|starting (\w+) over/.exec(note) ?? [];
  return `${name ?? over} ${step ?? 0}`;
}

interface Opening {
  readonly device: ReopenableDevice;
  readonly opened: readonly LosableDevice[];
}

/** A device that is what `next` gives, each time that it is opened. */
async function opening(next: (count: number) => LosableDevice): Promise<Opening> {
  const opened: LosableDevice[] = [];
  const open = async (): Promise<Device> => {
    const device = next(opened.length);
    opened.push(device);
    return device;
  };
  return { device: await ReopenableDevice.open(open, { pause: 0 }), opened };
}

/** Loses a device in the eighth step of FLM, after two states were saved. */
const losing = (device: () => LosableDevice | undefined): Partial<TrainingHooks> => ({
  step: (phase, step) => void (phase === "flm" && step === 7 && device()?.lose()),
});

/** What a promise is rejected with. */
const errorOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => "it worked",
    (error: unknown) => error,
  );

describe("a device that is lost", { timeout: 120_000 }, () => {
  it("at any operation changes nothing but the time it takes", async () => {
    expect(operations).toBeGreaterThan(200);
    // At every one would take minutes; the stride is prime to what repeats in a step.
    for (let at = 0; at < operations; at += 23) {
      const { device, opened } = await opening((count) => openLosable(count === 0 ? at : Infinity));
      const one = await trained(device, await newRun(config));
      expect(differences(one, undisturbed), `lost at operation ${at}`).toEqual([]);
      expect(opened.map((old) => old.disposed())).toEqual([true, false]);
      expect(one.notes).toEqual([expect.stringMatching(NOTE)]);
      expect(one.begins).toContain(placeIn(one.notes[0]));
    }
  });

  it("again and again is opened again as long as states are saved between", async () => {
    // Long enough for the programs and what is uploaded, and then for several steps, so that each device saves a state or two.
    const { device, opened } = await opening(() => openLosable(110));
    const long = tinyConfig(40, 5);
    const one = await trained(device, await newRun(long));
    expect(differences(one, await trained(openLosable(), await newRun(long)))).toEqual([]);
    expect(opened.length).toBeGreaterThan(4);
    expect(one.notes).toHaveLength(opened.length - 1);
  });

  it("three times without a saved state between is an error, and the run can be resumed", async () => {
    const run = await newRun(config);
    // The first one gets on, the others do not.
    const { device, opened } = await opening((count) => openLosable(count === 0 ? Infinity : count * 3));
    const error = await errorOf(
      trained(
        device,
        run,
        losing(() => opened[0]),
      ),
    );
    expect(error).toBeInstanceOf(UserError);
    expect(error).toMatchObject({
      exitCode: 1,
      message: `The losable device was lost 3 times in a row, the last time with this reason: The driver was reset. What was saved is kept: go on with --resume ${run.dir}, perhaps on another device or saving more often.`,
    });
    // The first was lost after a state was saved, so its loss is the first of three.
    expect(opened).toHaveLength(3);
    expect(await readdir(run.dir)).toContain("state.safetensors");
    const resumed = await trained(openLosable(), run);
    expect(resumed.begins).toEqual(["FLM 6", "FMLM 0"]);
    expect(differences(resumed, undisturbed)).toEqual([]);
  });

  it("and cannot be opened again is an error once it was tried three times", async () => {
    const run = await newRun(config);
    let tries = 0;
    const { device, opened } = await opening((count) => {
      if (count === 0) return openLosable();
      tries++;
      throw new UserError("There is no adapter at the moment.");
    });
    const hooks = losing(() => opened[0]);
    expect(await errorOf(trained(device, run, hooks))).toMatchObject({
      name: "UserError",
      exitCode: 1,
      message: `The losable device was lost (The driver was reset) and cannot be opened again: There is no adapter at the moment. What was saved is kept: go on with --resume ${run.dir}, perhaps on another device or saving more often.`,
    });
    expect(tries).toBe(3);
    await device.dispose();
    expect(differences(await trained(openLosable(), run), undisturbed)).toEqual([]);
  });

  it("is opened again when that works at the second try", async () => {
    let tries = 0;
    const { device, opened } = await opening((count) => {
      if (count > 0 && ++tries === 1) throw new UserError("There is no adapter at the moment.");
      return openLosable();
    });
    const one = await trained(
      device,
      await newRun(config),
      losing(() => opened[0]),
    );
    expect(tries).toBe(2);
    expect(differences(one, undisturbed)).toEqual([]);
  });

  it("and cannot be reopened ends the training with the error itself, and the run can be resumed", async () => {
    const run = await newRun(config);
    const device = openLosable();
    const hooks = losing(() => device);
    expect(await errorOf(trained(device, run, hooks))).toBeInstanceOf(DeviceLostError);
    expect(device.disposed()).toBe(false); // it is its owner's
    expect(differences(await trained(openLosable(), run), undisturbed)).toEqual([]);
  });

  it("after Ctrl-C is not waited for", async () => {
    const run = await newRun(config);
    const notes: string[] = [];
    let stopping = false;
    const { device, opened } = await opening(() => openLosable());
    const hooks = {
      ...losing(() => opened[0]),
      note: (line: string) => void notes.push(line),
      end: () => void (stopping = true),
      stopped: () => stopping,
    };
    await errorOf(trained(device, run, hooks)); // what it would leave is not there yet
    expect(notes).toEqual(["The device was lost (The driver was reset) before the last steps were saved."]);
    expect(differences(await trained(openLosable(), run), undisturbed)).toEqual([]);
  });

  it("while samples are drawn is opened again, and the next samples are drawn on the new one", async () => {
    const { device, opened } = await opening(() => openLosable());
    const sampledOn = new Set<Device>();
    const one = await trained(device, await newRun(config), {
      async sample(_phase, _params, on) {
        sampledOn.add(on);
        const value = on.upload(hostTensor("f32", [1], [1]));
        if (opened.length === 1) opened[0]?.lose();
        await value.read();
      },
    });
    expect(one.notes).toHaveLength(1);
    expect([...sampledOn]).toEqual(opened);
    expect(differences(one, undisturbed)).toEqual([]);
  });

  it("is not blamed for what someone kept of the one before: that is an error at once", async () => {
    const { device, opened } = await opening(() => openLosable());
    let kept: DeviceValue | undefined;
    const sample = async (_phase: unknown, _params: unknown, on: Device): Promise<void> => {
      kept ??= on.upload(hostTensor("f32", [1], [1]));
      opened[0]?.lose();
      await kept.read();
    };
    const error = await errorOf(trained(device, await newRun(config), { sample }));
    expect(error).toBeInstanceOf(DeviceLostError);
    expect(opened).toHaveLength(2);
  });
});
