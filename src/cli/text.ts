/**
 * The text of a run, read and prepared as its configuration says, and its vocabulary, for which a finished run needs no text.
 * Consumed by the commands that train and sample.
 */
import type { PreparedText, Vocabulary } from "../models/data/index.ts";
import { loadCorpus } from "../runtime/files/corpus.ts";
import { UserError } from "../runtime/files/errors.ts";
import type { RunFolder } from "../runtime/files/run-folder.ts";
import { loadVocabulary } from "../runtime/run/vocabulary.ts";
import { textOfRun } from "../runtime/text/documents.ts";
import type { TrainingConfig } from "../runtime/training/config.ts";

/**
 * The text, split and encoded. The same file and settings always give the same.
 * @throws UserError when the file cannot be used, or gives other tokens than when the run began
 */
export async function textOf(config: TrainingConfig): Promise<PreparedText> {
  const { file } = config.data;
  return textOfRun(await loadCorpus(file === null ? {} : { file }), config);
}

/**
 * The vocabulary of a run, from its folder. A folder of an earlier version has none; then from its text.
 * @throws UserError when the folder's is damaged, or there is none and the text cannot be used
 */
export async function vocabularyOf(run: RunFolder<TrainingConfig>): Promise<Vocabulary> {
  const stored = await loadVocabulary(run, run.config.data.fingerprint);
  if (stored !== undefined) return stored;
  try {
    return (await textOf(run.config)).vocabulary;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`${run.dir} holds no vocabulary.json, and its text gives none: ${error.message}`, {
      cause: error,
    });
  }
}
