/**
 * `fluxion demo`, the main job: trains FLM on real text, distils FMLM from it, samples both and says how good they are.
 */
import { resolve } from "node:path";
import type { PreparedText } from "../../models/data/index.ts";
import { fold } from "../../models/flow/host-random.ts";
import { eulerSchedule, gammaSchedule } from "../../models/language/sampler.ts";
import { decodingError } from "../../models/flow/clock-decoding-error.ts";
import { stepKey } from "../../models/training/batches.ts";
import type { Device } from "../../runtime/device.ts";
import { openDevice } from "../../runtime/devices.ts";
import { textFingerprint } from "../../runtime/files/corpus.ts";
import { UserError } from "../../runtime/files/errors.ts";
import { createRun, openRun, readMetrics, writeRunText } from "../../runtime/files/run-folder.ts";
import type { MetricsLine, RunFolder } from "../../runtime/files/run-folder.ts";
import { ReopenableDevice, surviving } from "../../runtime/reopenable.ts";
import { saveVocabulary } from "../../runtime/files/vocabulary-file.ts";
import { checkConfig, PRESETS } from "../../runtime/training/config.ts";
import type { TrainingConfig } from "../../runtime/training/config.ts";
import { openSampler } from "../../runtime/training/sampler.ts";
import type { Sampler } from "../../runtime/training/sampler.ts";
import { flmNetwork, fmlmNetwork, paramsSpec, phaseOptions } from "../../runtime/training/phases.ts";
import type { PhaseName } from "../../runtime/training/phases.ts";
import { DEFAULT_INTERVALS, train } from "../../runtime/training/trainer.ts";
import type { TrainingHooks, TrainingIntervals } from "../../runtime/training/trainer.ts";
import type { Command, Parsed } from "../arguments.ts";
import { evaluate, evaluationCalls, texts } from "../evaluate.ts";
import type { Evaluation } from "../evaluate.ts";
import { createProgress } from "../progress.ts";
import type { Progress } from "../progress.ts";
import type { LossHistory, ReportData } from "../report/data.ts";
import { renderReport } from "../report.ts";
import { renderTable } from "../report/table.ts";
import { listenForInterrupt } from "../signal.ts";
import { verdicts } from "../verdicts.ts";
import { textName, textOf } from "../text.ts";

export const demo: Command = {
  name: "demo",
  positionals: [],
  summary: "Trains FLM on text, distils FMLM from it, samples both and writes a report.",
  options: {
    quick: { help: "A small model, in at most a minute." },
    full: { help: "Three to six times the training, in about twenty minutes on two cores." },
    data: {
      value: "FILE",
      help: "Your own text: one document per line or per paragraph (default: WordNet definitions).",
    },
    tokens: { value: "KIND", help: "words or chars (default: words)." },
    vocab: { value: "N", help: "Size of a word vocabulary." },
    length: { value: "N", help: "Tokens per sequence." },
    width: { value: "N", help: "Width of the network." },
    depth: { value: "N", help: "Blocks of the network." },
    heads: { value: "N", help: "Attention heads." },
    steps: { value: "N", help: "Training steps of FLM." },
    "distill-steps": { value: "N", help: "Training steps of FMLM." },
    batch: { value: "N", help: "Sequences per step." },
    lr: { value: "X", help: "Highest learning rate of FLM; FMLM has half of it." },
    samples: { value: "N", help: "Samples per row of the table." },
    seed: { value: "N", help: "Seed of everything random (default: 1)." },
    device: { value: "NAME", help: "Device to run on (default: auto; see fluxion devices)." },
    out: { value: "DIR", help: "Run folder to make (default: runs/ and the time)." },
    resume: { value: "DIR", help: "Goes on with an interrupted run; a finished one is measured again." },
    "save-every": { value: "S", help: "Seconds between saved states (default: 30; 0: every step)." },
    "sample-every": {
      value: "S",
      help: "Seconds between samples to read while training (default: 30; 0: every step).",
    },
  },
  async run(args) {
    const intervals = {
      save: args.number("save-every", { min: 0 }) ?? DEFAULT_INTERVALS.save,
      sample: args.number("sample-every", { min: 0 }) ?? DEFAULT_INTERVALS.sample,
    };
    const plan = await planOf(args);
    // Device and text are opened before a folder is made: what cannot work leaves nothing behind.
    const name = args.text("device") ?? "auto";
    const devices = await ReopenableDevice.open(() => openDevice(name));
    const interruption = listenForInterrupt(() =>
      process.stderr.write("\nStopping after this step and saving; Ctrl-C again quits at once.\n"),
    );
    try {
      const text = await textOf(plan.config);
      const run = await plan.open(text);
      await saveVocabulary(run, text.vocabulary, textFingerprint(text));
      return await demoRun({ run, text, devices, signal: interruption.signal }, intervals);
    } finally {
      interruption.dispose();
      await devices.dispose();
    }
  },
};

/** What to run: its configuration, and how to get its folder once the text is known to be good. */
interface Plan {
  readonly config: TrainingConfig;
  open(text: PreparedText): Promise<RunFolder<TrainingConfig>>;
}

