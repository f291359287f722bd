/**
 * What can be known of a training before it begins, from its programs: whether it can be trained at all, and what its flow is.
 *
 * Consumed by `fluxion train`, before a run folder is made, and by teacher.ts.
 */
import { outputSpec, trace } from "../../dsl/index.ts";
import type { Fn } from "../../dsl/index.ts";
import { hashProgram, hashText } from "../../dsl/program/hash.ts";
import type { Flow } from "../../models/flow/flow.ts";
import { flowStep, initFlow } from "../../models/training/declared.ts";
import { refusalError } from "../files/errors.ts";
import type { TrainingConfig } from "./config.ts";
import { phaseOptions, stepProgram } from "./phases.ts";
import { phasesOf } from "./subject.ts";
import type { Subject } from "./subject.ts";

/** Traces the steps of a run. @throws UserError in a sentence, for what cannot be trained */
export function checkSteps(config: TrainingConfig, subject: Subject, vocab: number): void {
  for (const phase of phasesOf(config)) traced(() => stepProgram(config, subject, phase, vocab));
}

/**
 * What a teacher and a student must have in common, as a short text: interpolant, clock, source, states, and what is predicted, at the
 * sizes of a run. How the prediction is judged and weighted is left out: it decides how well a teacher was taught, not what it says.
 */
export function flowFingerprint(flow: Flow, config: TrainingConfig, vocab: number): string {
  const options = phaseOptions(
    { ...config, network: { ...config.network, depth: 1 }, flm: { ...config.flm, batch: 1 } },
    "flm",
    vocab,
  );
  const { weighting: _weighting, ...rest } = flow;
  const loss = flow.predicts === "clean token" ? "cross-entropy" : "squared error";
  const alike: Flow = { ...rest, loss };
  const program = traced(() => {
    const spec = outputSpec(initFlow(alike, options) as unknown as Fn<never, unknown>) as never; // of a state
    return flowStep(alike, options, spec);
  });
  // The clock is of the host: no program has it.
  const times = Array.from({ length: 15 }, (_, i) => flow.clock.time((i + 1) / 16).toPrecision(6));
  return hashText([flow.predicts, hashProgram(program), ...times].join(" "));
}

/** @throws UserError for what a declaration does not allow */
function traced(step: () => unknown) {
  try {
    return trace(step() as Fn<never, unknown>).program;
  } catch (error) {
    throw refusalError(error);
  }
}
