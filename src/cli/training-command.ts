/**
 * What the commands that train have in common: device and text are opened before a folder is made, so what cannot work leaves nothing
 * behind; then the run is trained and measured until Ctrl-C.
 *
 * Consumed by `fluxion demo` and `fluxion train`, which say which run it is.
 */
import type { PreparedText } from "../models/data/index.ts";
import { openDevice } from "../runtime/devices.ts";
import { textFingerprint } from "../runtime/text/documents.ts";
import { saveVocabulary } from "../runtime/run/vocabulary.ts";
import { ReopenableDevice } from "../runtime/reopenable.ts";
import type { TrainingConfig } from "../runtime/training/config.ts";
import type { Parsed } from "./arguments.ts";
import { stoppedCode, whenOutputIsLost } from "./output.ts";
import { listenForInterrupt } from "./signal.ts";
import { textOf } from "./text.ts";
import { askedIntervals, intervalsFor } from "./training-options.ts";
import { STOPPING, trainAndMeasure } from "./training-run.ts";
import type { Job } from "./training-run.ts";

/** A run in its folder, and what is to be said before it is trained. */
export interface Opened extends Pick<Job, "run" | "subject" | "again" | "sampling"> {
  readonly notice?: string;
}

/** What to train: the settings by which the text is prepared, and the run once the text is known to be good. */
export interface Plan {
  readonly config: TrainingConfig;
  open(text: PreparedText): Promise<Opened>;
}

/** Trains what a command plans, or goes on with it. @returns the exit code */
export async function trainPlanned(args: Parsed, planOf: (args: Parsed) => Promise<Plan>): Promise<number> {
  askedIntervals(args); // what is none is said before anything is opened
  const plan = await planOf(args);
  const name = args.text("device") ?? "auto";
  const devices = await ReopenableDevice.open(() => openDevice(name));
  const interruption = listenForInterrupt(() => process.stderr.write(STOPPING));
  const unwatch = whenOutputIsLost(interruption.stop);
  try {
    const text = await textOf(plan.config);
    const { notice, ...opened } = await plan.open(text);
    await saveVocabulary(opened.run, text.vocabulary, textFingerprint(text));
    if (notice !== undefined) process.stdout.write(`${notice}\n`);
    const job = { ...opened, text, devices, signal: interruption.signal };
    const code = await trainAndMeasure(job, intervalsFor(args, opened.run));
    return code === 0 ? 0 : stoppedCode(code);
  } finally {
    unwatch();
    interruption.dispose();
    await devices.dispose();
  }
}
