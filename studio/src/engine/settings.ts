/** What is chosen in the page as the configuration of a run: what the command line makes of the same choices. Consumed by engine.ts. */
import { UserError } from "../../../src/runtime/files/errors.ts";
import { checkConfig, PRESETS } from "../../../src/runtime/training/config.ts";
import type { TrainingConfig } from "../../../src/runtime/training/config.ts";
import type { RunSettings } from "./protocol.ts";

/** Tokens of a text of letters, where nobody says how many. */
const LETTERS = 32;

/**
 * @param file name of the text, or null for the one that comes with the page
 * @throws UserError naming the setting that cannot be
 */
export function configOf(settings: RunSettings, file: string | null): TrainingConfig {
  const preset = PRESETS[settings.preset];
  const tokens = settings.tokens ?? preset.data.tokens;
  const vocabularySize = settings.vocabularySize ?? preset.data.vocabularySize;
  if (!(vocabularySize >= 8 && vocabularySize <= 1_000_000))
    throw new UserError(`The size of the vocabulary is ${vocabularySize}; it must be from 8 to 1,000,000.`);
  const { network } = preset;
  const config: TrainingConfig = {
    ...preset,
    seed: settings.seed ?? preset.seed,
    data: { ...preset.data, file, tokens, vocabularySize },
    network: {
      ...network,
      length: settings.length ?? (tokens === "chars" ? LETTERS : network.length),
      width: settings.width ?? network.width,
      depth: settings.depth ?? network.depth,
      heads: settings.heads ?? network.heads,
    },
    flm: {
      ...preset.flm,
      batch: settings.batch ?? preset.flm.batch,
      steps: settings.flmSteps ?? preset.flm.steps,
    },
    fmlm: {
      ...preset.fmlm,
      batch: settings.batch ?? preset.fmlm.batch,
      steps: settings.fmlmSteps ?? preset.fmlm.steps,
    },
  };
  return checkConfig(JSON.parse(JSON.stringify(config)), "The settings");
}
