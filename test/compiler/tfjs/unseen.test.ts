/** Causal attention on TensorFlow.js where a row that is not seen holds a NaN or an infinity: nobody must notice. */
import { describe, expect, it } from "vitest";
import { toStorage } from "../../../src/compiler/host-tensor.ts";
import { deviation } from "../../support/on-device.ts";
import { ATTENTION_OPS, unseenCases } from "../../support/unseen.ts";
import { tfjsDevices } from "../../support/tfjs-devices.ts";

describe.each(tfjsDevices)("what is not seen on %s", (_name, device) => {
  it.each(ATTENTION_OPS)("does not matter to %s", async (op) => {
    for (const [queries, keys, softcap] of [
      [3, 3, 0],
      [2, 5, 1.5],
    ] as const)
      for (const { name, program, inputs } of unseenCases(op, {
        queries,
        keys,
        depth: 3,
        width: 4,
        softcap,
      }))
        expect(await deviation(device, program, inputs.map(toStorage), 1e-4), name).toBeUndefined();
  });
});
