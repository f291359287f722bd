import { describe, expect, it, vi } from "vitest";
import { listDevices, openDevice } from "../../../src/runtime/devices.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";

vi.mock("onnxruntime-node", () => {
  throw new Error("no binding for this platform");
});

describe("without ONNX Runtime", () => {
  it("says what the cpu device needs", async () => {
    await expect(openDevice("cpu")).rejects.toThrow(UserError);
    await expect(openDevice("cpu")).rejects.toThrow(
      `The cpu device needs the npm package onnxruntime-node with an engine for ${process.platform}-${process.arch}`,
    );
    expect((await listDevices()).find(({ name }) => name === "cpu")?.available).toBe(false);
  });

  it("falls back to the interpreter for auto", async () => {
    expect((await openDevice("auto")).name).toBe("interpreter");
  });
});
