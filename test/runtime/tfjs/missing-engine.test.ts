import { describe, expect, it, vi } from "vitest";
import { listDevices, openDevice } from "../../../src/runtime/devices.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";

vi.mock("@tensorflow/tfjs", () => {
  throw new Error("Cannot find package '@tensorflow/tfjs'");
});

describe("without TensorFlow.js", () => {
  it("says how to install it", async () => {
    await expect(openDevice("tfjs:wasm")).rejects.toThrow(UserError);
    await expect(openDevice("tfjs:wasm")).rejects.toThrow(
      'install it with "npm install @tensorflow/tfjs @tensorflow/tfjs-backend-wasm", or use the device "cpu".',
    );
    await expect(openDevice("tfjs:cpu")).rejects.toThrow('"npm install @tensorflow/tfjs"');
    const listed = (await listDevices()).filter(({ name }) => name.startsWith("tfjs:"));
    expect(listed.map(({ available }) => available)).toEqual(listed.map(() => false));
  });
});
