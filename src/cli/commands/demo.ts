/**
 * `fluxion demo`, the main job: trains FLM on real text, distils FMLM from it, samples both and says how good they are.
 */
import { resolve } from "node:path";
import type { PreparedText } from "../../models/data/index.ts";
import { fold } from "../../models/flow/host-random.ts";
import { eulerSchedule, gammaSchedule } from "../../models/language/sampler.ts";
import { decodingError } from "../../models/flow/clock.ts";
import { stepKey } from "../../models/training/batches.ts";
import type { Device } from "../../runtime/device.ts";
import { openDevice } from "../../runtime/devices.ts";
import { UserError } from "../../runtime/files/errors.ts";
import { createRun, openRun, readMetrics, writeRunText } from "../../runtime/files/run-folder.ts";
import type { MetricsLine, RunFolder } from "../../runtime/files/run-folder.ts";
import { checkConfig, PRESETS } from "../../runtime/training/config.ts";
import type { TrainingConfig } from "../../runtime/training/config.ts";
import { openSampler } from "../../runtime/training/sampler.ts";
import type { Sampler } from "../../runtime/training/sampler.ts";
import { flmNetwork, fmlmNetwork, paramsSpec, phaseOptions, train } from "../../runtime/training/trainer.ts";
import type { PhaseName, TrainingHooks } from "../../runtime/training/trainer.ts";
import type { Command, Parsed } from "../arguments.ts";
import { evaluate, texts } from "../evaluate.ts";
import type { Evaluation } from "../evaluate.ts";
import { createProgress } from "../progress.ts";
import type { Progress } from "../progress.ts";
import type { LossHistory, ReportData } from "../report/data.ts";
import { renderReport } from "../report.ts";
import { renderTable } from "../report/table.ts";
import { listenForInterrupt } from "../signal.ts";
import { verdicts } from "../verdicts.ts";
import { textOf } from "./sample.ts";

export const demo: Command = {
  name: "demo",
  positionals: [],
  summary: "Trains FLM on text, distils FMLM from it, samples both and writes a report.",
  options: {
    quick: { help: "A small model, in at most a minute." },
    full: { help: "As long as good text needs; hours on two cores." },
    data: { value: "FILE", help: "Your own text: one document per line or per paragraph (default: WordNet definitions)." },
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
    resume: { value: "DIR", help: "Goes on with an interrupted run." },
  },
  async run(args) {
    const run = await openOrCreate(args);
    const interruption = listenForInterrupt(() => process.stderr.write("\nStopping after this step and saving; Ctrl-C again quits at once.\n"));
    try {
      return await demoRun(run, args, () => interruption.signal.aborted);
    } finally {
      interruption.dispose();
    }
  },
};

async function openOrCreate(args: Parsed): Promise<RunFolder<TrainingConfig>> {
  const resume = args.text("resume");
  if (resume !== undefined) return openRun(resume, checkConfig);
  const config = checkConfig(JSON.parse(JSON.stringify(configFrom(args))), "the options");
  await textOf(config); // bad data is refused before a folder is made
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  return createRun(args.text("out") ?? `runs/${stamp}`, config);
}

function configFrom(args: Parsed): TrainingConfig {
  if (args.flag("quick") && args.flag("full")) throw new UserError("--quick and --full contradict each other");
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
    data: { ...preset.data, file: file === undefined ? null : resolve(file), tokens, vocabularySize: args.whole("vocab", { min: 3, max: 1_000_000 }) ?? preset.data.vocabularySize },
    network: {
      ...preset.network,
      length,
      width: args.whole("width", positive) ?? preset.network.width,
      depth: args.whole("depth", positive) ?? preset.network.depth,
      heads: args.whole("heads", positive) ?? preset.network.heads,
    },
    flm: { ...preset.flm, steps: args.whole("steps", positive) ?? preset.flm.steps, batch: batch ?? preset.flm.batch, learningRate: lr ?? preset.flm.learningRate },
    fmlm: { ...preset.fmlm, steps: args.whole("distill-steps", positive) ?? preset.fmlm.steps, batch: batch ?? preset.fmlm.batch, learningRate: lr === undefined ? preset.fmlm.learningRate : lr / 2 },
    sampling: { ...preset.sampling, samples: args.whole("samples", positive) ?? preset.sampling.samples },
  };
}

