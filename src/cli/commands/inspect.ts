/** `fluxion inspect STEP`: the program of a model's step: its equations, what it costs, and its text. */
import { costOf } from "../../compiler/cost.ts";
import { inlineCalls } from "../../compiler/passes/inline.ts";
import { optimize, PASSES } from "../../compiler/passes/pipeline.ts";
import { print } from "../../dsl/program/print.ts";
import { hashProgram } from "../../dsl/program/hash.ts";
import { inputTypes, sizeOf } from "../../dsl/program/program.ts";
import { outputSpec, trace } from "../../dsl/index.ts";
import type { Fn } from "../../dsl/index.ts";
import {
  flmStep,
  fmlmStep,
  initFlm,
  initFmlm,
  samplerNoise,
  samplerProgram,
} from "../../models/training/programs.ts";
import { diagonalRows, PRESETS } from "../../runtime/training/config.ts";
import type { TrainingConfig } from "../../runtime/training/config.ts";
import { UserError } from "../../runtime/files/errors.ts";
import { paramsSpec, phaseOptions } from "../../runtime/training/phases.ts";
import type { Command } from "../arguments.ts";

const STEPS = ["flm-step", "fmlm-step", "sampler-step"] as const;
type StepName = (typeof STEPS)[number];

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
      const { state } = outputSpec(samplerNoise(flm, params as never) as never) as {
        readonly state: unknown;
      };
      return samplerProgram(flm, params as never, state as never) as Fn<never, unknown>;
    }
  }
}

const engineering = (value: number): string => {
  const units = ["", "k", "M", "G", "T"];
  let [scaled, unit] = [value, 0];
  while (scaled >= 1000 && unit < units.length - 1) [scaled, unit] = [scaled / 1000, unit + 1];
  return `${scaled >= 100 || unit === 0 ? scaled.toFixed(0) : scaled.toPrecision(3)} ${units[unit]}`;
};

export const inspect: Command = {
  name: "inspect",
  positionals: ["STEP"],
  summary: `Shows the program of a step (${STEPS.join(", ")}): op counts, FLOPs, bytes, and its text.`,
  options: {
    preset: { value: "NAME", help: "quick, default or full: the sizes (default: default)." },
    vocab: { value: "N", help: "Vocabulary size (default: the preset's)." },
    ir: { help: "Prints the whole program after the summary." },
    passes: { help: "Prints the number of equations after every pass." },
    raw: { help: "The program as traced, before any pass." },
  },
  async run(args) {
    const given = args.positionals[0];
    const name = STEPS.find((step) => step === given);
    if (name === undefined)
      throw new UserError(`there is no step "${given}"; choose one of ${STEPS.join(", ")}`);
    const config = PRESETS[args.choice("preset", ["quick", "default", "full"]) ?? "default"];
    const traced = trace(
      declared(name, config, args.whole("vocab", { min: 2 }) ?? config.data.vocabularySize),
    );
    const out = (line: string): void => void process.stdout.write(`${line}\n`);
    const started = inlineCalls(traced.program);
    const program = args.flag("raw")
      ? traced.program
      : optimize(
          started,
          args.flag("passes")
            ? { trace: (pass, after) => out(`after ${pass.padEnd(16)} ${after.equations.length} equations`) }
            : {},
        );
    const { equations, flops, bytes } = costOf(program);
    const weights = inputTypes(program).reduce((total, { shape }) => total + sizeOf(shape), 0);
    out(
      `${name}: ${traced.program.equations.length} equations as traced, ${program.equations.length} ${args.flag("raw") ? "shown" : `after ${Object.keys(PASSES).length} passes`}; hash ${hashProgram(program)}`,
    );
    out(
      `${traced.inputNames.length} inputs of ${engineering(weights)}numbers; ${engineering(flops)}FLOP and ${engineering(bytes)}B moved per run if every equation ran alone`,
    );
    const rows = [...equations].sort((a, b) => b[1] - a[1]);
    out(rows.map(([op, count]) => `${op} ${count}`).join("  "));
    if (args.flag("ir")) out(print(program));
    return 0;
  },
};
