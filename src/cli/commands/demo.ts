/**
 * `fluxion demo`, the main job: trains FLM on real text, distils FMLM from it, samples both and says how good they are.
 */
import { openDevice } from "../../runtime/devices.ts";
import { textFingerprint } from "../../runtime/files/corpus.ts";
import { UserError } from "../../runtime/files/errors.ts";
import { createRun, openRun } from "../../runtime/files/run-folder.ts";
import type { RunFolder } from "../../runtime/files/run-folder.ts";
import { ReopenableDevice } from "../../runtime/reopenable.ts";
import { saveVocabulary } from "../../runtime/files/vocabulary-file.ts";
import { checkConfig } from "../../runtime/training/config.ts";
import type { TrainingConfig } from "../../runtime/training/config.ts";
import { publishedSubject } from "../../runtime/training/subject.ts";
import type { PreparedText } from "../../models/data/index.ts";
import type { Command, Parsed } from "../arguments.ts";
import { listenForInterrupt } from "../signal.ts";
import { textOf } from "../text.ts";
import {
  checkResumed,
  intervalsFrom,
  MODEL_OPTIONS,
  newFolder,
  presetFrom,
  rateFrom,
  RUN_OPTIONS,
  settingsFrom,
  stepsFrom,
} from "../training-options.ts";
import { STOPPING, trainAndMeasure } from "../training-run.ts";

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
  async run(args) {
    const intervals = intervalsFrom(args);
    const plan = await planOf(args);
    // Device and text are opened before a folder is made: what cannot work leaves nothing behind.
    const name = args.text("device") ?? "auto";
    const devices = await ReopenableDevice.open(() => openDevice(name));
    const interruption = listenForInterrupt(() => process.stderr.write(STOPPING));
    try {
      const text = await textOf(plan.config);
      const run = await plan.open(text);
      await saveVocabulary(run, text.vocabulary, textFingerprint(text));
      const subject = publishedSubject(text.vocabulary.tokens.length);
      const again = `fluxion demo --resume ${run.dir}`;
      return await trainAndMeasure(
        { run, text, devices, subject, again, signal: interruption.signal },
        intervals,
      );
    } finally {
      interruption.dispose();
      await devices.dispose();
    }
  },
};

/** What to run: its configuration, and how to get its folder once the text is known to be good. */
interface Plan {
  readonly config: TrainingConfig;
  open(text: PreparedText): Promise<RunFolder<TrainingConfig>>;
}

async function planOf(args: Parsed): Promise<Plan> {
  const resume = args.text("resume");
  if (resume !== undefined) {
    checkResumed(args);
    const run = await openRun(resume, checkConfig);
    if (run.config.variant !== undefined)
      throw new UserError(
        `${resume} is a run of fluxion train; go on with fluxion train --resume ${resume}.`,
      );
    return { config: run.config, open: async () => run };
  }
  const config = checkConfig(JSON.parse(JSON.stringify(configFrom(args))), "the options");
  const dir = newFolder(args);
  return {
    config,
    open: (text) =>
      createRun(dir, { ...config, data: { ...config.data, fingerprint: textFingerprint(text) } }),
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
