import { describe, expect, it } from "vitest";
import { listDevices, openDevice } from "../../src/runtime/devices.ts";
import { UserError } from "../../src/runtime/files/errors.ts";

describe("devices by name", () => {
  it("opens the cpu device for auto", async () => {
    const device = await openDevice();
    expect(device.name).toBe("cpu");
    await device.dispose();
  });

  it("opens each device that it lists as available", async () => {
    const listing = await listDevices();
    expect(listing.map(({ name, available }) => [name, available])).toEqual([["cpu", true], ["interpreter", true], ["webgpu", false]]); // prettier-ignore
    for (const { name, available, detail } of listing) {
      if (!available) continue;
      const device = await openDevice(name);
      expect([device.name, device.describe()]).toEqual([name, detail]);
      await device.dispose();
    }
  });

  it("answers unknown and planned names with a sentence", async () => {
    await expect(openDevice("gpu9")).rejects.toThrow(
      'There is no device "gpu9"; choose one of auto, cpu, interpreter, webgpu.',
    );
    await expect(openDevice("toString")).rejects.toThrow(UserError);
    await expect(openDevice("webgpu")).rejects.toThrow('The device "webgpu" is not in this version');
  });
});
