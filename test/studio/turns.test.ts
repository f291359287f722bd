/** Requests and trainings never have the device at the same time, however closely they follow each other. */
import { expect, it } from "vitest";
import { openInterpreter } from "../../src/runtime/interpreter-device.ts";
import { ReopenableDevice } from "../../src/runtime/reopenable.ts";
import { Turns } from "../../studio/src/engine/turns.ts";

it("a request that comes while a training waits for the last one is done before it, or lets it begin", async () => {
  // The second request comes so many microtasks after the first one began.
  for (let later = 0; later < 24; later++) {
    const device = openInterpreter();
    const turns = new Turns(await ReopenableDevice.open(async () => device));
    let [working, served] = [0, 0];
    const work = async (): Promise<void> => {
      working++;
      await new Promise((resolve) => setTimeout(resolve));
      working--;
      served++;
    };
    const requests = async (): Promise<void> => {
      await turns.take(work);
      for (let n = 0; n < later; n++) await Promise.resolve();
      await turns.take(work);
    };
    const both = requests();
    await turns.idle();
    expect(working, `${later} microtasks later`).toBe(0);
    await turns.serve({ device, lendOf: () => undefined });
    turns.free();
    await both;
    expect(served).toBe(2);
  }
});
