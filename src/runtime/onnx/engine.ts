/**
 * Loads ONNX Runtime, without what it would tell others. Consumed by `cpu-device.ts`.
 */
import { UserError } from "../files/errors.ts";
import { disableTelemetry } from "./telemetry.ts";

export type Engine = typeof import("onnxruntime-node");

/** @throws UserError when ONNX Runtime is missing or has no build for this platform */
export async function loadEngine(): Promise<Engine> {
  disableTelemetry();
  try {
    return await import("onnxruntime-node");
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).split("\n")[0];
    throw new UserError(
      `The cpu device needs the npm package onnxruntime-node with an engine for ${process.platform}-${process.arch}, and it ` +
        `did not load (${reason}); install it, or use the device "interpreter".`,
      { cause: error },
    );
  }
}
