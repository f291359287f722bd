/**
 * The messages of a training that went wrong: what happened in which step, what is kept, what to do. Consumed by trainer.ts.
 */
import { UserError } from "../files/errors.ts";
import type { RunStore } from "../run/store.ts";
import type { TrainingConfig } from "./config.ts";
import type { Phase } from "./phases.ts";

/** A saved state that gives a bad loss at once: lowering the rate cannot help it. */
export const poisoned = (run: RunStore<TrainingConfig>, { label }: Phase, done: number): UserError =>
  new UserError(
    `The saved state of ${label} after step ${done} gives a loss or gradient that is not finite. ${run.advice.beginAgain(label)}`,
    { exitCode: 1 },
  );

/** @param done steps that the saved state has behind it, 0 for none; undefined when it may be any */
export function divergence(
  run: RunStore<TrainingConfig>,
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
    `Training diverged: the ${label} ${what} of ${config.steps}. ${kept} ${run.advice.lowerRate(name, config.learningRate)}`,
    { exitCode: 1 },
  );
}
