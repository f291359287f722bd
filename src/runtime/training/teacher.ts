/**
 * A teacher from another run: whether it is one for this flow map, and its weights in the new run's own folder, so that nothing
 * depends on the other run from then on.
 *
 * Consumed by `fluxion train`.
 */
import type { Vocabulary } from "../../models/data/index.ts";
import type { Flow } from "../../models/flow/flow.ts";
import { UserError } from "../files/errors.ts";
import { hasCheckpoint, loadCheckpoint, openRun, saveCheckpoint } from "../files/run-folder.ts";
import type { RunFolder } from "../files/run-folder.ts";
import { loadVocabulary } from "../files/vocabulary-file.ts";
import { checkConfig } from "./config.ts";
import type { TrainingConfig } from "./config.ts";
import { flowFingerprint } from "./look.ts";
import { flmNetwork, paramsSpec, phaseOptions } from "./phases.ts";
import { expectedTensors, officialNaming } from "./state-files.ts";
import { hasFlow, stockSubjectOf } from "./subject.ts";

/** Sizes that have options. */
const SIZES: readonly string[] = ["length", "width", "depth", "heads"];

/** Opens the run of a teacher. @throws UserError when it has no weights of a flow */
export async function openTeacher(dir: string): Promise<RunFolder<TrainingConfig>> {
  const run = await openRun(dir, checkConfig);
  if (!hasFlow(run.config))
    throw new UserError(
      `${dir} cannot teach: its flow map was trained without a network of the flow itself.`,
    );
  if (!(await hasCheckpoint(run, "flm")))
    throw new UserError(
      `${dir} cannot teach yet: it has no flm.safetensors, the weights of a flow whose training is finished. Resume it first.`,
    );
  return run;
}

/** What a student needs of its teacher. */
export interface Student {
  readonly config: TrainingConfig;
  readonly vocabulary: Vocabulary;
  readonly flow: Flow;
  /** Takes the teacher although its flow looks like another one. */
  readonly force: boolean;
}

/** @throws UserError naming what the two do not have in common */
export async function checkTeacher(
  teacher: RunFolder<TrainingConfig>,
  { config, vocabulary, flow, force }: Student,
): Promise<void> {
  const { dir } = teacher;
  const theirs = await loadVocabulary(teacher, teacher.config.data.fingerprint);
  if (theirs === undefined)
    throw new UserError(`${dir} cannot teach: it has no vocabulary.json, so its tokens are not known.`);
  if (theirs.tokens.length !== vocabulary.tokens.length)
    throw new UserError(
      `${dir} cannot teach: it has a vocabulary of ${theirs.tokens.length}, and this text gives one of ${vocabulary.tokens.length}.`,
    );
  const other = theirs.tokens.findIndex((token, i) => token !== vocabulary.tokens[i]);
  if (other >= 0)
    throw new UserError(
      `${dir} cannot teach: its vocabulary is another one; token ${other} is "${theirs.tokens[other]}", and in this text "${vocabulary.tokens[other]}".`,
    );
  const [mine, network] = [config.network, teacher.config.network];
  for (const size of Object.keys(mine) as (keyof typeof mine)[])
    if (mine[size] !== network[size])
      throw new UserError(
        `${dir} cannot teach: its network has a ${size} of ${network[size]}, and this run's ${mine[size]}${SIZES.includes(size) ? `; leave out --${size} for the teacher's` : ""}.`,
      );
  if (config.space !== teacher.config.space)
    throw new UserError(
      `${dir} cannot teach: its states live in the ${teacher.config.space} space, and this run's in the ${config.space} one; leave out --space for the teacher's.`,
    );
  if (force || fingerprintOf(teacher, vocabulary.tokens.length) === config.variant?.flow) return;
  const name = teacher.config.variant?.name ?? "FLM";
  throw new UserError(
    `${dir} cannot teach: its flow ("${name}") is not "${flow.name}" (another interpolant, clock, source or prediction, or trained by another version of fluxion). ` +
      "Train the flow itself, leave out --teacher to have that done, or use it with --force.",
  );
}

function fingerprintOf({ config }: RunFolder<TrainingConfig>, vocab: number): string | undefined {
  const stock = stockSubjectOf(config, vocab);
  if (stock === undefined) return config.variant?.flow;
  return flowFingerprint(stock.flow, config, vocab);
}

/**
 * Reads the teacher's weights.
 * @param config of the run that learns from them
 * @returns what writes them into that run's folder, as those of its own flow
 * @throws UserError when they are missing, damaged or of other sizes
 */
export async function teacherWeights(
  teacher: RunFolder<TrainingConfig>,
  config: TrainingConfig,
  vocab: number,
): Promise<(run: RunFolder<TrainingConfig>) => Promise<void>> {
  const naming = officialNaming(flmNetwork(config, vocab));
  const spec = paramsSpec(phaseOptions(config, "flm", vocab), "flm");
  const { tensors, meta } = await loadCheckpoint(teacher, "flm", expectedTensors(spec, naming));
  const named = [...tensors].map(([name, { dtype, shape, data }]) => ({ name, dtype, shape, data }));
  // A dtype with its data, as they were read.
  return (run) => saveCheckpoint(run, "flm", named as never, { ...meta, phase: "flm" });
}
