/**
 * The messages of a training that went wrong: what happened in which step, what is kept, what to do. Consumed by trainer.ts.
 */
import { UserError } from "../files/errors.ts";
import type { RunFolder } from "../files/run-folder.ts";
import type { TrainingConfig } from "./config.ts";
import type { Phase } from "./phases.ts";

/** A saved state that gives a bad loss at once: lowering the rate cannot help it. */
export const poisoned = (run: RunFolder<TrainingConfig>, { label }: Phase, done: number): UserError =>
  new UserError(
    `The saved state of ${label} after step ${done} gives a loss or gradient that is not finite. ` +
      `Delete ${run.dir}/state.safetensors and resume: the training of ${label} then begins again.`,
    { exitCode: 1 },
  );

/** @param done steps that the saved state has behind it, 0 for none; undefined when it may be any */
export function divergence(
  run: RunFolder<TrainingConfig>,
  { name, label, config }: Phase,
  what: string,
  done: number | undefined,
): UserError {
  const kept =
    done === undefined
      ? "The last saved state is kept."
      : done === 0
        ? "Nothing before it is worth keeping."
        : `The state after step ${done} is saved.`;
  return new UserError(
    `Training diverged: the ${label} ${what} of ${config.steps}. ${kept} Lower "learningRate" (now ${config.learningRate}) under "${name}" ` +
      `in ${run.dir}/config.json and go on with --resume ${run.dir}, or start a new run with a lower ${run.config.variant === undefined ? "--lr" : "--learning-rate"}.`,
    { exitCode: 1 },
  );
}
