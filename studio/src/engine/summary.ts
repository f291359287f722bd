/** Runs and their logs as the page is told of them. Consumed by engine.ts and training.ts. */
import { UserError } from "../../../src/runtime/files/errors.ts";
import type { MetricsLine } from "../../../src/runtime/run/store.ts";
import type { TrainingConfig } from "../../../src/runtime/training/config.ts";
import { labelOf, phasesOf } from "../../../src/runtime/training/subject.ts";
import type { Subject } from "../../../src/runtime/training/subject.ts";
import { declaredOf, keptDeclaration } from "./declaration.ts";
import { unwatched } from "./forming.ts";
import type { LossPoint, ModelName, RunDetail, RunState, RunSummary } from "./protocol.ts";
import { fileOfText, TEXT } from "./runs.ts";
import type { KnownRun } from "./runs.ts";
import type { StoredRun } from "./storage/run.ts";
import { loadVocabulary } from "../../../src/runtime/run/vocabulary.ts";

const MODELS: readonly ModelName[] = ["flm", "fmlm"];

/** A training, as far as a summary needs it. */
interface Underway {
  readonly phase: ModelName | undefined;
  readonly done: number;
}

/** @param training of this run, where there is one */
export async function summaryOf(known: KnownRun, training: Underway | undefined): Promise<RunSummary> {
  const { run } = known;
  const { config } = run;
  const finished: ModelName[] = [];
  for (const model of MODELS) if (await run.hasCheckpoint(model)) finished.push(model);
  const saved = await unlessDamaged(savedState(run).catch(() => savedState(run))); // it may have been replaced while it was read
  const phases = phasesOf(config);
  const steps = phases.reduce((sum, phase) => sum + config[phase].steps, 0);
  const isDone = phases.every((phase) => finished.includes(phase));
  const next = phases.find((phase) => !finished.includes(phase));
  const dropped = known.origin === "imported";
  const stuck =
    dropped && next !== undefined && training === undefined
      ? await stuckOf(run, next, saved, finished)
      : undefined;
  const state: RunState =
    training !== undefined
      ? "training"
      : dropped && (isDone || stuck !== undefined)
        ? "imported"
        : isDone
          ? "finished"
          : "idle";
  const text = fileOfText(config);
  const lacksText = state === "idle" && text !== undefined && (await run.folder.read(TEXT)) === undefined;
  const inWork = training?.phase ?? saved?.phase;
  const before = phases
    .filter((phase) => finished.includes(phase))
    .reduce((sum, phase) => sum + config[phase].steps, 0);
  const part = training?.phase === undefined ? Math.max(0, (saved?.done ?? 0) - before) : training.done;
  const vocabulary = await unlessDamaged(loadVocabulary(run, config.data.fingerprint));
  const declared = declaredOf(run, await unlessDamaged(keptDeclaration(run)));
  const { length, width, depth, heads } = config.network;
  return {
    id: run.id,
    created: run.created,
    state,
    text: known.text,
    ...(declared === undefined ? {} : { declared }),
    ...(stuck === undefined ? {} : { stuck }),
    ...(lacksText ? { lacksText: text } : {}),
    models: MODELS.filter((model) => finished.includes(model) || (!isDone && model === inWork)),
    done: isDone ? steps : before + part,
    steps,
    bytes: await run.size(),
    settings: {
      seed: config.seed,
      vocabulary: vocabulary?.tokens.length ?? config.data.vocabularySize,
      length,
      width,
      depth,
      heads,
      batch: config.flm.batch,
      flmSteps: phases.includes("flm") ? config.flm.steps : 0,
      fmlmSteps: phases.includes("fmlm") ? config.fmlm.steps : 0,
    },
  };
}

/**
 * Why files that were dropped are not enough to train on.
 * @param next what is to be trained. @param saved what there is a state of. @param finished what there are weights of
 */
async function stuckOf(
  run: StoredRun,
  next: ModelName,
  saved: { readonly phase: ModelName } | undefined,
  finished: readonly ModelName[],
): Promise<string | undefined> {
  if (saved?.phase === next) return undefined;
  if (saved !== undefined)
    return `Its training cannot go on here: ${next}.safetensors, which it goes on from, was not dropped.`;
  if (await run.hasCheckpoint("state"))
    return "Its training cannot go on here: state.safetensors, which says where it stopped, cannot be read.";
  if (next === "fmlm" && finished.includes("flm") && (await endsWithFlow(run))) return undefined;
  return "Its training cannot go on here: state.safetensors, which says where it stopped, was not dropped.";
}

/** Whether the log says that a flow map was not begun: there is no state then, it begins with the flow's weights. */
async function endsWithFlow(run: StoredRun): Promise<boolean> {
  const lines = (await unlessDamaged(run.readMetrics())) ?? [];
  return lines.length > 0 && lines.every(({ phase }) => phase === "flm");
}

/** A damaged file is no reason not to show the run: whoever needs it will say what is wrong. */
const unlessDamaged = <T>(work: Promise<T>): Promise<T | undefined> =>
  work.catch((error: unknown) => {
    if (error instanceof UserError) return undefined;
    throw error;
  });

/** What the saved state is of: steps of all phases that are done. */
async function savedState(
  run: StoredRun,
): Promise<{ readonly phase: ModelName; readonly done: number } | undefined> {
  if (!(await run.hasCheckpoint("state"))) return undefined;
  const { phase, step } = await run.checkpointMeta("state");
  const model = MODELS.find((name) => name === phase);
  return model === undefined ? undefined : { phase: model, done: step + 1 };
}

/** Points of the clock's curve. */
const CLOCK_POINTS = 65;

/** What the page is told of what a run trains: of a declaration that does not run, its name. */
export function aboutSubject(
  subject: Subject | undefined,
  { variant }: TrainingConfig,
): Pick<RunDetail, "clock" | "labels" | "published" | "unwatched"> {
  if (subject === undefined) {
    const name = variant?.name ?? "the model";
    const flow = variant?.kind === "flow" ? name : `the flow of ${name}`;
    return {
      clock: [],
      labels: { flm: flow, fmlm: name },
      published: false,
      unwatched: "How a text of this run forms is seen once its declaration runs.",
    };
  }
  const { clock } = subject.flow;
  const why = unwatched(subject.flow);
  return {
    clock: Array.from({ length: CLOCK_POINTS }, (_, i) => clock.tau(i / (CLOCK_POINTS - 1))),
    labels: { flm: labelOf(subject, "flm"), fmlm: labelOf(subject, "fmlm") },
    published: subject.published,
    ...(why === undefined ? {} : { unwatched: why }),
  };
}

/** The log as points, their steps counted from the beginning of their phase. */
export function historyOf(config: TrainingConfig, lines: readonly MetricsLine[]): readonly LossPoint[] {
  const phases = phasesOf(config);
  return lines.flatMap((line): readonly LossPoint[] => {
    const phase = MODELS.find((name) => name === line["phase"]);
    if (phase === undefined) return [];
    const offset = phase === "fmlm" && phases.includes("flm") ? config.flm.steps : 0;
    const numbers: { loss?: number; gradientNorm?: number; validation?: number } = {};
    for (const key of ["loss", "gradientNorm", "validation"] as const) {
      const value = line[key];
      if (typeof value === "number") numbers[key] = value;
    }
    return [{ phase, step: line.step - offset, ...numbers }];
  });
}
