/** `fluxion sample RUN`: texts from a finished run. */
import { openRun } from "../../runtime/files/run-folder.ts";
import type { RunFolder } from "../../runtime/files/run-folder.ts";
import { disposeTree } from "../../runtime/compile.ts";
import type { Device } from "../../runtime/device.ts";
import { openDevice } from "../../runtime/devices.ts";
import { checkConfig } from "../../runtime/training/config.ts";
import type { TrainingConfig } from "../../runtime/training/config.ts";
import { onlyOwn, startOf } from "../../runtime/training/model-sampler.ts";
import { loadModel } from "../../runtime/training/load-model.ts";
import { openScheduledSampler } from "../../runtime/training/scheduled-sampler.ts";
import { UserError } from "../../runtime/files/errors.ts";
import { hasMap } from "../../runtime/training/subject.ts";
import type { PhaseName, Subject } from "../../runtime/training/subject.ts";
import { stepKey } from "../../models/training/batches.ts";
import { decode } from "../../models/data/index.ts";
import type { Vocabulary } from "../../models/data/index.ts";
import type { Key } from "../../models/flow/host-random.ts";
import {
  bridge,
  euler,
  exponential,
  gammaResampling,
  heun,
  midpoint,
} from "../../models/flow/samplers/index.ts";
import type { Command, Parsed } from "../arguments.ts";
import { openModel } from "../evaluate.ts";
import { patternTokens } from "../infill.ts";
import { MODEL_OPTION, modelOf } from "../run-model.ts";
import { vocabularyOf } from "../text.ts";
import { MANY } from "../training-options.ts";
import { givenVariant, VARIANT_OPTIONS, subjectOfRun } from "../variants.ts";

const DRIFT = { euler, exponential, heun, midpoint, bridge };
const METHODS = ["euler", "exponential", "heun", "midpoint", "bridge", "jumps"] as const;

/** Options for which there is more than the run's own sampler. */
const OWN_SCHEDULE = ["method", "temperature", "top-p", "prior-scale", "infill"];

/** What is sampled. */
interface Job {
  readonly run: RunFolder<TrainingConfig>;
  readonly subject: Subject;
  readonly name: PhaseName;
  readonly vocabulary: Vocabulary;
  readonly device: Device;
  readonly steps: number;
  readonly count: number;
  readonly key: Key;
  readonly gamma: number | undefined;
}

export const sample: Command = {
  name: "sample",
  positionals: ["RUN"],
  summary: "Prints texts sampled by a model of a run folder.",
  options: {
    model: MODEL_OPTION,
    steps: { value: "N", help: "Steps per text (default: 1 for a map, 32 for a flow)." },
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
    ...VARIANT_OPTIONS,
  },
  async run(args) {
    const run = await openRun(args.positionals[0] ?? "", checkConfig);
    const name = await modelOf(args, run);
    const gamma = args.number("gamma", { min: 0, max: 1 });
    if (gamma !== undefined && name === "flm")
      throw new UserError(
        hasMap(run.config)
          ? "--gamma is a setting of fmlm's sampler; leave it out, or choose --model fmlm"
          : `--gamma renews noise between the jumps of a flow map, and ${run.dir} has none; leave it out`,
      );
    const steps = args.whole("steps", { min: 1 }) ?? (name === "fmlm" ? 1 : 32);
    const count = args.whole("count", MANY) ?? 8;
    const key = stepKey(args.whole("seed", { min: 0 }) ?? run.config.seed, "sample", 1);
    const vocabulary = await vocabularyOf(run);
    const subject = await subjectOfRun(run, vocabulary.tokens.length, givenVariant(args));
    // Before a device is opened: what cannot be is said at once.
    const own = args.given.some((option) => OWN_SCHEDULE.includes(option))
      ? scheduled(args, { run, subject, name, vocabulary, steps, gamma })
      : undefined;
    const device = await openDevice(args.text("device") ?? "auto");
    // Which GPU it is, or that it is none, is worth a line; only texts go to standard output.
    if (device.name === "webgpu") process.stderr.write(`Device webgpu: ${device.describe()}.\n`);
    const job = { run, subject, name, vocabulary, device, steps, count, key, gamma };
    const tokens = await (own === undefined ? usual(job) : own(job));
    await device.dispose();
    const { length } = run.config.network;
    for (let i = 0; i < count; i++)
      process.stdout.write(`${decode(vocabulary, tokens.subarray(i * length, (i + 1) * length))}\n`);
    return 0;
  },
};

