/**
 * What a run in the page trains: a declaration of the package's, or one in a user's file, in the worker that runs that file. Consumed by
 * the engine.
 */
import { UserError } from "../../../src/runtime/files/errors.ts";
import type { TrainingConfig } from "../../../src/runtime/training/config.ts";
import { stockSubjectOf, subjectOf } from "../../../src/runtime/training/subject.ts";
import type { Subject } from "../../../src/runtime/training/subject.ts";
import { declaredIn, trainableIn } from "../../../src/runtime/user-exports.ts";
import type { Exports } from "../../../src/runtime/user-exports.ts";

/** Whether what a run trains is declared in a user's file. */
export const isUsers = ({ variant }: TrainingConfig): boolean => variant?.file !== undefined;

/**
 * @param exports of the user's file, where it runs
 * @throws UserError for a declaration in a file that does not run, or is not in it; or for one of the package's that this version does not have
 */
export function subjectOfRun(config: TrainingConfig, vocab: number, exports?: Exports): Subject {
  const { variant } = config;
  if (variant?.file !== undefined) {
    const { file, kind } = variant;
    if (exports === undefined)
      throw new UserError(
        `This run was trained from the declaration ${variant.export} in ${file}, which does not run: run that file, which is to be given first where it is not at hand.`,
      );
    const declared = declaredIn(
      trainableIn(exports, file, variant.export),
      file,
      vocab,
      config.network.length,
    );
    if (declared.kind === kind) return subjectOf(declared);
    throw new UserError(`${file} declares a ${declared.kind}, and this run trains a ${kind}.`);
  }
  try {
    return stockSubjectOf(config, vocab) as Subject; // there is none of users' declarations alone
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(
      `This run trains "${variant?.name}", which this version does not have: take the version that wrote it, or a newer one.`,
    );
  }
}
