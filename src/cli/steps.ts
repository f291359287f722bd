/**
 * The steps that `fluxion inspect`, `explain` and `tune` show: FLM's and FMLM's training and sampling programs at the sizes of a preset,
 * or the training step of a run's model at its own.
 *
 * Consumed by those commands. To add a step: its name in `STEPS`, its declaration in `declared`.
 */
import { stat } from "node:fs/promises";
import { outputSpec, trace } from "../dsl/index.ts";
import type { Fn } from "../dsl/index.ts";
import type { TracedFunction } from "../dsl/fn.ts";
import { samplerFactor, samplerNoise, samplerProgram } from "../models/training/programs.ts";
import { UserError } from "../runtime/files/errors.ts";
import { openRun } from "../runtime/files/run-folder.ts";
import { checkConfig, PRESETS } from "../runtime/training/config.ts";
import type { TrainingConfig } from "../runtime/training/config.ts";
import { paramsSpec, phaseOptions, stepProgram } from "../runtime/training/phases.ts";
import { labelOf, publishedSubject } from "../runtime/training/subject.ts";
import type { Option, Parsed } from "./arguments.ts";
import { MODEL_OPTION, modelOf } from "./run-model.ts";
import { vocabularyOf } from "./text.ts";
import { givenVariant, VARIANT_OPTIONS, subjectOfRun } from "./variants.ts";

export const STEPS = ["flm-step", "fmlm-step", "sampler-step"] as const;
type StepName = (typeof STEPS)[number];

/** The options that say how large a step is, or whose it is. */
export const SIZE_OPTIONS = {
  preset: { value: "NAME", help: "quick, default or full: the sizes (default: default)." },
  vocab: { value: "N", help: "Vocabulary size (default: the preset's)." },
  model: MODEL_OPTION,
  ...VARIANT_OPTIONS,
} as const satisfies Readonly<Record<string, Option>>;

/** A step as traced. */
export interface TracedStep {
  readonly name: string;
  readonly traced: TracedFunction;
  readonly vocab: number;
}

/**
 * Traces the step of that name at the sizes of the options, or the training step of the run in that folder.
 * @throws UserError when there is neither, or options do not fit
 */
export async function tracedStep(given: string | undefined, args: Parsed): Promise<TracedStep> {
  const name = STEPS.find((step) => step === given);
  if (name === undefined) return stepOfRun(given ?? "", args);
  for (const option of ["model", "variant", "export", "force"])
    if (args.given.includes(option))
      throw new UserError(`--${option} is for the step of a run folder, not for ${name}; leave it out`);
  const config = PRESETS[args.choice("preset", ["quick", "default", "full"]) ?? "default"];
  const vocab = args.whole("vocab", { min: 2 }) ?? config.data.vocabularySize;
  return { name, traced: trace(declared(name, config, vocab)), vocab };
}

async function stepOfRun(dir: string, args: Parsed): Promise<TracedStep> {
  const found = await stat(dir).catch(() => undefined);
  if (found?.isDirectory() !== true)
    throw new UserError(`there is no step "${dir}"; choose one of ${STEPS.join(", ")}, or give a run folder`);
  for (const option of ["preset", "vocab"])
    if (args.given.includes(option))
      throw new UserError(`--${option} is for steps without a run folder, which has its own; leave it out`);
  const run = await openRun(dir, checkConfig);
  const vocab = (await vocabularyOf(run)).tokens.length;
  const subject = await subjectOfRun(run, vocab, givenVariant(args));
  const phase = await modelOf(args, run);
  return {
    name: `the step of ${labelOf(subject, phase)}`,
    traced: trace(stepProgram(run.config, subject, phase, vocab)),
    vocab,
  };
}

function declared(name: StepName, config: TrainingConfig, vocab: number): Fn<never, unknown> {
  const published = publishedSubject(vocab);
  switch (name) {
    case "flm-step":
      return stepProgram(config, published, "flm", vocab);
    case "fmlm-step":
      return stepProgram(config, published, "fmlm", vocab);
    case "sampler-step": {
      const flm = phaseOptions(config, "flm", vocab);
      const params = paramsSpec(flm, "flm");
      const factor = outputSpec(samplerFactor(flm, params as never) as never);
      const { state } = outputSpec(samplerNoise(flm, factor) as never) as { readonly state: unknown };
      return samplerProgram(flm, params as never, state as never) as Fn<never, unknown>;
    }
  }
}
