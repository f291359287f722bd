/**
 * The configuration of a run: what config.json holds, its presets, and the check that a file holds one.
 * Consumed by the training loop, sampling and the command line. To add a setting: the interface, the presets, the check.
 */
import type { TokenKind, UnknownPolicy } from "../../models/data/index.ts";
import type { OneHotSpace } from "../../models/flow/state-space.ts";
import { rowCounts } from "../../models/flow/times.ts";
import type { DitConfig } from "../../models/networks/dit.ts";
import { UserError } from "../files/errors.ts";
import { fieldsOf } from "../files/fields.ts";

export interface DataConfig {
  /** Path of a text file, or null for the WordNet definitions that come with the package. */
  readonly file: string | null;
  readonly tokens: TokenKind;
  /** Size of a word vocabulary. */
  readonly vocabularySize: number;
  readonly unknown: UnknownPolicy;
  /** "keep" where lines that occur again stay; absent where they are dropped. */
  readonly repeats?: "keep";
  /** Hash of the prepared text: a run has it, so that a changed text is noticed; a preset has none. */
  readonly fingerprint?: string;
}

/** One phase of training. */
export interface PhaseConfig {
  readonly steps: number;
  readonly batch: number;
  /** The highest rate, reached after `warmup` steps; then constant, or down half a cosine to a tenth. */
  readonly learningRate: number;
  readonly warmup: number;
  readonly decay: "constant" | "cosine";
  readonly beta2: number;
}

export interface DistillConfig extends PhaseConfig {
  readonly diagonalFraction: number;
  readonly boundaryFraction: number;
}

export interface SamplingConfig {
  /** Numbers of steps at which both models are measured. */
  readonly steps: readonly number[];
  /** Samples per number of steps. */
  readonly samples: number;
  /** Samples drawn at a time. */
  readonly batch: number;
  /** Share of renewed noise in FMLM's sampler. */
  readonly gamma: number;
}

/** What a run trains that is not the demo's FLM and FMLM: what was declared, and by whom. */
export interface VariantConfig {
  /** Of a stock variant, or as a user's file declares it. */
  readonly name: string;
  readonly kind: "flow" | "flow map";
  /** The file that declares it, without its folder: code is never loaded from a run. Absent for a stock variant. */
  readonly file?: string;
  /** Under which name the file exports it, and a hash of the file's code with all that it imports from beside it. */
  readonly export?: string;
  readonly hash?: string;
  /** Of a flow map: the teacher is trained first, was taken from another run, or there is none. "none" for a flow. */
  readonly teacher: "trained" | "given" | "none";
  /** The run that a given teacher comes from. */
  readonly teacherRun?: string;
  /** What its flow is, for maps that are to learn from it; see `flowFingerprint`. */
  readonly flow: string;
}

/** `flm` is the training of the flow, `fmlm` that of its map; what a run does not train stands there unused. */
export interface TrainingConfig {
  /** Absent for FLM and FMLM as the demo trains them. */
  readonly variant?: VariantConfig;
  readonly seed: number;
  readonly data: DataConfig;
  readonly network: Omit<DitConfig, "vocab" | "targetTime">;
  readonly space: OneHotSpace;
  readonly emaDecay: number;
  readonly clip: number;
  readonly flm: PhaseConfig;
  readonly fmlm: DistillConfig;
  readonly sampling: SamplingConfig;
}

export type Preset = "quick" | "default" | "full";

const network = {
  length: 16,
  width: 128,
  depth: 3,
  heads: 4,
  conditioning: 64,
  mlpRatio: 4,
  dropout: 0,
  attentionSoftcap: 50,
};
const phase = { batch: 64, learningRate: 2e-3, warmup: 50, decay: "cosine", beta2: 0.99 } as const;
// Eight times the published share of rows that jump from noise to text: a few hundred steps must suffice for one-step samples.
const distill = { ...phase, learningRate: 1e-3, diagonalFraction: 0.5, boundaryFraction: 1 / 8 };
const sampling = { steps: [1, 2, 4, 8, 16, 32, 64], samples: 1024, batch: 128, gamma: 0.8 };
const common = { seed: 1, space: "projected", emaDecay: 0.9999, clip: 1 } as const;
const words = { file: null, tokens: "words", vocabularySize: 1000, unknown: "cut" } as const;