async function demoRun(run: RunFolder<TrainingConfig>, args: Parsed, stopped: () => boolean): Promise<number> {
  const { config } = run;
  const text = await textOf(config);
  const device = await openDevice(args.text("device") ?? "auto");
  const { tokens } = text.vocabulary;
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  print(`Run folder ${run.dir}. Device ${device.name}: ${device.describe()}.`);
  print(
    `Text: ${text.streams.train.length.toLocaleString("en")} training tokens, vocabulary of ${tokens.length} ${text.vocabulary.kind === "words" ? "words" : "characters"}, sequences of ${config.network.length}.`,
  );
  const finished = await train(run, text, device, await hooksFor(run, text, device, stopped));
  if (!finished) {
    print(`Stopped; the state is saved. Go on with: fluxion demo --resume ${run.dir}`);
    await device.dispose();
    return 130;
  }
  const evaluation = await showEvaluation(run, text, device, stopped);
  await device.dispose();
  if (stopped()) {
    print(`Stopped while sampling; the models are saved. Go on with: fluxion demo --resume ${run.dir}`);
    return 130;
  }
  const data = reportData(run, text, evaluation, await readMetrics(run));
  print(renderTable(data));
  await writeRunText(run, "samples.txt", samplesText(evaluation));
  await writeRunText(run, "report.html", renderReport(data));
  print(`Written: ${run.dir}/report.html, samples.txt, flm.safetensors, fmlm.safetensors. More text: fluxion sample ${run.dir} --steps 1`);
  return 0;
}

/** Progress bars, and every half minute a few lines to read. */
async function hooksFor(run: RunFolder<TrainingConfig>, text: PreparedText, device: Device, stopped: () => boolean): Promise<TrainingHooks> {
  const { config } = run;
  const vocab = text.vocabulary.tokens.length;
  const clock = decodingError({ vocab });
  let progress: Progress | undefined;
  const samplers = new Map<PhaseName, Promise<Sampler>>();
  const samplerOf = (phase: PhaseName): Promise<Sampler> => {
    const known = samplers.get(phase);
    if (known !== undefined) return known;
    const network = phase === "flm" ? flmNetwork(config, vocab) : fmlmNetwork(config, vocab);
    const made = openSampler(device, { ...phaseOptions(config, phase, vocab), network, batch: 2 }, paramsSpec(phaseOptions(config, phase, vocab), phase));
    samplers.set(phase, made);
    return made;
  };
  return {
    begin(phase, start, total, perStep) {
      progress = createProgress({ label: phase === "flm" ? "FLM " : "FMLM", total, start, unit: { name: "tokens", perStep } });
    },
    step(_phase, step, { loss }) {
      progress?.update(step + 1, { loss });
    },
    async sample(phase, params) {
      const sampler = await samplerOf(phase);
      const schedule = phase === "flm" ? eulerSchedule(clock, 16) : gammaSchedule(clock, 1, 0);
      const { tokens } = await sampler.sample(params, schedule, 2, fold(stepKey(config.seed, "sample", 0), 0));
      const lines = texts(text, { tokens, count: 2, length: config.network.length });
      progress?.note(lines.map((line) => `  ${phase === "flm" ? "16 steps" : "1 step"}: ${line}`).join("\n"));
    },
    end() {
      progress?.done();
    },
    stopped,
  };
}

async function showEvaluation(run: RunFolder<TrainingConfig>, text: PreparedText, device: Device, stopped: () => boolean): Promise<Evaluation> {
  const { steps, samples } = run.config.sampling;
  const perModel = steps.reduce((total, n) => total + n, 0);
  const progress = createProgress({ label: "Samples", total: 2 * perModel, unit: { name: "denoised texts", perStep: samples } });
  const evaluation = await evaluate(run, text, device, (calls) => progress.update(calls), stopped);
  progress.done();
  return evaluation;
}

function lossesOf(metrics: readonly MetricsLine[], phase: PhaseName): LossHistory {
  const points = (key: string): readonly (readonly [number, number])[] =>
    metrics.flatMap((line) => (line["phase"] === phase && typeof line[key] === "number" ? [[line.step, line[key]] as const] : []));
  return { name: phase === "flm" ? "FLM" : "FMLM", train: points("loss"), validation: points("validation") };
}

function reportData(run: RunFolder<TrainingConfig>, text: PreparedText, evaluation: Evaluation, metrics: readonly MetricsLine[]): ReportData {
  const { config } = run;
  const { network, flm, fmlm } = config;
  return {
    title: "FLM and FMLM on your own machine",
    summary: [
      ["Text", config.data.file ?? "WordNet definitions"],
      ["Tokens", `${text.vocabulary.tokens.length} ${text.vocabulary.kind}, ${text.streams.train.length.toLocaleString("en")} for training`],
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
  return quality.map(({ model, steps, samples }) => [`${model}, ${steps} step${steps === 1 ? "" : "s"}`, ...samples.map((line) => `  ${line}`), ""].join("\n")).join("\n");
}
