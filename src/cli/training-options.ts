/**
 * The options that every command that trains has, and the settings that they say.
 *
 * Consumed by `fluxion demo` and `fluxion train`. To add an option that both have: its line here, and its setting in `settingsFrom`.
 */
import { resolve } from "node:path";
import { UserError } from "../runtime/files/errors.ts";
import { PRESETS } from "../runtime/training/config.ts";
import type { TrainingConfig } from "../runtime/training/config.ts";
import { DEFAULT_INTERVALS } from "../runtime/training/trainer.ts";
import type { TrainingIntervals } from "../runtime/training/trainer.ts";
import type { AskedIntervals, RunConfig } from "../runtime/run/store.ts";
import type { Option, Parsed } from "./arguments.ts";

/** What a model is made of. */
export const MODEL_OPTIONS = {
  quick: { help: "A small model, in at most a minute." },
  full: { help: "Three to six times the training, in about twenty minutes on two cores." },
  data: {
    value: "FILE",
    help: "Your own text: one document per line or per paragraph (default: WordNet definitions).",
  },
  "keep-repeats": { help: "Learns lines as often as the text has them, not each once." },
  tokens: { value: "KIND", help: "words or chars (default: words)." },
  vocab: { value: "N", help: "Size of a vocabulary of words; characters have one of 27." },
  length: { value: "N", help: "Tokens per sequence." },
  width: { value: "N", help: "Width of the network." },
  depth: { value: "N", help: "Blocks of the network." },
  heads: { value: "N", help: "Attention heads." },
  batch: { value: "N", help: "Sequences per step." },
} as const satisfies Readonly<Record<string, Option>>;

/** How a run goes. */
export const RUN_OPTIONS = {
  samples: { value: "N", help: "Samples per row of the table." },
  seed: { value: "N", help: "Seed of everything random (default: 1)." },
  device: { value: "NAME", help: "Device to run on (default: auto; see fluxion devices)." },
  out: { value: "DIR", help: "Run folder to make (default: runs/ and the time)." },
  resume: { value: "DIR", help: "Goes on with an interrupted run; a finished one is measured again." },
  "save-every": {
    value: "S",
    help: "Seconds between saved states (0: every step; default: those of the run that is resumed, or 30).",
  },
  "sample-every": {
    value: "S",
    help: "Seconds between samples to read while training (0: every step; default: as for --save-every).",
  },
} as const satisfies Readonly<Record<string, Option>>;

/** Options that may be given with --resume: they do not change what a run computes. */
const WITH_RESUME = ["resume", "device", "save-every", "sample-every"];

/** @throws UserError when an option would change what a resumed run computes */
export function checkResumed(args: Parsed, allowed: readonly string[] = []): void {
  const refused = args.given
    .filter((name) => !WITH_RESUME.includes(name) && !allowed.includes(name))
    .map((name) => `--${name}`);
  if (refused.length > 0)
    throw new UserError(
      `--resume goes on with the run's own settings, so it does not take ${refused.join(", ")}; leave out ${refused.length === 1 ? "that option" : "those options"}, or start a new run.`,
    );
}

/** The intervals that the options ask for; a new run keeps them. @throws UserError for a value that is none */
export function askedIntervals(args: Parsed): AskedIntervals {
  const save = args.number("save-every", { min: 0 });
  const sample = args.number("sample-every", { min: 0 });
  return { ...(save === undefined ? {} : { save }), ...(sample === undefined ? {} : { sample }) };
}

/** The intervals of this process: those of the options, else those that the run began with, else the usual ones. */
export const intervalsFor = (args: Parsed, { intervals }: RunConfig<unknown>): TrainingIntervals => ({
  ...DEFAULT_INTERVALS,
  ...intervals,
  ...askedIntervals(args),
});

/** Folder of a new run. @throws UserError for an empty name */
export function newFolder(args: Parsed): string {
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  const dir = args.text("out") ?? `runs/${stamp}`;
  if (dir === "") throw new UserError("--out names the folder of the new run, and the name is empty.");
  return dir;
}

export function presetFrom(args: Parsed): TrainingConfig {
  if (args.flag("quick") && args.flag("full"))
    throw new UserError("--quick and --full contradict each other");
  return PRESETS[args.flag("quick") ? "quick" : args.flag("full") ? "full" : "default"];
}

const POSITIVE = { min: 1 } as const;

/** Texts that are held at once: a number that cannot be is said before anything is trained. */
export const MANY = { min: 1, max: 1_000_000 } as const;

/**
 * The settings of the options, which change those of a preset or of a teacher. Steps and learning rates are up to the command.
 * @throws UserError for a value that is none
 */
export function settingsFrom(args: Parsed, preset: TrainingConfig): TrainingConfig {
  const file = args.text("data");
  const batch = args.whole("batch", POSITIVE);
  const tokens = args.choice("tokens", ["words", "chars"]) ?? preset.data.tokens;
  const vocabularySize = args.whole("vocab", { min: 8, max: 1_000_000 });
  if (vocabularySize !== undefined && tokens === "chars")
    throw new UserError(
      `--vocab is the size of a vocabulary of words, and that of characters is always a to z and the space; leave out --vocab, or take --tokens words`,
    );
  const usualLength = tokens === "chars" && preset.data.tokens === "words" ? 32 : preset.network.length;
  return {
    ...preset,
    seed: args.whole("seed", { min: 0 }) ?? preset.seed,
    data: {
      ...preset.data,
      ...(file === undefined ? {} : { file: resolve(file) }),
      ...(args.flag("keep-repeats") ? { repeats: "keep" } : {}),
      tokens,
      vocabularySize: vocabularySize ?? preset.data.vocabularySize,
    },
    network: {
      ...preset.network,
      length: args.whole("length", POSITIVE) ?? usualLength,
      width: args.whole("width", POSITIVE) ?? preset.network.width,
      depth: args.whole("depth", POSITIVE) ?? preset.network.depth,
      heads: args.whole("heads", POSITIVE) ?? preset.network.heads,
    },
    flm: { ...preset.flm, batch: batch ?? preset.flm.batch },
    fmlm: { ...preset.fmlm, batch: batch ?? preset.fmlm.batch },
    sampling: { ...preset.sampling, samples: args.whole("samples", MANY) ?? preset.sampling.samples },
  };
}

/** Steps and the highest learning rate of an option's value, where they are given. */
export const stepsFrom = (args: Parsed, option: string): number | undefined => args.whole(option, POSITIVE);
export const rateFrom = (args: Parsed, option: string): number | undefined => args.number(option, { min: 0 });
