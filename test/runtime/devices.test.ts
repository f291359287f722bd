import { describe, expect, it } from "vitest";
import { listDevices, openDevice } from "../../src/runtime/devices.ts";
import { UserError } from "../../src/runtime/files/errors.ts";

describe("devices by name", () => {
  it("opens the cpu device for auto, unless there is a GPU", async () => {
    const webgpu = (await listDevices()).find(({ name }) => name === "webgpu");
    const hardware = webgpu?.available === true && !webgpu.detail.includes("a software adapter");
    const device = await openDevice();
    // What a GPU that fails its check does is tested with one that pretends.
    if (hardware) expect(["cpu", "webgpu"]).toContain(device.name);
    else expect(device.name).toBe("cpu");
    await device.dispose();
  });

  it("opens each device that it lists as available", async () => {
    const listing = await listDevices();
    const native = "cpu interpreter webgpu webgpu-minimum";
    const others = "tfjs:cpu tfjs:wasm tfjs:webgl tfjs:webgpu tfjs:node tfjs:node-gpu";
    expect(listing.map(({ name }) => name).join(" ")).toBe(`${native} ${others}`);
    const later = ["tfjs:webgl", "tfjs:node", "tfjs:node-gpu"];
    const missing = listing.filter(({ name, available }) => !available && !later.includes(name));
    for (const { name, available, detail } of listing)
      if (later.includes(name))
        expect([available, detail]).toEqual([false, expect.stringContaining(`The ${name} device`)]);
    // Where there is no adapter, it says so; on linux-x64 a development dependency has one.
    if (process.platform === "linux" && process.arch === "x64") expect(missing).toEqual([]);
    for (const { name, detail } of missing)
      expect([name, detail.length > 20]).toEqual([expect.stringMatching(/^(tfjs:)?webgpu/), true]);
    for (const { name, available, detail } of listing) {
      if (!available) continue;
      const device = await openDevice(name);
      expect([device.name, device.describe()]).toEqual([name.replace("-minimum", ""), detail]);
      if (name === "webgpu-minimum") expect(detail).toMatch(/; no f16, no subgroups, minimum limits$/);
      await device.dispose();
    }
  });

  it("answers unknown names with a sentence", async () => {
    await expect(openDevice("gpu9")).rejects.toThrow(
      'There is no device "gpu9"; choose one of auto, cpu, interpreter, webgpu, webgpu-minimum, ' +
        "tfjs:cpu, tfjs:wasm, tfjs:webgl, tfjs:webgpu, tfjs:node, tfjs:node-gpu.",
    );
    await expect(openDevice("toString")).rejects.toThrow(UserError);
  });
});
