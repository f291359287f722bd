/**
 * The steps that `fluxion inspect` and `fluxion explain` show: a model's training and sampling programs at the sizes of a preset.
 *
 * Consumed by those commands. To add a step: its name in `STEPS`, its declaration in `declared`.
 */
import { outputSpec, trace } from "../dsl/index.ts";
import type { Fn } from "../dsl/index.ts";
import type { TracedFunction } from "../dsl/fn.ts";
import {
  flmStep,
  fmlmStep,
  initFlm,
  initFmlm,
  samplerFactor,
  samplerNoise,
  samplerProgram,
} from "../models/training/programs.ts";
import { UserError } from "../runtime/files/errors.ts";
import { diagonalRows, PRESETS } from "../runtime/training/config.ts";
import type { TrainingConfig } from "../runtime/training/config.ts";
import { paramsSpec, phaseOptions } from "../runtime/training/phases.ts";
import type { Option, Parsed } from "./arguments.ts";

export const STEPS = ["flm-step", "fmlm-step", "sampler-step"] as const;
export type StepName = (typeof STEPS)[number];

/** The options that say how large a step is. */
export const SIZE_OPTIONS = {
  preset: { value: "NAME", help: "quick, default or full: the sizes (default: default)." },
  vocab: { value: "N", help: "Vocabulary size (default: the preset's)." },
} as const satisfies Readonly<Record<string, Option>>;

/** A step as traced. */
export interface TracedStep {
  readonly name: StepName;
  readonly traced: TracedFunction;
  readonly vocab: number;
}

/** Traces the step of that name at the sizes of the options. @throws UserError when there is no such step */
export function tracedStep(given: string | undefined, args: Parsed): TracedStep {
  const name = STEPS.find((step) => step === given);
  if (name === undefined)
    throw new UserError(`there is no step "${given}"; choose one of ${STEPS.join(", ")}`);
  const config = PRESETS[args.choice("preset", ["quick", "default", "full"]) ?? "default"];
  const vocab = args.whole("vocab", { min: 2 }) ?? config.data.vocabularySize;
  return { name, traced: trace(declared(name, config, vocab)), vocab };
}

function declared(name: StepName, config: TrainingConfig, vocab: number): Fn<never, unknown> {
  const flm = phaseOptions(config, "flm", vocab);
  const fmlm = phaseOptions(config, "fmlm", vocab);
  switch (name) {
    case "flm-step":
      return flmStep(flm, outputSpec(initFlm(flm) as never) as never) as Fn<never, unknown>;
    case "fmlm-step":
      return fmlmStep(
        { ...fmlm, diagonal: diagonalRows(config.fmlm) },
        outputSpec(initFmlm(fmlm) as never) as never,
        paramsSpec(fmlm, "flm") as never,
      ) as Fn<never, unknown>;
    case "sampler-step": {
      const params = paramsSpec(flm, "flm");
      const factor = outputSpec(samplerFactor(flm, params as never) as never);
      const { state } = outputSpec(samplerNoise(flm, factor) as never) as { readonly state: unknown };
      return samplerProgram(flm, params as never, state as never) as Fn<never, unknown>;
    }
  }
}