const batchOf = ({ run, count }: Job): number => Math.min(count, run.config.sampling.batch);

/** By the sampler that the run was measured with. */
async function usual(job: Job): Promise<Int32Array> {
  const { run, subject, name, vocabulary, device, steps, count, key, gamma } = job;
  const model = await openModel(run, subject, name, vocabulary.tokens.length, device, batchOf(job));
  const prepared = await model.sampler.prepare(steps, gamma);
  const { tokens } = await prepared.sample(model.params, count, key);
  await prepared.dispose();
  await model.dispose();
  return tokens;
}

/** What is asked of another sampler than the run's own. */
type Asked = Pick<Job, "run" | "subject" | "name" | "vocabulary" | "steps" | "gamma">;

/** The schedule of a method. @throws UserError where the flow does not allow it */
function scheduleOf(args: Parsed, { run, subject, name, steps, gamma }: Asked) {
  const { flow } = subject;
  const method = args.choice("method", METHODS) ?? (name === "fmlm" ? "jumps" : "euler");
  if (method === "jumps" && name === "flm")
    throw new UserError(
      hasMap(run.config)
        ? "--method jumps needs a flow map, which flm is not; choose --model fmlm, or another method"
        : `--method jumps needs a flow map, and ${run.dir} has none; choose another method`,
    );
  if (gamma !== undefined && method !== "jumps")
    throw new UserError(
      `--gamma renews noise between jumps; leave it out, or choose --method jumps instead of ${method}`,
    );
  if (method === "bridge" && flow.predicts !== "clean token")
    throw new UserError(
      `--method bridge draws tokens, and the flow "${flow.name}" predicts a ${flow.predicts}; choose another method`,
    );
  const own = onlyOwn(flow, steps);
  if (own !== undefined) {
    if (args.text("method") === undefined) return own;
    throw new UserError(
      `The flow "${flow.name}" has ${flow.interpolant.length === undefined ? "a point for noise" : "a time of its own for every token"}, which no --method follows; leave it out`,
    );
  }
  try {
    if (method !== "jumps") return DRIFT[method](flow, steps, startOf(flow));
    const renewed = flow.source.scale === undefined || flow.source.mean !== 0 ? 0 : run.config.sampling.gamma;
    return gammaResampling(flow, steps, { ...startOf(flow), gamma: gamma ?? renewed });
  } catch (error) {
    if (error instanceof RangeError) throw new UserError(error.message, { cause: error });
    throw error;
  }
}

/** By another method, or with other settings. @throws UserError for options that do not go together */
function scheduled(args: Parsed, asked: Asked): (job: Job) => Promise<Int32Array> {
  const { run, subject, name, vocabulary } = asked;
  const { flow } = subject;
  const schedule = scheduleOf(args, asked);
  const temperature = args.number("temperature", { min: 0.001 });
  const topP = args.number("top-p", { min: 0.001, max: 1 });
  const priorScale = args.number("prior-scale", { min: 0 });
  const pattern = args.text("infill");
  const { length } = run.config.network;
  const given =
    pattern === undefined ? new Int32Array(length).fill(-1) : patternTokens(pattern, vocabulary, length);
  const shaping = {
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { topP }),
  };
  if (Object.keys(shaping).length > 0 && flow.predicts !== "clean token")
    throw new UserError(
      `--temperature and --top-p shape a distribution over tokens, and the flow "${flow.name}" predicts a ${flow.predicts}; leave them out`,
    );
  return async (job) => {
    const { device, count, key } = job;
    const { params, options, spec } = await loadModel(
      run,
      name,
      vocabulary.tokens.length,
      device,
      batchOf(job),
    );
    const sampler = await openScheduledSampler(device, options, spec, {
      flow,
      schedule,
      ...(Object.keys(shaping).length === 0 ? {} : { posterior: shaping }),
      ...(priorScale === undefined ? {} : { priorScale }),
    });
    const tokens = await sampler.sample(params, count, key, given);
    await sampler.dispose();
    disposeTree(params);
    return tokens;
  };
}
