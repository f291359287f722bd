/**
 * `fluxion verify FILE`: whether the flows, flow maps and spherical flows that a file declares fulfil their identities. `fluxion verify RUN`:
 * how far the flow map of a run is from fulfilling them, see verify-run.ts.
 */
import { stat } from "node:fs/promises";
import { openDevice } from "../../runtime/devices.ts";
import { UserError } from "../../runtime/files/errors.ts";
import { verifiableIn } from "../../runtime/user-exports.ts";
import { verifyFlow } from "../../runtime/verify/verify.ts";
import type { VerifyReport } from "../../runtime/verify/report.ts";
import type { Command } from "../arguments.ts";
import { createProgress } from "../progress.ts";
import { loadUserModule } from "../user-module.ts";
import { VARIANT_OPTIONS } from "../variants.ts";
import { verifyRun } from "../verify-run.ts";
import { verifyText } from "../verify-text.ts";

const CASES = 16;
/** Options that a file has no use for. */
const OF_RUNS: readonly string[] = ["teacher", "tolerance", ...Object.keys(VARIANT_OPTIONS)];

export const verify: Command = {
  name: "verify",
  positionals: ["FILE|RUN"],
  summary:
    "Checks every flow, flow map and spherical flow that a file exports: which identities hold, and what breaks those that do not. " +
    "Of a run folder: how far its flow map is from them, beside its teacher.",
  options: {
    json: { help: "Prints the reports as JSON." },
    device: {
      value: "NAME",
      help: "Device to compute on (default: interpreter, in double precision, and auto for a run; see fluxion devices).",
    },
    cases: { value: "N", help: `Cases of each identity (default: ${CASES}).` },
    seed: { value: "N", help: "Another seed draws other cases (default: 0)." },
    teacher: { value: "RUN", help: "Of a run: the run whose flm is the teacher (default: the same)." },
    tolerance: {
      value: "NAME=X",
      help: "Of a run: the largest residual that passes; several with a semicolon between them (default: none is judged).",
    },
    ...VARIANT_OPTIONS,
  },
  async run(args) {
    const cases = args.whole("cases", { min: 1 }) ?? CASES;
    const seed = args.whole("seed", { min: 0 }) ?? 0;
    const file = args.positionals[0] ?? "";
    if (await isFolder(file)) return verifyRun(file, args, { cases, seed });
    const ofRuns = args.given.filter((name) => OF_RUNS.includes(name));
    if (ofRuns.length > 0)
      throw new UserError(`--${ofRuns[0]} is for a run folder, and ${file} is none; leave it out`);
    const variants = verifiableIn(await loadUserModule(file), file);
    const device = await openDevice(args.text("device") ?? "interpreter");
    const reports: VerifyReport[] = [];
    try {
      for (const variant of variants) {
        let progress: ReturnType<typeof createProgress> | undefined;
        const report = await verifyFlow(variant, {
          device,
          cases,
          seed,
          onIdentity(identity, index, total) {
            progress ??= createProgress({
              label: `verifying ${variant.name}`,
              total,
              unit: { name: "identities", perStep: 1 },
            });
            progress.update(index, { identity });
          },
        });
        progress?.update(report.results.length);
        progress?.done();
        reports.push(report);
        if (!args.flag("json")) process.stdout.write(verifyText(report));
      }
    } finally {
      await device.dispose();
    }
    const passed = reports.every((report) => report.passed);
    if (args.flag("json")) process.stdout.write(`${JSON.stringify({ passed, reports })}\n`);
    return passed ? 0 : 1;
  },
};

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