/** Options that may be given with --resume: they do not change what a run computes. */
const WITH_RESUME = ["resume", "device", "save-every", "sample-every"];

async function planOf(args: Parsed): Promise<Plan> {
  const resume = args.text("resume");
  if (resume !== undefined) {
    const refused = args.given.filter((name) => !WITH_RESUME.includes(name)).map((name) => `--${name}`);
    if (refused.length > 0)
      throw new UserError(
        `--resume goes on with the run's own settings, so it does not take ${refused.join(", ")}; leave out ${refused.length === 1 ? "that option" : "those options"}, or start a new run.`,
      );
    const run = await openRun(resume, checkConfig);
    return { config: run.config, open: async () => run };
  }
  const config = checkConfig(JSON.parse(JSON.stringify(configFrom(args))), "the options");
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  const dir = args.text("out") ?? `runs/${stamp}`;
  return {
    config,
    open: (text) =>
      createRun(dir, { ...config, data: { ...config.data, fingerprint: textFingerprint(text) } }),
  };
}

function configFrom(args: Parsed): TrainingConfig {
  if (args.flag("quick") && args.flag("full"))
    throw new UserError("--quick and --full contradict each other");
  const preset = PRESETS[args.flag("quick") ? "quick" : args.flag("full") ? "full" : "default"];
  const file = args.text("data");
  const positive = { min: 1 } as const;
  const batch = args.whole("batch", positive);
  const lr = args.number("lr", { min: 0 });
  const tokens = args.choice("tokens", ["words", "chars"]) ?? preset.data.tokens;
  const length = args.whole("length", positive) ?? (tokens === "chars" ? 32 : preset.network.length);
  return {
    ...preset,
    seed: args.whole("seed", { min: 0 }) ?? preset.seed,
    data: {
      ...preset.data,
      file: file === undefined ? null : resolve(file),
      tokens,
      vocabularySize: args.whole("vocab", { min: 8, max: 1_000_000 }) ?? preset.data.vocabularySize,
    },
    network: {
      ...preset.network,
      length,
      width: args.whole("width", positive) ?? preset.network.width,
      depth: args.whole("depth", positive) ?? preset.network.depth,
      heads: args.whole("heads", positive) ?? preset.network.heads,
    },
    flm: {
      ...preset.flm,
      steps: args.whole("steps", positive) ?? preset.flm.steps,
      batch: batch ?? preset.flm.batch,
      learningRate: lr ?? preset.flm.learningRate,
    },
    fmlm: {
      ...preset.fmlm,
      steps: args.whole("distill-steps", positive) ?? preset.fmlm.steps,
      batch: batch ?? preset.fmlm.batch,
      learningRate: lr === undefined ? preset.fmlm.learningRate : lr / 2,
    },
    sampling: { ...preset.sampling, samples: args.whole("samples", positive) ?? preset.sampling.samples },
  };
}

