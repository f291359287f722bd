/**
 * A run from training to report: trains what is left, measures the models, prints the table, writes samples and page.
 *
 * Consumed by the commands that train, `fluxion demo` and `fluxion train`.
 */
import type { PreparedText } from "../models/data/index.ts";
import { lossName } from "../models/flow/bregman.ts";
import { fold } from "../models/flow/host-random.ts";
import { stepKey } from "../models/training/batches.ts";
import type { Device } from "../runtime/device.ts";
import type { RunFolder } from "../runtime/files/run-folder.ts";
import { surviving } from "../runtime/reopenable.ts";
import type { ReopenableDevice } from "../runtime/reopenable.ts";
import type { MetricsLine } from "../runtime/run/store.ts";
import { textName } from "../runtime/text/documents.ts";
import type { TrainingConfig } from "../runtime/training/config.ts";
import { openModelSampler } from "../runtime/training/model-sampler.ts";
import type { PreparedSampler } from "../runtime/training/model-sampler.ts";
import { flmNetwork, fmlmNetwork, paramsSpec, phaseOptions } from "../runtime/training/phases.ts";
import { train } from "../runtime/training/trainer.ts";
import type { TrainingHooks, TrainingIntervals } from "../runtime/training/trainer.ts";
import { hasFlow, hasMap, labelOf, phasesOf } from "../runtime/training/subject.ts";
import type { PhaseName, Subject } from "../runtime/training/subject.ts";
import { evaluate, evaluationCalls, texts } from "./evaluate.ts";
import type { Evaluation } from "./evaluate.ts";
import { createProgress } from "./progress.ts";
import type { Progress } from "./progress.ts";
import type { LossHistory, ModelName, ReportData } from "./report/data.ts";
import { renderReport } from "./report.ts";
import { renderTable } from "./report/table.ts";
import { verdicts } from "./verdicts.ts";

/** What Ctrl-C says. */
export const STOPPING = "\nStopping after this step and saving; Ctrl-C again quits at once.\n";

