/**
 * The step of a run as `explain` shows it: which program that is, and the call of who explains it. Consumed by engine.ts.
 */
import { trace } from "../../../src/dsl/index.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import type { Device } from "../../../src/runtime/device.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";
import { stepProgram } from "../../../src/runtime/training/phases.ts";
import { phasesOf, stockSubjectOf } from "../../../src/runtime/training/subject.ts";
import type { ModelName, StepExplanation } from "./protocol.ts";
import type { StoredRun } from "./storage/run.ts";

/** What is to be explained. */
export interface StepToExplain {
  readonly phase: ModelName;
  /** The whole step: forward, backward, optimizer. */
  readonly program: Program;
  /** What it runs on. */
  readonly device: Device;
}

export type ExplainStep = (step: StepToExplain) => Promise<StepExplanation>;

/** Loaded when it is first asked for. */
const explainer = async (): Promise<ExplainStep> => {
  throw new UserError("Steps cannot be explained in this page yet.");
};

/** @param running which model is being trained; else the step is that of the first training that is not finished, or of the last */
export async function explainRun(
  run: StoredRun,
  vocab: number,
  running: ModelName | undefined,
  device: Device,
): Promise<StepExplanation> {
  const { config } = run;
  const subject = stockSubjectOf(config, vocab);
  if (subject === undefined)
    throw new UserError("This run was trained from a declaration in a file, which the page has not.");
  const phases = phasesOf(config);
  let phase = running ?? phases.at(-1) ?? "flm";
  if (running === undefined)
    for (const one of [...phases].reverse()) if (!(await run.hasCheckpoint(one))) phase = one;
  const { program } = trace(stepProgram(config, subject, phase, vocab));
  return (await explainer())({ phase, program, device });
}
