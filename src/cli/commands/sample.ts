/** `fluxion sample RUN`: texts from a finished run. */
import { decode } from "../../models/data/index.ts";
import { disposeTree } from "../../runtime/compile.ts";
import { openDevice } from "../../runtime/devices.ts";
import { openRun } from "../../runtime/files/run-folder.ts";
import { checkConfig } from "../../runtime/training/config.ts";
import { loadModel } from "../../runtime/training/load-model.ts";
import {
  METHODS,
  plannedTexts,
  textsBatch,
  textsKey,
  usualSteps,
  withoutEffect,
} from "../../runtime/training/texts.ts";
import type { Command } from "../arguments.ts";
import { MODEL_OPTION, modelOf } from "../run-model.ts";
import { vocabularyOf } from "../text.ts";
import { MANY } from "../training-options.ts";
import { givenVariant, VARIANT_OPTIONS, subjectOfRun } from "../variants.ts";

/** All steps are numbers of one program; of so many, a text is as good as it gets long before the last. */
const STEPS = { min: 1, max: 10_000 };

export const sample: Command = {
  name: "sample",
  positionals: ["RUN"],
  summary: "Prints texts sampled by a model of a run folder.",
  options: {
    model: MODEL_OPTION,
    steps: { value: "N", help: "Steps per text (default: 1 for a map, 8 with --infill; 32 for a flow)." },
    count: { value: "N", help: "Number of texts (default: 8)." },
    method: { value: "NAME", help: `${METHODS.join(", ")} (default: jumps for a map, euler for a flow).` },
    gamma: {
      value: "G",
      help: "Share of renewed noise between the jumps of a map, 0 to 1 (default: the run's).",
    },
    temperature: { value: "T", help: "Of the denoiser in every step (default: 1)." },
    "top-p": { value: "P", help: "Keep the most probable tokens that have P together (default: 1)." },
    "prior-scale": { value: "S", help: "Multiplies the first noise (default: 1)." },
    infill: { value: "TEXT", help: 'Tokens to keep, with _ where any may come: "new _ _ york".' },
    seed: { value: "N", help: "Another seed gives other texts (default: the run's)." },
    device: { value: "NAME", help: "Device to run on (default: auto; see fluxion devices)." },
    json: {
      help: "Prints one JSON object: the model, steps and seed, and texts with their tokens' numbers.",
    },
    ...VARIANT_OPTIONS,
  },
  async run(args) {
    const run = await openRun(args.positionals[0] ?? "", checkConfig);
    const name = await modelOf(args, run);
    const gamma = args.number("gamma", { min: 0, max: 1 });
    const infill = args.text("infill");
    const asked = args.whole("steps", STEPS);
    const steps = asked ?? usualSteps(name, infill !== undefined);
    const count = args.whole("count", MANY) ?? 8;
    const seed = args.whole("seed", { min: 0 }) ?? run.config.seed;
    const vocabulary = await vocabularyOf(run);
    const vocab = vocabulary.tokens.length;
    const subject = await subjectOfRun(run, vocab, givenVariant(args));
    const model = { run, subject, name, vocabulary };
    const wishes = {
      steps,
      gamma,
      method: args.choice("method", METHODS),
      temperature: args.number("temperature", { min: 0.001 }),
      topP: args.number("top-p", { min: 0.001, max: 1 }),
      priorScale: args.number("prior-scale", { min: 0 }),
      infill,
    };
    // Before a device is opened: what cannot be is said at once.
    const plan = plannedTexts(model, wishes);
    if (asked === undefined && steps !== usualSteps(name))
      process.stderr.write(`In ${steps} steps, for one does not see the words of --infill.\n`);
    // No error: a script that goes through numbers of steps has one among them.
    const idle = withoutEffect(model, wishes).map((wish) => (wish === "topP" ? "--top-p" : `--${wish}`));
    if (idle.length > 0)
      process.stderr.write(
        `In one step ${idle.join(" and ")} ${idle.length === 1 ? "changes" : "change"} nothing: it goes from noise to the most probable tokens.\n`,
      );
    const device = await openDevice(args.text("device") ?? "auto");
    // Which GPU it is, or that it is none, is worth a line; only texts go to standard output.
    if (device.name === "webgpu") process.stderr.write(`Device webgpu: ${device.describe()}.\n`);
    const loaded = await loadModel(run, name, vocab, device, textsBatch(run.config, count));
    const drawer = await plan(device, loaded);
    const tokens = await drawer.draw(loaded.params, count, textsKey(seed));
    await drawer.dispose();
    disposeTree(loaded.params);
    await device.dispose();
    const { length } = run.config.network;
    const rows = Array.from({ length: count }, (_, i) => tokens.subarray(i * length, (i + 1) * length));
    if (args.flag("json")) {
      const texts = rows.map((row) => ({ text: decode(vocabulary, row), tokens: [...row] }));
      process.stdout.write(`${JSON.stringify({ run: run.dir, model: name, steps, seed, texts })}\n`);
    } else for (const row of rows) process.stdout.write(`${decode(vocabulary, row)}\n`);
    return 0;
  },
};
