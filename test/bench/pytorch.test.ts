/**
 * What PyTorch is timed at beside Fluxion (bench/gpu/pytorch) are the same steps: sizes, numbers of parameters, settings of the update.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { rowsOf, stepOptions } from "../../bench/webgpu/flm-step.ts";
import type { StepName } from "../../bench/webgpu/flm-step.ts";
import { OUTPUT_SOFTCAP } from "../../src/models/language/denoiser.ts";
import { weightsLayout } from "../../src/models/training/state.ts";
import { ROOT } from "../support/stage.ts";

const NAMES: readonly StepName[] = ["tiny", "quick", "default", "small"];

describe("the steps in PyTorch", () => {
  it("have Fluxion's sizes", async () => {
    const sizes: unknown = JSON.parse(await readFile(join(ROOT, "bench/gpu/pytorch/sizes.json"), "utf8"));
    const { network, ...update } = stepOptions("small");
    const rate = rowsOf(stepOptions("tiny")).get("learningRate")?.data[0] ?? 0;
    expect(sizes).toEqual({
      cap: { attention: network.attentionSoftcap, output: OUTPUT_SOFTCAP },
      update: {
        learningRate: Number(rate.toPrecision(6)), // it is f32
        beta1: update.beta1,
        beta2: update.beta2,
        weightDecay: update.weightDecay,
        clip: update.clip,
        emaDecay: update.emaDecay,
      },
      steps: Object.fromEntries(
        NAMES.map((name) => {
          const { batch, network } = stepOptions(name);
          const { vocab, length, width, depth, heads, conditioning } = network;
          const parameters = weightsLayout(network).vectors.reduce((total, { size }) => total + size, 0);
          return [name, { batch, vocab, length, width, depth, heads, conditioning, parameters }];
        }),
      ),
    });
  });

  it("have no other parts than these", () => {
    for (const name of NAMES) {
      const { space, network } = stepOptions(name);
      const { mlpRatio, dropout, positions, targetTime, outputs } = network;
      expect({ space, mlpRatio, dropout, positions, targetTime, outputs }).toEqual({
        space: "projected",
        mlpRatio: 4,
        dropout: 0,
        targetTime: false,
      });
    }
  });
});