/** A run with everything that it needs. */
interface Job {
  readonly run: RunFolder<TrainingConfig>;
  readonly text: PreparedText;
  readonly devices: ReopenableDevice;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function demoRun(job: Job, intervals: TrainingIntervals): Promise<number> {
  const { run, text, devices } = job;
  const { device } = devices;
  print(`Run folder ${run.dir}. Device ${device.name}: ${device.describe()}.`);
  print(textLine(run.config, text));
  const finished = await train(run, text, devices, hooksFor(job), intervals);
  if (finished) print("Sampling both models.");
  const evaluation = finished ? await showEvaluation(job) : undefined;
  if (evaluation === undefined) {
    print(
      `Stopped${finished ? " while sampling; the models are saved" : "; the training so far is saved"}. Go on with: fluxion demo --resume ${run.dir}`,
    );
    return 130;
  }
  const data = reportData(run, text, evaluation, await readMetrics(run));
  print(GUIDE);
  print(renderTable(data));
  await writeRunText(run, "samples.txt", samplesText(evaluation));
  await writeRunText(run, "report.html", renderReport(data));
  print(
    `Written: ${run.dir}/report.html, samples.txt, flm.safetensors, fmlm.safetensors. More text: fluxion sample ${run.dir} --steps 1`,
  );
  return 0;
}

function textLine({ data, network }: TrainingConfig, { vocabulary, streams }: PreparedText): string {
  const size = vocabulary.tokens.length;
  const fewer =
    vocabulary.kind === "words" && size < data.vocabularySize
      ? ` (${data.vocabularySize} asked for; the text has no more)`
      : "";
  const unit = vocabulary.kind === "words" ? "words" : "characters";
  return `Text: ${textName(data)}; ${streams.train.length.toLocaleString("en")} ${unit} to train on, a vocabulary of ${size}${fewer}, sequences of ${network.length}.`;
}

/** How to read the table. */
const GUIDE = `
Perplexity: how surprising the samples are to an n-gram model of other text of this kind; lower is better, if the entropy holds.
Entropy: how varied the tokens of one sample are, in nats; below that of held-out text, samples repeat themselves.
`;

/** Progress bars, and every half minute a few lines to read. */
function hooksFor({ run, text, signal }: Job): TrainingHooks {
  const { config } = run;
  const vocab = text.vocabulary.tokens.length;
  const clock = decodingError({ vocab });
  let progress: Progress | undefined;
  let sampler: Sampler | undefined;
  const openPhase = (phase: PhaseName, device: Device): Promise<Sampler> => {
    const network = phase === "flm" ? flmNetwork(config, vocab) : fmlmNetwork(config, vocab);
    return openSampler(
      device,
      { ...phaseOptions(config, phase, vocab), network, batch: 2 },
      paramsSpec(phaseOptions(config, phase, vocab), phase),
    );
  };
  return {
    note: print,
    prepare(phase) {
      print(
        phase === "flm"
          ? "Compiling and training FLM, the many-step model."
          : "Compiling and training FMLM, the few-step model, from FLM.",
      );
    },
    begin(phase, start, total, perStep) {
      sampler = undefined;
      progress = createProgress({
        label: phase === "flm" ? "FLM " : "FMLM",
        total,
        start,
        unit: { name: "tokens", perStep },
      });
    },
    step(_phase, step, { loss }) {
      progress?.update(step + 1, { loss });
    },
    async sample(phase, params, device) {
      sampler ??= await openPhase(phase, device);
      const schedule = phase === "flm" ? eulerSchedule(clock, 16) : gammaSchedule(clock, 1, 0);
      const { tokens } = await sampler.sample(
        params,
        schedule,
        2,
        fold(stepKey(config.seed, "sample", 0), 0),
      );
      const lines = texts(text, { tokens, count: 2, length: config.network.length });
      progress?.note(
        lines
          .map((line) => `  ${phase === "flm" ? "FLM in 16 steps" : "FMLM in 1 step"}: ${line}`)
          .join("\n"),
      );
    },
    end() {
      progress?.done();
    },
    stopped: () => signal.aborted,
  };
}

/** @returns undefined when it was stopped */
async function showEvaluation(job: Job): Promise<Evaluation | undefined> {
  return surviving(job.devices, {
    work(device, loss) {
      if (loss !== undefined)
        print(`The device was lost (${loss.reason}); sampling from the beginning on ${loss.device}.`);
      return evaluateOn(device, job);
    },
    achieved: () => 0,
    remedy: `The models are saved: go on with --resume ${job.run.dir}, perhaps on another device.`,
  });
}

async function evaluateOn(device: Device, { run, text, signal }: Job): Promise<Evaluation | undefined> {
  const total = evaluationCalls(run.config);
  const progress = createProgress({ label: "Sampling", total, unit: { name: "network calls", perStep: 1 } });
  try {
    const evaluation = await evaluate(
      run,
      text,
      device,
      (calls, now) => progress.update(calls, { now }),
      signal,
    );
    progress.update(total); // a comparison that needs no search makes fewer calls
    return evaluation;
  } catch (error) {
    if (signal.aborted && error === signal.reason) return undefined;
    throw error;
  } finally {
    progress.done();
  }
}

function lossesOf(metrics: readonly MetricsLine[], phase: PhaseName): LossHistory {
  const points = (key: string): readonly (readonly [number, number])[] =>
    metrics.flatMap((line) =>
      line["phase"] === phase && typeof line[key] === "number" ? [[line.step, line[key]] as const] : [],
    );
  return { name: phase === "flm" ? "FLM" : "FMLM", train: points("loss"), validation: points("validation") };
}

function reportData(
  run: RunFolder<TrainingConfig>,
  text: PreparedText,
  evaluation: Evaluation,
  metrics: readonly MetricsLine[],
): ReportData {
  const { config } = run;
  const { network, flm, fmlm } = config;
  return {
    title: "FLM and FMLM on your own machine",
    summary: [
      ["Text", textName(config.data)],
      [
        "Tokens",
        `${text.vocabulary.tokens.length} ${text.vocabulary.kind}, ${text.streams.train.length.toLocaleString("en")} for training`,
      ],
      ["Sequence", `${network.length} tokens`],
      ["Network", `${network.depth} blocks of width ${network.width}, ${network.heads} heads`],
      ["FLM", `${flm.steps} steps of ${flm.batch} sequences`],
      ["FMLM", `${fmlm.steps} steps of ${fmlm.batch} sequences`],
      ["Samples", `${config.sampling.samples} per row`],
      ["Seed", String(config.seed)],
      ["Started", run.created],
    ],
    verdicts: verdicts(evaluation),
    losses: [lossesOf(metrics, "flm"), lossesOf(metrics, "fmlm")],
    ...evaluation,
  };
}

function samplesText({ quality }: Evaluation): string {
  return quality
    .map(({ model, steps, samples }) =>
      [`${model}, ${steps} step${steps === 1 ? "" : "s"}`, ...samples.map((line) => `  ${line}`), ""].join(
        "\n",
      ),
    )
    .join("\n");
}
