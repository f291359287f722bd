/** What the page of the tests explains: a small step of FLM, as an engine would, on the device that is asked for by the name of a run. */
import { models, outputSpec } from "fluxion";
import type { StepExplanation } from "../../../studio/src/engine/protocol.ts";
import { explainStep } from "../../../studio/src/explain/step.ts";
import { openInterpreter } from "../../../src/runtime/interpreter-device.ts";
import { openWebGpu } from "../../../src/runtime/webgpu/device.ts";

const { flmStep, initFlm } = models.training;
const options = {
  network: { vocab: 60, length: 8, width: 16, depth: 1, heads: 2, conditioning: 16 },
  batch: 4,
  space: "vocabulary",
  beta1: 0.9,
  beta2: 0.99,
  weightDecay: 0,
  clip: 1,
  emaDecay: 0.99,
} as const;

export async function explained(run: string): Promise<StepExplanation> {
  const device = run === "webgpu" ? await openWebGpu() : openInterpreter();
  try {
    const program = flmStep(options, outputSpec(initFlm(options)));
    return await explainStep({ phase: "flm", program: program as never, vocabulary: 60, device });
  } finally {
    await device.dispose();
  }
}
