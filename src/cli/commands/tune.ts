/** `fluxion tune STEP`: times the ways to compute each dot of a step on this GPU, and remembers what beats the heuristic. */
import { configName } from "../../compiler/schedule/dot/candidates.ts";
import { inlineCalls } from "../../compiler/passes/inline.ts";
import { optimize } from "../../compiler/passes/pipeline.ts";
import { WebGpuDevice } from "../../runtime/webgpu/device.ts";
import { openNodeGpu } from "../../runtime/webgpu/node.ts";
import { saveTuned, tuneFile } from "../../runtime/webgpu/tune-file.ts";
import { adapterKey } from "../../runtime/webgpu/tune-table.ts";
import { resultsOf, tuneProgram } from "../../runtime/webgpu/tune.ts";
import type { DotReport } from "../../runtime/webgpu/tune.ts";
import type { Command } from "../arguments.ts";
import { createProgress } from "../progress.ts";
import { SIZE_OPTIONS, STEPS, tracedStep } from "../steps.ts";
import { plural, timeText } from "../../runtime/explain/units.ts";

export const tune: Command = {
  name: "tune",
  positionals: ["STEP|RUN"],
  summary: `Finds the fastest kernels of this GPU for the matrix products of a step (${STEPS.join(", ")}).`,
  options: {
    ...SIZE_OPTIONS,
    cache: { value: "FOLDER", help: "Folder of the results (default: FLUXION_CACHE or the user's cache)." },
  },
  async run(args) {
    const { name, traced } = await tracedStep(args.positionals[0], args);
    const program = optimize(inlineCalls(traced.program)); // as devices get it
    const gpu = await openNodeGpu();
    const device = new WebGpuDevice(gpu, { profile: gpu.features.has("timestamp-query") });
    try {
      process.stderr.write(`${device.describe()}\n`);
      const file = { folder: args.text("cache") };
      await saveTuned(adapterKey(gpu.adapter), new Map(), file); // says now, not after all the work, where that cannot be written
      let progress: ReturnType<typeof createProgress> | undefined;
      const reports = await tuneProgram(device, program, {
        onProgress: (done, total) => {
          progress ??= createProgress({ label: `tuning ${name}`, total, unit: { name: "dots", perStep: 1 } });
          progress.update(done);
        },
      });
      progress?.done();
      await saveTuned(adapterKey(gpu.adapter), resultsOf(reports), file);
      process.stdout.write(`${tunedText(reports)}\n`);
      process.stderr.write(`wrote ${tuneFile(file)}\n`);
      return 0;
    } finally {
      await device.dispose();
    }
  },
};

/** A table of the dots, and below it what went wrong. */
export function tunedText(reports: readonly DotReport[]): string {
  const rows = reports.map(({ key, measured, kept, problem }): readonly string[] => {
    const [heuristic] = measured;
    if (heuristic === undefined) return [key, `not tuned: ${problem}`];
    const described = ({ config, nanoseconds }: typeof heuristic): string =>
      `${configName(config)}${nanoseconds === undefined ? "" : ` (${timeText(nanoseconds)})`}`;
    if (kept === undefined) return [key, described(heuristic), "the heuristic's", "1.00"];
    const [before, after] = [heuristic.nanoseconds, kept.nanoseconds];
    const ratio = before === undefined || after === undefined ? "n/a" : (before / after).toFixed(2);
    return [key, described(heuristic), described(kept), ratio];
  });
  const heading = ["batch x rows x columns x inner, up to; operands along", "heuristic", "best", "ratio"];
  // What was not tuned has a sentence in the second column, which others need not make room for.
  const widths = heading.map((title, i) =>
    Math.max(
      title.length,
      ...rows.filter((row) => row.length > 2 || i === 0).map((row) => row[i]?.length ?? 0),
    ),
  );
  const lines = [heading, ...rows].map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const kept = reports.filter((report) => report.kept !== undefined).length;
  const dropped = reports.flatMap(({ key, measured }) =>
    measured.flatMap(({ config, problem }) =>
      problem === undefined ? [] : [`${key}: ${configName(config)} was dropped: ${problem}`],
    ),
  );
  return [...lines, "", `${kept} of ${plural(reports.length, "dot")} will be computed otherwise.`, ...dropped]
    .join("\n")
    .replace(/(?!\n)\p{Cc}/gu, " "); // what drivers say could steer the terminal
}
