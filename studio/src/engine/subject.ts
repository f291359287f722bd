/** What a run in the page trains: a declaration of the package's. Those in users' files are refused, in one sentence. Consumed by the engine. */
import { UserError } from "../../../src/runtime/files/errors.ts";
import type { TrainingConfig } from "../../../src/runtime/training/config.ts";
import { stockSubjectOf } from "../../../src/runtime/training/subject.ts";
import type { Subject } from "../../../src/runtime/training/subject.ts";

/** @throws UserError for a run of a user's own declaration, whose code is not in its folder; or of a stock one that this version does not have */
export function subjectOfRun(config: TrainingConfig, vocab: number): Subject {
  const { variant } = config;
  if (variant?.file !== undefined)
    throw new UserError(
      `This run was trained from the declaration ${variant.export} in ${variant.file}, and the page runs no code that comes with a run: write with it on the command line, by fluxion sample RUN --variant ${variant.file}.`,
    );
  try {
    return stockSubjectOf(config, vocab) as Subject; // there is none of users' declarations alone
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(
      `This run trains "${variant?.name}", which this version does not have: take the version that wrote it, or a newer one.`,
    );
  }
}
