/** `fluxion sample RUN`: texts from a finished run. */
import { hasCheckpoint, openRun } from "../../runtime/files/run-folder.ts";
import { openDevice } from "../../runtime/devices.ts";
import { checkConfig } from "../../runtime/training/config.ts";
import { UserError } from "../../runtime/files/errors.ts";
import { stepKey } from "../../models/training/batches.ts";
import { decode } from "../../models/data/index.ts";
import type { Command } from "../arguments.ts";
import { openModel } from "../evaluate.ts";
import { vocabularyOf } from "../text.ts";

export const sample: Command = {
  name: "sample",
  positionals: ["RUN"],
  summary: "Prints texts sampled by a model of a run folder.",
  options: {
    model: { value: "NAME", help: "flm or fmlm (default: fmlm where the run has it)." },
    steps: { value: "N", help: "Denoiser calls per text (default: 1 for fmlm, 32 for flm)." },
    count: { value: "N", help: "Number of texts (default: 8)." },
    gamma: {
      value: "G",
      help: "Share of renewed noise between the jumps of fmlm, 0 to 1 (default: the run's).",
    },
    seed: { value: "N", help: "Another seed gives other texts (default: the run's)." },
    device: { value: "NAME", help: "Device to run on (default: auto; see fluxion devices)." },
  },
  async run(args) {
    const run = await openRun(args.positionals[0] ?? "", checkConfig);
    const name =
      args.choice("model", ["flm", "fmlm"]) ?? ((await hasCheckpoint(run, "fmlm")) ? "fmlm" : "flm");
    const steps = args.whole("steps", { min: 1 }) ?? (name === "fmlm" ? 1 : 32);
    const count = args.whole("count", { min: 1 }) ?? 8;
    const gamma = args.number("gamma", { min: 0, max: 1 });
    if (gamma !== undefined && name === "flm")
      throw new UserError("--gamma is a setting of fmlm's sampler; leave it out, or choose --model fmlm");
    const seed = args.whole("seed", { min: 0 }) ?? run.config.seed;
    const vocabulary = await vocabularyOf(run);
    const device = await openDevice(args.text("device") ?? "auto");
    // Which GPU it is, or that it is none, is worth a line; only texts go to standard output.
    if (device.name === "webgpu") process.stderr.write(`Device webgpu: ${device.describe()}.\n`);
    const model = await openModel(
      run,
      name,
      vocabulary.tokens.length,
      device,
      Math.min(count, run.config.sampling.batch),
    );
    const { tokens } = await model.sampler.sample(
      model.params,
      model.schedule(steps, gamma),
      count,
      stepKey(seed, "sample", 1),
    );
    const { length } = run.config.network;
    for (let i = 0; i < count; i++)
      process.stdout.write(`${decode(vocabulary, tokens.subarray(i * length, (i + 1) * length))}\n`);
    await model.dispose();
    await device.dispose();
    return 0;
  },
};
