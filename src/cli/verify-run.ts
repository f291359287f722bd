/**
 * `fluxion verify RUN`: the flow map of a run against its teacher, as a table or as JSON. Consumed by the command.
 */
import { disposeTree, readTree } from "../runtime/compile.ts";
import type { Flow } from "../models/flow/flow.ts";
import { statesName } from "../models/flow/states.ts";
import type { HostTensor } from "../compiler/host-tensor.ts";
import { openDevice } from "../runtime/devices.ts";
import { UserError } from "../runtime/files/errors.ts";
import { openRun } from "../runtime/files/run-folder.ts";
import type { RunFolder } from "../runtime/files/run-folder.ts";
import { checkConfig } from "../runtime/training/config.ts";
import type { TrainingConfig } from "../runtime/training/config.ts";
import { loadModel } from "../runtime/training/load-model.ts";
import type { LoadedModel } from "../runtime/training/load-model.ts";
import { flmNetwork } from "../runtime/training/phases.ts";
import { hasMap } from "../runtime/training/subject.ts";
import { verifyTrained } from "../runtime/verify/trained.ts";
import type { Parsed } from "./arguments.ts";
import { createProgress } from "./progress.ts";
import { textOf } from "./text.ts";
import { givenVariant, recordedText, subjectOfRun } from "./variants.ts";
import { trainedText } from "./verify-trained-text.ts";

/** @returns the exit code: 1 where a residual is larger than the tolerance that was given for it */
export async function verifyRun(
  dir: string,
  args: Parsed,
  { cases, seed }: { readonly cases: number; readonly seed: number },
): Promise<number> {
  const tolerances = tolerancesIn(args.text("tolerance"));
  const run = await openRun(dir, checkConfig);
  const teacherRun =
    args.text("teacher") === undefined ? run : await openRun(args.text("teacher") ?? "", checkConfig);
  if (!hasMap(run.config))
    throw new UserError(
      `${dir} trains ${recordedText(run.config)}, a flow and no flow map, of which alone a run is verified; verify the file that declares it`,
    );
  if (!(await run.hasCheckpoint("fmlm")))
    throw new UserError(
      `${dir} holds no fmlm yet, which is what verify looks at; go on with its training first (--resume ${dir})`,
    );
  const text = await textOf(run.config);
  const vocab = text.vocabulary.tokens.length;
  const flow = await flowOf(run, vocab, args);
  await checkTeacher(run, teacherRun, vocab);
  const device = await openDevice(args.text("device") ?? "auto");
  try {
    const student = await loadModel(run, "fmlm", vocab, device, 1);
    const teacher = await loadModel(teacherRun, "flm", vocab, device, 1);
    await checkStates(run.config, student, teacher);
    let progress: ReturnType<typeof createProgress> | undefined;
    const report = await verifyTrained(
      {
        flow,
        options: { network: flmNetwork(teacherRun.config, vocab), space: run.config.space },
        student: student.params,
        teacher: teacher.params,
        specs: { student: student.spec, teacher: teacher.spec },
        stream: text.streams.validation,
      },
      device,
      {
        cases,
        seed,
        tolerances,
        onPart(what, index, total) {
          progress ??= createProgress({ label: "verifying", total, unit: { name: "parts", perStep: 1 } });
          progress.update(index, { what });
        },
      },
    ).catch((error: unknown) => {
      // The names of tolerances are the user's.
      if (error instanceof RangeError) throw new UserError(error.message, { cause: error });
      throw error;
    });
    progress?.done();
    disposeTree(student.params);
    disposeTree(teacher.params);
    const whole = { run: run.dir, teacher: teacherRun.dir, ...report };
    process.stdout.write(args.flag("json") ? `${JSON.stringify(whole)}\n` : trainedText(whole));
    return report.passed ? 0 : 1;
  } finally {
    await device.dispose();
  }
}

/** The flow that a run's map is of. @throws UserError where its residuals are not over tokens, and as subjectOfRun does */
async function flowOf(run: RunFolder<TrainingConfig>, vocab: number, args: Parsed): Promise<Flow> {
  const { flow } = await subjectOfRun(run, vocab, givenVariant(args));
  const other =
    flow.predicts !== "clean token"
      ? `predicts a ${flow.predicts}`
      : flow.states.kind !== "one-hot"
        ? `has ${statesName(flow.states)} as states`
        : flow.interpolant.length === undefined
          ? undefined
          : "gives tokens times of their own";
  if (other !== undefined)
    throw new UserError(
      `The flow "${flow.name}" of ${run.dir} ${other}; a trained map is measured where its flow predicts the clean token on one-hot states, with one time for a whole text`,
    );
  return flow;
}

/** "NAME=X; NAME=X" as numbers by name. @throws UserError for what says nothing, or two things of one residual */
function tolerancesIn(text: string | undefined): Readonly<Record<string, number>> {
  const tolerances: Record<string, number> = {};
  if (text === undefined) return tolerances;
  const parts = text.split(";").map((part) => part.trim());
  const some = parts.filter((part) => part !== "");
  for (const part of some.length === 0 ? [text] : some) {
    const sign = part.lastIndexOf("=");
    const [name, value] = [part.slice(0, sign).trim(), part.slice(sign + 1).trim()];
    if (sign < 1 || value === "" || !Number.isFinite(Number(value)))
      throw new UserError(`--tolerance is NAME=X with a number X, got "${part}"`);
    if (Object.hasOwn(tolerances, name))
      throw new UserError(`--tolerance names "${name}" twice; name it once`);
    tolerances[name] = Number(value);
  }
  return tolerances;
}

/** Whether the teacher speaks of the same texts. */
async function checkTeacher(
  run: RunFolder<TrainingConfig>,
  teacher: RunFolder<TrainingConfig>,
  vocab: number,
): Promise<void> {
  if (!(await teacher.hasCheckpoint("flm")))
    throw new UserError(
      teacher === run
        ? `${teacher.dir} holds no flm, and a map is measured beside its teacher; name the run of one with --teacher RUN`
        : `${teacher.dir}, which --teacher names, holds no flm to be the teacher`,
    );
  if (teacher === run) return;
  const [own, other] = [run.config, teacher.config];
  if (own.network.length !== other.network.length || own.space !== other.space)
    throw new UserError(
      `${teacher.dir} is of sequences of ${other.network.length} tokens in ${other.space} states, and ${run.dir} of ${own.network.length} in ${own.space} states`,
    );
  const { fingerprint } = other.data;
  if (fingerprint !== own.data.fingerprint)
    throw new UserError(
      `${teacher.dir} was trained on other text than ${run.dir}, or with other tokens than its ${vocab}`,
    );
}

/** On projected states student and teacher must see one state. */
async function checkStates(
  { space }: TrainingConfig,
  student: LoadedModel,
  teacher: LoadedModel,
): Promise<void> {
  if (space !== "projected") return;
  const [own, taught] = await Promise.all([embeddingOf(student), embeddingOf(teacher)]);
  const same =
    own.data.length === taught.data.length && own.data.every((value, i) => value === taught.data[i]);
  if (!same)
    throw new UserError(
      "The states of this run are projected by the table of the teacher that it was distilled from, and the teacher given has another: " +
        "take its own, or a run in vocabulary states",
    );
}

async function embeddingOf({ params }: LoadedModel): Promise<HostTensor> {
  const { embedding } = params as { readonly embedding: unknown }; // a tree of DitParams
  const [table] = await readTree(embedding);
  if (table === undefined) throw new Error("a network has an embedding");
  return table;
}
