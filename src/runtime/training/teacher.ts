/**
 * A teacher from another run: whether it is one for this flow map, and its weights in the new run's own folder, so that nothing
 * depends on the other run from then on.
 *
 * Consumed by `fluxion train`.
 */
import type { Vocabulary } from "../../models/data/index.ts";
import type { Flow } from "../../models/flow/flow.ts";
import { UserError } from "../files/errors.ts";
import type { RunStore } from "../run/store.ts";
import { loadVocabulary } from "../run/vocabulary.ts";
import type { TrainingConfig } from "./config.ts";
import { flowFingerprint } from "./look.ts";
import { flmNetwork, paramsSpec, phaseOptions } from "./phases.ts";
import { expectedTensors, officialNaming } from "./state-files.ts";
import { hasFlow, stockSubjectOf } from "./subject.ts";

/** Sizes that have options. */
const SIZES: readonly string[] = ["length", "width", "depth", "heads"];

/** @throws UserError when a run has no weights of a flow, which could teach */
export async function checkCanTeach(run: RunStore<TrainingConfig>): Promise<void> {
  const { place } = run;
  if (!hasFlow(run.config))
    throw new UserError(
      `${place} cannot teach: its flow map was trained without a network of the flow itself.`,
    );
  if (!(await run.hasCheckpoint("flm")))
    throw new UserError(
      `${place} cannot teach yet: it has no flm.safetensors, the weights of a flow whose training is finished. Resume it first.`,
    );
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
  teacher: RunStore<TrainingConfig>,
  { config, vocabulary, flow, force }: Student,
): Promise<void> {
  const { place } = teacher;
  const theirs = await loadVocabulary(teacher, teacher.config.data.fingerprint);
  if (theirs === undefined)
    throw new UserError(`${place} cannot teach: it has no vocabulary.json, so its tokens are not known.`);
  if (theirs.tokens.length !== vocabulary.tokens.length)
    throw new UserError(
      `${place} cannot teach: it has a vocabulary of ${theirs.tokens.length}, and this text gives one of ${vocabulary.tokens.length}.`,
    );
  const other = theirs.tokens.findIndex((token, i) => token !== vocabulary.tokens[i]);
  if (other >= 0)
    throw new UserError(
      `${place} cannot teach: its vocabulary is another one; token ${other} is "${theirs.tokens[other]}", and in this text "${vocabulary.tokens[other]}".`,
    );
  const [mine, network] = [config.network, teacher.config.network];
  for (const size of Object.keys(mine) as (keyof typeof mine)[])
    if (mine[size] !== network[size])
      throw new UserError(
        `${place} cannot teach: its network has a ${size} of ${network[size]}, and this run's ${mine[size]}${SIZES.includes(size) ? `; leave out --${size} for the teacher's` : ""}.`,
      );
  if (config.space !== teacher.config.space)
    throw new UserError(
      `${place} cannot teach: its states live in the ${teacher.config.space} space, and this run's in the ${config.space} one; leave out --space for the teacher's.`,
    );
  if (force || fingerprintOf(teacher, vocabulary.tokens.length) === config.variant?.flow) return;
  const name = teacher.config.variant?.name ?? "FLM";
  throw new UserError(
    `${place} cannot teach: its flow ("${name}") is not "${flow.name}" (another interpolant, clock, source or prediction, or trained by another version of fluxion). ` +
      "Train the flow itself, leave out --teacher to have that done, or use it with --force.",
  );
}

function fingerprintOf({ config }: RunStore<TrainingConfig>, vocab: number): string | undefined {
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
  teacher: RunStore<TrainingConfig>,
  config: TrainingConfig,
  vocab: number,
): Promise<(run: RunStore<TrainingConfig>) => Promise<void>> {
  const naming = officialNaming(flmNetwork(config, vocab));
  const spec = paramsSpec(phaseOptions(config, "flm", vocab), "flm");
  const { tensors, meta } = await teacher.loadCheckpoint("flm", expectedTensors(spec, naming));
  const named = [...tensors].map(([name, { dtype, shape, data }]) => ({ name, dtype, shape, data }));
  // A dtype with its data, as they were read.
  return (run) => run.saveCheckpoint("flm", named as never, { ...meta, phase: "flm" });
}
