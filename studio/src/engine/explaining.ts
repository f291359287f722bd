/**
 * The step of a run as `explain` shows it: which program that is. What it comes to is in ../explain/step.ts. Consumed by engine.ts.
 */
import type { Device } from "../../../src/runtime/device.ts";
import { stepProgram } from "../../../src/runtime/training/phases.ts";
import { phasesOf } from "../../../src/runtime/training/subject.ts";
import type { Subject } from "../../../src/runtime/training/subject.ts";
import type { ExplainHooks } from "../explain/step.ts";
import type { ModelName, StepExplanation } from "./protocol.ts";
import type { StoredRun } from "./storage/run.ts";

/** @param running which model is being trained; else the step is that of the first training that is not finished, or of the last */
export async function explainRun(
  { run, subject }: { readonly run: StoredRun; readonly subject: Subject },
  vocab: number,
  running: ModelName | undefined,
  device: Device,
  hooks: ExplainHooks,
): Promise<StepExplanation> {
  const { config } = run;
  const phases = phasesOf(config);
  let phase = running ?? phases.at(-1) ?? "flm";
  if (running === undefined)
    for (const one of [...phases].reverse()) if (!(await run.hasCheckpoint(one))) phase = one;
  // Loaded when it is first asked for.
  const { explainStep } = await import("../explain/step.ts");
  const program = stepProgram(config, subject, phase, vocab);
  return explainStep({ phase, program, vocabulary: vocab, device }, hooks);
}
