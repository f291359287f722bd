/**
 * `fluxion train FILE|NAME`: trains a declared flow, or a flow map and its teacher, on any text; the same run folder, programs and report
 * as the demo's, which is `fluxion train fmlm` with a comparison of both models.
 */
import { resolve } from "node:path";
import type { FlowMap } from "../../models/flow/flow-map.ts";
import type { Flow } from "../../models/flow/flow.ts";
import { statesName } from "../../models/flow/states.ts";
import type { OneHotSpace } from "../../models/flow/state-space.ts";
import { stock } from "../../models/language/variants/index.ts";
import { textFingerprint } from "../../runtime/text/documents.ts";
import { UserError } from "../../runtime/files/errors.ts";
import { createRun, openRun } from "../../runtime/files/run-folder.ts";
import type { RunFolder } from "../../runtime/files/run-folder.ts";
import { checkConfig } from "../../runtime/training/config.ts";
import type { TrainingConfig, VariantConfig } from "../../runtime/training/config.ts";
import { checkSteps, flowFingerprint } from "../../runtime/training/look.ts";
import { checkCanTeach, checkTeacher, teacherWeights } from "../../runtime/training/teacher.ts";
import { isPublished, outputsOf, usualSpace, subjectOf } from "../../runtime/training/subject.ts";
import type { Command, Parsed } from "../arguments.ts";
import {
  askedIntervals,
  checkResumed,
  MODEL_OPTIONS,
  newFolder,
  presetFrom,
  rateFrom,
  RUN_OPTIONS,
  settingsFrom,
  stepsFrom,
} from "../training-options.ts";
import { trainPlanned } from "../training-command.ts";
import type { Opened, Plan } from "../training-command.ts";
import { givenVariant, subjectOfRun, variantSource } from "../variants.ts";
import type { VariantSource } from "../variants.ts";

const { batch, ...sizes } = MODEL_OPTIONS;

export const train: Command = {
  name: "train",
  positionals: ["[FILE|NAME]"],
  summary: "Trains a flow or flow map that a file declares, or a stock one, on text, and writes a report.",
  options: {
    export: {
      value: "NAME",
      help: "What FILE exports it as (default: its default export, or its only flow or flow map).",
    },
    ...sizes,
    space: {
      value: "KIND",
      help: "projected or vocabulary: where states live (default: projected where the flow allows it).",
    },
    steps: { value: "N", help: "Training steps." },
    batch,
    "learning-rate": {
      value: "X",
      help: "Highest learning rate; of a map that a teacher teaches half of it.",
    },
    teacher: {
      value: "DIR",
      help: "For a flow map: the run of its flow, or of another map of it (default: the flow is trained first).",
    },
    "teacher-steps": { value: "N", help: "Training steps of a teacher that is trained first." },
    force: {
      help: "Resumes although the file's code has changed, or takes a teacher whose flow looks like another one.",
    },
    ...RUN_OPTIONS,
  },
  otherNames: { lr: "learning-rate", "distill-steps": "steps" },
  run: (args) => trainPlanned(args, args.text("resume") === undefined ? planOf : resumed),
};

/**
 * What later commands on a run are told: the file, where it was given, and --force where its code has changed; a forced teacher is copied,
 * and needs none.
 */
function commandsOf(
  { dir, config: { variant } }: RunFolder<TrainingConfig>,
  given: string | undefined,
  force = false,
): Pick<Opened, "again" | "sampling"> {
  const file = given === undefined ? "" : ` ${given}`;
  const forced = force ? " --force" : "";
  return {
    again: `fluxion train${file} --resume ${dir}${forced}`,
    sampling: variant?.file === undefined ? "" : ` --variant${file}${forced}`,
  };
}

/** Opens the run of a teacher. @throws UserError when it cannot teach */
async function openTeacher(dir: string): Promise<RunFolder<TrainingConfig>> {
  const run = await openRun(dir, checkConfig);
  await checkCanTeach(run);
  return run;
}

/** An interrupted run goes on with the same declaration. */
async function resumed(args: Parsed): Promise<Plan> {
  checkResumed(args, ["export", "force"]);
  const dir = args.text("resume") ?? "";
  const run = await openRun(dir, checkConfig);
  if (run.config.variant === undefined)
    throw new UserError(`${dir} is a run of the demo; go on with fluxion demo --resume ${dir}.`);
  const given = {
    ...givenVariant(args, `fluxion train FILE --resume ${dir}`),
    given: args.positionals[0],
  };
  const { teacherRun } = run.config.variant;
  return {
    config: run.config,
    async open({ vocabulary }) {
      const vocab = vocabulary.tokens.length;
      const subject = await subjectOfRun(run, vocab, given);
      // It may have ended between making the folder and copying the teacher.
      if (teacherRun !== undefined && !(await run.hasCheckpoint("flm"))) {
        const teacher = await openTeacher(teacherRun);
        // Another run may be in its place by now.
        const student = { config: run.config, vocabulary, flow: subject.flow, force: given.force };
        await checkTeacher(teacher, student);
        const copy = await teacherWeights(teacher, run.config, vocab);
        await copy(run);
      }
      return { run, subject, ...commandsOf(run, given.given, args.flag("force")) };
    },
  };
}

