/** Every op on the backends of TensorFlow.js against the interpreter, over the cases that all targets share. */
import { describe, expect, it } from "vitest";
import type { TensorType } from "../../../src/dsl/program/program.ts";
import { openTfjs } from "../../../src/runtime/tfjs/tfjs-device.ts";
import { deviation } from "../../support/on-device.ts";
import { OP_CASES } from "../../support/op-cases.ts";

const devices = [await openTfjs("cpu"), await openTfjs("wasm")];

describe.each(devices.map((device) => [device.name, device] as const))("lowering to %s", (_name, device) => {
  it.each(Object.entries(OP_CASES))("%s agrees with the interpreter", async (_op, cases) => {
    for (const [i, { run, inputs, tolerance }] of cases.entries()) {
      const types = inputs.map((input: TensorType) => `${input.dtype}[${input.shape.join()}]`).join(" ");
      expect(await deviation(device, run, inputs, tolerance), `case ${i}: ${types}`).toBeUndefined();
    }
  });
});
