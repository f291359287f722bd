/**
 * `fluxion demo`, the main job: trains FLM on real text, distils FMLM from it, samples both and says how good they are.
 */
import { textFingerprint } from "../../runtime/text/documents.ts";
import { UserError } from "../../runtime/files/errors.ts";
import { createRun, openRun } from "../../runtime/files/run-folder.ts";
import type { RunFolder } from "../../runtime/files/run-folder.ts";
import { checkConfig } from "../../runtime/training/config.ts";
import type { TrainingConfig } from "../../runtime/training/config.ts";
import { publishedSubject } from "../../runtime/training/subject.ts";
import type { PreparedText } from "../../models/data/index.ts";
import type { Command, Parsed } from "../arguments.ts";
import {
  askedIntervals,
  checkResumed,
  MODEL_OPTIONS,
  newFolder,
  presetFrom,
  rateFrom,
  RUN_OPTIONS,
  settingsFrom,
  stepsFrom,
} from "../training-options.ts";
import { trainPlanned } from "../training-command.ts";
import type { Opened, Plan } from "../training-command.ts";

const { batch, ...sizes } = MODEL_OPTIONS;

export const demo: Command = {
  name: "demo",
  positionals: [],
  summary: "Trains FLM on text, distils FMLM from it, samples both and writes a report.",
  options: {
    ...sizes,
    steps: { value: "N", help: "Training steps of FLM." },
    "distill-steps": { value: "N", help: "Training steps of FMLM." },
    batch,
    lr: { value: "X", help: "Highest learning rate of FLM; FMLM has half of it." },
    ...RUN_OPTIONS,
  },
  otherNames: { "learning-rate": "lr", "teacher-steps": "steps" },
  run: (args) => trainPlanned(args, planOf),
};

/** The run of FLM and FMLM, with the command that goes on with it. */
const opened = (run: RunFolder<TrainingConfig>, { vocabulary }: PreparedText): Opened => ({
  run,
  subject: publishedSubject(vocabulary.tokens.length),
  again: `fluxion demo --resume ${run.dir}`,
});

async function planOf(args: Parsed): Promise<Plan> {
  const resume = args.text("resume");
  if (resume !== undefined) {
    checkResumed(args);
    const run = await openRun(resume, checkConfig);
    if (run.config.variant !== undefined)
      throw new UserError(
        `${resume} is a run of fluxion train; go on with fluxion train --resume ${resume}.`,
      );
    return { config: run.config, open: async (text) => opened(run, text) };
  }
  const config = checkConfig(JSON.parse(JSON.stringify(configFrom(args))), "the options");
  const dir = newFolder(args);
  return {
    config,
    async open(text) {
      const data = { ...config.data, fingerprint: textFingerprint(text) };
      const run = await createRun(dir, { ...config, data }, { intervals: askedIntervals(args) });
      return opened(run, text);
    },
  };
}

function configFrom(args: Parsed): TrainingConfig {
  const preset = presetFrom(args);
  const settings = settingsFrom(args, preset);
  const lr = rateFrom(args, "lr");
  return {
    ...settings,
    flm: {
      ...settings.flm,
      steps: stepsFrom(args, "steps") ?? preset.flm.steps,
      learningRate: lr ?? preset.flm.learningRate,
    },
    fmlm: {
      ...settings.fmlm,
      steps: stepsFrom(args, "distill-steps") ?? preset.fmlm.steps,
      learningRate: lr === undefined ? preset.fmlm.learningRate : lr / 2,
    },
  };
}
