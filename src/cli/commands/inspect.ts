/** `fluxion inspect STEP`: the program of a model's step: its equations, what it costs, and its text. */
import { costOf } from "../../compiler/cost.ts";
import { inlineCalls } from "../../compiler/passes/inline.ts";
import { optimize, PASSES } from "../../compiler/passes/pipeline.ts";
import { print } from "../../dsl/program/print.ts";
import { hashProgram } from "../../dsl/program/hash.ts";
import { inputTypes, sizeOf } from "../../dsl/program/program.ts";
import type { Program } from "../../dsl/program/program.ts";
import { UserError } from "../../runtime/files/errors.ts";
import type { Command } from "../arguments.ts";
import { planned } from "../explain/planned.ts";
import { SIZE_OPTIONS, STEPS, tracedStep } from "../steps.ts";
import { countText, engineering, plural } from "../../runtime/explain/units.ts";

export const inspect: Command = {
  name: "inspect",
  positionals: ["STEP|RUN"],
  summary: `Shows the program of a step (${STEPS.join(", ")}, or that of a run folder): op counts, FLOPs, bytes, and its text.`,
  options: {
    ...SIZE_OPTIONS,
    ir: { help: "Prints the whole program after the summary." },
    wgsl: { help: "Prints the WGSL of all distinct kernels after the summary." },
    passes: { help: "Prints the number of equations after every pass." },
    raw: { help: "The program as traced, before any pass." },
  },
  async run(args) {
    if (args.flag("raw") && args.flag("passes"))
      throw new UserError(
        "--raw shows the program before any pass, and --passes what each of them does; give one of them",
      );
    const { name, traced } = await tracedStep(args.positionals[0], args);
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
    if (args.flag("wgsl")) out(wgslOf(name, program));
    return 0;
  },
};

/** The code of every pipeline, each under a comment that says whose it is. */
function wgslOf(name: string, program: Program): string {
  const { pipelines, dispatches } = planned(name, program).explanation;
  return pipelines
    .map(({ name, code, dispatches: indices }) => {
      const of =
        indices.length === 1
          ? ""
          : ` and ${plural(indices.length - 1, "other dispatch", "other dispatches")}`;
      const first = dispatches[indices[0] ?? 0];
      return `// ${name}: dispatch ${countText(first?.index ?? 0)}${of}, ${first?.ops.join(", ") ?? ""}\n${code}`;
    })
    .join("\n");
}