/** A run with everything that it needs. */
export interface Job {
  readonly run: RunFolder<TrainingConfig>;
  readonly text: PreparedText;
  readonly devices: ReopenableDevice;
  readonly subject: Subject;
  /** The command that goes on with the run. */
  readonly again: string;
  /** What `fluxion sample RUN` needs besides, with a space before it. */
  readonly sampling?: string;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** Trains what is left of a run, measures it and writes samples and report. @returns the exit code */
export async function trainAndMeasure(job: Job, intervals: TrainingIntervals): Promise<number> {
  const { run, text, devices, subject } = job;
  const { device } = devices;
  print(`Run folder ${run.dir}. Device ${device.name}: ${device.describe()}.`);
  print(textLine(run.config, text));
  const finished = await train(run, text, devices, hooksFor(job), intervals, subject);
  const both = hasFlow(run.config) && hasMap(run.config);
  if (finished) print(both ? "Sampling both models." : "Sampling the model.");
  const evaluation = finished ? await showEvaluation(job) : undefined;
  if (evaluation === undefined) {
    print(
      `Stopped${finished ? ` while sampling; ${both ? "the models are" : "the model is"} saved` : "; the training so far is saved"}. Go on with: ${job.again}`,
    );
    return 130;
  }
  const data = reportData(job, evaluation, await run.readMetrics());
  print(GUIDE);
  print(renderTable(data));
  await run.writeText("samples.txt", samplesText(evaluation, labelsOf(subject)));
  await run.writeText("report.html", renderReport(data));
  const weights = [
    hasFlow(run.config) ? "flm.safetensors" : "",
    hasMap(run.config) ? "fmlm.safetensors" : "",
  ];
  const files = ["report.html", "samples.txt", ...weights.filter((name) => name !== "")].join(", ");
  const steps = hasMap(run.config) ? 1 : 32;
  print(
    `Written: ${run.dir}/${files}. More text: fluxion sample ${run.dir}${job.sampling ?? ""} --steps ${steps}`,
  );
  return 0;
}

function textLine({ data, network }: TrainingConfig, { vocabulary, streams, report }: PreparedText): string {
  const size = vocabulary.tokens.length;
  const fewer =
    vocabulary.kind === "words" && size < data.vocabularySize
      ? ` (${data.vocabularySize} asked for; the text has no more)`
      : "";
  const unit = vocabulary.kind === "words" ? "words" : "characters";
  const lines = report.repeatedLines;
  const again =
    data.file === null || lines === 0
      ? ""
      : ` Lines that occur before are left out, ${lines.toLocaleString("en")} of them; --keep-repeats keeps them.`;
  return `Text: ${textName(data)}; ${streams.train.length.toLocaleString("en")} ${unit} to train on, a vocabulary of ${size}${fewer}, sequences of ${network.length}.${again}`;
}

/** How to read the table. */
const GUIDE = `
Perplexity: how surprising the samples are to an n-gram model of other text of this kind; lower is better, if the entropy holds.
Entropy: how varied the tokens of one sample are, in nats; below that of held-out text, samples repeat themselves.
`;

/** What is trained, and from what, in a line. */
function preparing({ run, subject }: Job, phase: PhaseName): string {
  const label = labelOf(subject, phase);
  if (subject.published)
    return phase === "flm"
      ? "Compiling and training FLM, the many-step model."
      : "Compiling and training FMLM, the few-step model, from FLM.";
  if (phase === "flm")
    return `Compiling and training ${label}${hasMap(run.config) ? `, the teacher of ${labelOf(subject, "fmlm")}` : ""}.`;
  const { teacher, teacherRun } = run.config.variant ?? {};
  const from =
    teacher === "none"
      ? ", which learns from text alone"
      : `, from ${labelOf(subject, "flm")}${teacherRun === undefined ? "" : ` of ${teacherRun}`}`;
  return `Compiling and training ${label}${from}.`;
}

/** Progress bars, and every half minute a few lines to read. */
function hooksFor(job: Job): TrainingHooks {
  const { run, text, subject, signal } = job;
  const { config } = run;
  const vocab = text.vocabulary.tokens.length;
  let progress: Progress | undefined;
  let sampler: PreparedSampler | undefined;
  const stepsOf = (phase: PhaseName): number => (phase === "flm" ? 16 : 1);
  async function openPhase(phase: PhaseName, device: Device): Promise<PreparedSampler> {
    const network = phase === "flm" ? flmNetwork(config, vocab) : fmlmNetwork(config, vocab);
    const options = { ...phaseOptions(config, phase, vocab), network, batch: 2 };
    const spec = paramsSpec(phaseOptions(config, phase, vocab), phase);
    const own = await openModelSampler(device, { subject, phase, options, spec, gamma: 0 });
    return own.prepare(stepsOf(phase));
  }
  return {
    note: print,
    prepare: (phase) => print(preparing(job, phase)),
    begin(phase, start, total, perStep) {
      sampler = undefined;
      // Both models of the demo have bars of one width.
      const label = subject.published ? labelOf(subject, phase).padEnd(4) : labelOf(subject, phase);
      progress = createProgress({ label, total, start, unit: { name: "tokens", perStep } });
    },
    step(_phase, step, { loss }) {
      progress?.update(step + 1, { loss });
    },
    async sample(phase, params, device) {
      sampler ??= await openPhase(phase, device);
      const { tokens } = await sampler.sample(params, 2, fold(stepKey(config.seed, "sample", 0), 0));
      const lines = texts(text, { tokens, count: 2, length: config.network.length });
      const how = `${labelOf(subject, phase)} in ${stepsOf(phase)} step${stepsOf(phase) === 1 ? "" : "s"}`;
      progress?.note(lines.map((line) => `  ${how}: ${line}`).join("\n"));
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
    remedy: `What was trained is saved: go on with --resume ${job.run.dir}, perhaps on another device.`,
  });
}

async function evaluateOn(
  device: Device,
  { run, text, subject, signal }: Job,
): Promise<Evaluation | undefined> {
  const total = evaluationCalls(run.config, subject);
  const progress = createProgress({ label: "Sampling", total, unit: { name: "network calls", perStep: 1 } });
  try {
    const evaluation = await evaluate(
      run,
      subject,
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

/** What the models of a run are called, by their roles. */
const labelsOf = (subject: Subject): Readonly<Record<ModelName, string>> => ({
  FLM: labelOf(subject, "flm"),
  FMLM: labelOf(subject, "fmlm"),
});

/** What a loss of a declared model is, under its curve. */
const lossText = ({ flow, map }: Subject, phase: PhaseName): string =>
  phase === "flm"
    ? lossName(flow.loss)
    : map === undefined
      ? ""
      : `${map.objective.name}, ${lossName(map.loss)}`;

function lossesOf(metrics: readonly MetricsLine[], phase: PhaseName, subject: Subject): LossHistory {
  const points = (key: string): readonly (readonly [number, number])[] =>
    metrics.flatMap((line) =>
      line["phase"] === phase && typeof line[key] === "number" ? [[line.step, line[key]] as const] : [],
    );
  return {
    name: phase === "flm" ? "FLM" : "FMLM",
    ...(subject.published ? {} : { what: lossText(subject, phase) }),
    train: points("loss"),
    validation: points("validation"),
  };
}

function reportData(
  { run, text, subject }: Job,
  evaluation: Evaluation,
  metrics: readonly MetricsLine[],
): ReportData {
  const { config } = run;
  const { network } = config;
  const trained = phasesOf(config);
  const declared = config.variant;
  return {
    title:
      declared === undefined ? "FLM and FMLM on your own machine" : labelOf(subject, trained.at(-1) ?? "flm"),
    ...(subject.published ? {} : { labels: labelsOf(subject) }),
    summary: [
      ["Text", textName(config.data)],
      [
        "Tokens",
        `${text.vocabulary.tokens.length} ${text.vocabulary.kind}, ${text.streams.train.length.toLocaleString("en")} for training`,
      ],
      ["Sequence", `${network.length} tokens`],
      ["Network", `${network.depth} blocks of width ${network.width}, ${network.heads} heads`],
      ...trained.map(
        (phase) =>
          [
            labelOf(subject, phase),
            `${config[phase].steps} steps of ${config[phase].batch} sequences`,
          ] as const,
      ),
      ...(declared?.file === undefined
        ? []
        : [["Declared in", `${declared.file}, as ${declared.export ?? ""}`] as const]),
      ...(declared?.teacherRun === undefined ? [] : [["Teacher", declared.teacherRun] as const]),
      ["Samples", `${config.sampling.samples} per row`],
      ["Seed", String(config.seed)],
      ["Started", run.created],
    ],
    verdicts: verdicts(evaluation),
    losses: trained.map((phase) => lossesOf(metrics, phase, subject)),
    ...evaluation,
  };
}

function samplesText({ quality }: Evaluation, labels: Readonly<Record<ModelName, string>>): string {
  return quality
    .map(({ model, steps, samples }) =>
      [
        `${labels[model]}, ${steps} step${steps === 1 ? "" : "s"}`,
        ...samples.map((line) => `  ${line}`),
        "",
      ].join("\n"),
    )
    .join("\n");
}