/** What `fluxion demo` trains: in at most a minute, in about five, or in the twenty or so that better text needs. */
export const PRESETS: Readonly<Record<Preset, TrainingConfig>> = {
  quick: {
    ...common,
    data: { ...words, vocabularySize: 500 },
    network: { ...network, length: 12, width: 64, depth: 2, conditioning: 32 },
    flm: { ...phase, steps: 600 },
    fmlm: { ...distill, steps: 250 },
    sampling: { ...sampling, steps: [1, 2, 4, 8], samples: 256 },
  },
  default: {
    ...common,
    data: words,
    network,
    flm: { ...phase, steps: 1500 },
    fmlm: { ...distill, steps: 600 },
    sampling,
  },
  full: {
    ...common,
    data: words,
    network,
    flm: { ...phase, steps: 6000 },
    fmlm: { ...distill, steps: 5000 },
    sampling,
  },
};

/** The learning rate of a step, counted from 0. */
export function learningRateAt({ learningRate, warmup, decay, steps }: PhaseConfig, step: number): number {
  const rise = Math.min(1, (step + 1) / Math.max(1, warmup));
  if (decay === "constant") return learningRate * rise;
  const progress = Math.min(1, Math.max(0, step - warmup) / Math.max(1, steps - warmup));
  return learningRate * rise * (0.1 + 0.45 * (1 + Math.cos(Math.PI * progress)));
}

/**
 * Diagonal rows of a flow map's batch, the same in every step.
 * @param least of the rows with s = t, and of the others: FMLM has both, a declared map need not
 * @throws UserError when the batch does not divide that way
 */
export function diagonalRows(
  { batch, diagonalFraction, boundaryFraction }: DistillConfig,
  least = 1,
): number {
  const counts = new Set(
    Array.from(
      { length: 256 },
      (_, step) => rowCounts({ batch, step, diagonalFraction, boundaryFraction }).diagonal,
    ),
  );
  const [count] = counts;
  if (counts.size !== 1 || count === undefined || count < least || count > batch - least) {
    throw new UserError(
      `A distillation batch of ${batch} does not divide into diagonal rows (${diagonalFraction}) and boundary rows (${boundaryFraction}) ` +
        "evenly; use a multiple of 64, or other fractions.",
    );
  }
  return count;
}

const SPACES = ["vocabulary", "projected"] as const;
const TOKENS = ["words", "chars"] as const;
const UNKNOWN = ["cut", "drop", "keep"] as const;
const DECAYS = ["constant", "cosine"] as const;

type Fields = ReturnType<typeof fieldsOf>;

/** What a line on a terminal must not hold. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}]/u;

/** Of a path. */
const LONGEST = 4096;

/** A line that is printed. */
function printed(fields: Fields, key: string, where: string): string {
  const text = fields.string(key);
  if (text === "" || text.length > LONGEST || UNPRINTABLE.test(text))
    throw new UserError(`${where}: "${key}" must be a line of text of at most ${LONGEST} characters.`);
  return text;
}

function variantConfigOf(fields: Fields, where: string): VariantConfig {
  const stock = !fields.has("file");
  const given = fields.has("teacherRun");
  const variant: VariantConfig = {
    name: printed(fields, "name", where),
    kind: fields.choice("kind", ["flow", "flow map"]),
    ...(stock
      ? {}
      : {
          file: printed(fields, "file", where),
          export: printed(fields, "export", where),
          hash: printed(fields, "hash", where),
        }),
    teacher: fields.choice("teacher", ["trained", "given", "none"]),
    ...(given ? { teacherRun: printed(fields, "teacherRun", where) } : {}),
    flow: printed(fields, "flow", where),
  };
  fields.end();
  if ((variant.teacher === "given") !== given || (variant.kind === "flow" && variant.teacher !== "none"))
    throw new UserError(
      `${where}: variant: a flow map with "teacher": "given" has a "teacherRun", and nothing else has.`,
    );
  return variant;
}