async function planOf(args: Parsed): Promise<Plan> {
  const given = args.positionals[0];
  if (given === undefined)
    throw new UserError(
      `fluxion train needs a file that declares a flow or flow map, or one of ${Object.keys(stock).join(", ")}; see fluxion train --help`,
    );
  if (args.flag("force") && args.text("teacher") === undefined)
    throw new UserError(
      "--force takes changed code with --resume, or another flow with --teacher, and neither is given; leave it out.",
    );
  const source = await variantSource(given, args.text("export"));
  const dir = newFolder(args);
  const teacherDir = args.text("teacher");
  const teacher = teacherDir === undefined ? undefined : await openTeacher(teacherDir);
  const preset = presetFrom(args);
  // A student's sizes and text are its teacher's, unless options say otherwise, which is refused where it cannot be.
  const taught = teacher === undefined ? preset : { ...preset, ...likeTeacher(teacher.config) };
  const settings = settingsFrom(args, taught);
  return {
    config: settings,
    async open(text) {
      const vocab = text.vocabulary.tokens.length;
      const { length } = settings.network;
      const declared = source.declared(vocab, length);
      const { flow } = subjectOf(declared);
      if (flow.interpolant.length !== undefined && flow.interpolant.length !== length)
        throw new UserError(
          `The interpolant "${flow.interpolant.name}" is for texts of ${flow.interpolant.length} tokens, and this run's have ${length}: use --length ${flow.interpolant.length}.`,
        );
      const asked = args.choice("space", ["projected", "vocabulary"]);
      if (asked !== undefined && flow.states.kind === "embedded")
        throw new UserError(
          `--space says how one-hot states are computed, and the flow "${flow.name}" has ${statesName(flow.states)} as states; leave it out.`,
        );
      const space: OneHotSpace = asked ?? teacher?.config.space ?? usualSpace(flow, settings.space);
      const network = { ...settings.network, ...outputsOf(flow, settings.network.width) };
      const data = { ...settings.data, fingerprint: textFingerprint(text) };
      const sized = { ...settings, space, network, data };
      const from = teacher === undefined ? undefined : resolve(teacher.dir);
      const record = recordOf(source, given, declared, from);
      const trained = { ...sized, ...trainingsFrom(args, sized, declared, record) };
      const variant = { ...record, flow: flowFingerprint(flow, trained, vocab) };
      const config = checkConfig(JSON.parse(JSON.stringify({ ...trained, variant })), "the options");
      const published = isPublished(config);
      const subject = { ...subjectOf(declared), published };
      checkSteps(config, subject, vocab);
      const student = { config, vocabulary: text.vocabulary, flow, force: args.flag("force") };
      if (teacher !== undefined) await checkTeacher(teacher, student);
      const copy = teacher === undefined ? undefined : await teacherWeights(teacher, config, vocab);
      const run = await createRun(dir, config, { source: source.source, intervals: askedIntervals(args) });
      await copy?.(run);
      const commands = commandsOf(run, given);
      if (record.teacher !== "trained") return { run, subject, ...commands };
      const notice = `"${subject.map?.name}" learns from a teacher: its flow "${flow.name}", which is trained first, in the same folder.`;
      return { run, subject, ...commands, notice };
    },
  };
}

const likeTeacher = ({ network, data, space }: TrainingConfig) => {
  const { fingerprint: _fingerprint, ...text } = data;
  return { network, data: text, space };
};

/** What the run folder says of the variant. @throws UserError for a teacher that nothing learns from */
function recordOf(
  { file }: VariantSource,
  given: string,
  declared: Flow | FlowMap,
  teacherRun: string | undefined,
): Omit<VariantConfig, "flow"> {
  const common = { name: file === undefined ? given : declared.name, kind: declared.kind, ...file };
  if (declared.kind === "flow" || !declared.teacher) {
    if (teacherRun === undefined) return { ...common, teacher: "none" };
    throw new UserError(
      declared.kind === "flow"
        ? `"${declared.name}" is a flow, which learns from text alone; leave out --teacher.`
        : `The flow map "${declared.name}" is declared without a teacher; leave out --teacher.`,
    );
  }
  if (teacherRun === undefined) return { ...common, teacher: "trained" };
  return { ...common, teacher: "given", teacherRun };
}

/** Steps, learning rates and shares of rows of what is trained. */
function trainingsFrom(
  args: Parsed,
  { flm, fmlm }: TrainingConfig,
  declared: Flow | FlowMap,
  { name, file, teacher }: Omit<VariantConfig, "flow">,
): Pick<TrainingConfig, "flm" | "fmlm"> {
  const steps = stepsFrom(args, "steps");
  const teacherSteps = stepsFrom(args, "teacher-steps");
  const rate = rateFrom(args, "learning-rate");
  if (teacherSteps !== undefined && teacher !== "trained")
    throw new UserError(
      "--teacher-steps is for a teacher that is trained first, and there is none; leave it out.",
    );
  const flow = {
    ...flm,
    steps: (declared.kind === "flow" ? steps : teacherSteps) ?? flm.steps,
    learningRate: rate ?? flm.learningRate,
  };
  if (declared.kind === "flow") return { flm: flow, fmlm };
  // The demo's FMLM has its own shares of rows: a few hundred steps must suffice.
  const demo = file === undefined && name === "fmlm";
  const shares = demo
    ? { diagonalFraction: fmlm.diagonalFraction, boundaryFraction: fmlm.boundaryFraction }
    : { diagonalFraction: declared.diagonal, boundaryFraction: declared.boundary };
  // What no teacher teaches is trained for as long as a flow is, and as fast.
  const map =
    teacher === "none"
      ? { ...fmlm, ...flm, steps: steps ?? flm.steps, learningRate: rate ?? flm.learningRate }
      : {
          ...fmlm,
          steps: steps ?? fmlm.steps,
          learningRate: rate === undefined ? fmlm.learningRate : rate / 2,
        };
  return { flm: flow, fmlm: { ...map, ...shares } };
}