const count = { integer: true, min: 1 } as const;
const share = { min: 0, max: 1 } as const;

function phaseOf(fields: Fields): PhaseConfig {
  return {
    steps: fields.number("steps", count),
    batch: fields.number("batch", count),
    learningRate: fields.number("learningRate", { min: 0 }),
    warmup: fields.number("warmup", { integer: true, min: 0 }),
    decay: fields.choice("decay", DECAYS),
    beta2: fields.number("beta2", share),
  };
}

/** The configuration in a parsed config.json. @throws UserError naming the file and the field that is wrong */
export function checkConfig(value: unknown, where: string): TrainingConfig {
  const fields = fieldsOf(value, where);
  const data = fields.object("data");
  const net = fields.object("network");
  const flm = fields.object("flm");
  const fmlm = fields.object("fmlm");
  const sampling_ = fields.object("sampling");
  const steps = sampling_.value("steps");
  if (!Array.isArray(steps) || steps.length === 0 || !steps.every((n) => Number.isSafeInteger(n) && n >= 1)) {
    throw new UserError(`${where}: sampling.steps must be a list of whole numbers >= 1.`);
  }
  const file = data.value("file");
  if (file !== null && typeof file !== "string")
    throw new UserError(`${where}: data.file must be a path or null.`);
  const config: TrainingConfig = {
    ...(fields.has("variant") ? { variant: variantConfigOf(fields.object("variant"), where) } : {}),
    seed: fields.number("seed", { integer: true, min: 0 }),
    data: {
      file,
      tokens: data.choice("tokens", TOKENS),
      vocabularySize: data.number("vocabularySize", { integer: true, min: 2 }),
      unknown: data.choice("unknown", UNKNOWN),
      ...(data.has("repeats") ? { repeats: data.choice("repeats", ["keep"]) } : {}),
      ...(data.has("fingerprint") ? { fingerprint: data.string("fingerprint") } : {}),
    },
    network: {
      length: net.number("length", count),
      width: net.number("width", count),
      depth: net.number("depth", count),
      heads: net.number("heads", count),
      conditioning: net.number("conditioning", count),
      mlpRatio: net.number("mlpRatio", count),
      dropout: net.number("dropout", share),
      attentionSoftcap: net.number("attentionSoftcap", { min: 0 }),
      ...(net.has("outputs") ? { outputs: net.number("outputs", count) } : {}),
    },
    space: fields.choice("space", SPACES),
    emaDecay: fields.number("emaDecay", share),
    clip: fields.number("clip", { min: 0 }),
    flm: phaseOf(flm),
    fmlm: {
      ...phaseOf(fmlm),
      diagonalFraction: fmlm.number("diagonalFraction", share),
      boundaryFraction: fmlm.number("boundaryFraction", share),
    },
    sampling: {
      steps: steps as readonly number[],
      samples: sampling_.number("samples", count),
      batch: sampling_.number("batch", count),
      gamma: sampling_.number("gamma", share),
    },
  };
  for (const part of [fields, data, net, flm, fmlm, sampling_]) part.end();
  if (config.network.width % (2 * config.network.heads) !== 0) {
    throw new UserError(
      `${where}: width ${config.network.width} must be a multiple of twice the ${config.network.heads} heads.`,
    );
  }
  if (config.variant === undefined) diagonalRows(config.fmlm);
  else if (config.variant.kind === "flow map") diagonalRows(config.fmlm, 0);
  return config;
}
