/**
 * The variant that a command was given, by its stock name or as a file of the user's that exports it, and whether it is the one that a
 * run was trained with. Code comes from the command line alone, never from a run folder.
 *
 * Consumed by `train`, `sample`, `verify` and `inspect`.
 */
import { basename } from "node:path";
import type { FlowMap } from "../models/flow/flow-map.ts";
import type { Flow } from "../models/flow/flow.ts";
import { UserError } from "../runtime/files/errors.ts";
import type { RunFolder } from "../runtime/files/run-folder.ts";
import { isSameSource, recordedHashes } from "../runtime/run/source.ts";
import type { TrainingConfig } from "../runtime/training/config.ts";
import { stockVariant, stockSubjectOf, subjectOf } from "../runtime/training/subject.ts";
import type { Subject } from "../runtime/training/subject.ts";
import { declaredIn, isModuleName, trainableIn } from "../runtime/user-exports.ts";
import type { Option, Parsed } from "./arguments.ts";
import { codeHash } from "./code-hash.ts";
import { loadUserModule } from "./user-module.ts";

/** Where a declaration comes from. */
export interface VariantSource {
  /** The file's name, the export's, and a hash of the code; absent for a stock variant. */
  readonly file?: { readonly file: string; readonly export: string; readonly hash: string };
  /** The hash of the file's text, where that is all of the code. */
  readonly source?: string;
  /** The declaration for a vocabulary, and for texts of a length. @throws UserError naming what was given, when there is none */
  declared(vocab: number, length: number): Flow | FlowMap;
}

/** Options by which a command that opens a run is given its variant. */
export const VARIANT_OPTIONS = {
  variant: { value: "FILE", help: "The file that declares what a run of fluxion train FILE trained." },
  export: { value: "NAME", help: "Under which name the file exports it (default: the run's)." },
  force: { help: "Takes the file although its code has changed since the run." },
} as const satisfies Readonly<Record<string, Option>>;

/** Whether what is given is a file and not the name of a stock variant. */
const isFile = (given: string): boolean => isModuleName(given) || given.includes("/");

/**
 * @param given the name of a stock variant, or a file
 * @param name of the file's export; by default the default export, or the only flow or flow map that it exports
 * @throws UserError naming what was given, when it declares nothing to train
 */
export async function variantSource(given: string, name?: string): Promise<VariantSource> {
  if (!isFile(given)) {
    stockVariant(given, 8, 4); // a name that is none is said before anything is read
    if (name !== undefined)
      throw new UserError(
        `--export names what a file exports, and ${given} is a stock variant; leave it out.`,
      );
    return { declared: (vocab, length) => stockVariant(given, vocab, length) };
  }
  const exports = await loadUserModule(given);
  const chosen = trainableIn(exports, given, name);
  const { hash, source } = await codeHash(given);
  const file = { file: basename(given), export: chosen.name, hash };
  return {
    file,
    ...(source === undefined ? {} : { source }),
    declared: (vocab, length) => declaredIn(chosen, given, vocab, length),
  };
}

/** The stock name, or the file and export, that a run trains, for people. */
export const recordedText = ({ variant }: TrainingConfig): string =>
  variant === undefined
    ? "the demo's FLM and FMLM"
    : variant.file === undefined
      ? `the stock variant ${variant.name}`
      : `the export "${variant.export}" of ${variant.file}`;

export interface GivenVariant {
  readonly given: string | undefined;
  readonly export: string | undefined;
  readonly force: boolean;
  /** What to write for the file, as in "--variant FILE". */
  readonly how: string;
}

export const givenVariant = (args: Parsed, how = "--variant FILE"): GivenVariant => ({
  given: args.text("variant"),
  export: args.text("export"),
  force: args.flag("force"),
  how,
});

/**
 * What a run trains.
 * @throws UserError when it is in a file and none is given, or one whose code is not that of the run
 */
export async function subjectOfRun(
  run: RunFolder<TrainingConfig>,
  vocab: number,
  { given, export: name, force, how }: GivenVariant,
): Promise<Subject> {
  const { dir, config } = run;
  const { variant } = config;
  const stock = stockSubjectOf(config, vocab);
  if (stock !== undefined) {
    if ((given !== undefined && given !== variant?.name) || name !== undefined)
      throw new UserError(`${dir} trains ${recordedText(config)}, which needs no file; leave it out.`);
    // A run that was ended before its teacher was copied still may take another one.
    if (force && variant?.teacherRun === undefined)
      throw new UserError(
        `--force takes a file whose code has changed, and ${dir} trains ${recordedText(config)}, which has none; leave it out.`,
      );
    return stock;
  }
  if (given === undefined)
    throw new UserError(
      `${dir} trains ${recordedText(config)}, and code is never loaded from a run folder: give the file, as ${how}.`,
    );
  // A stock variant has no exports: that it is another one is said below.
  const source = await variantSource(given, name ?? (isFile(given) ? variant?.export : undefined));
  if (!force) checkSame(source, given, run);
  const declared = source.declared(vocab, config.network.length);
  if (declared.kind === variant?.kind) return subjectOf(declared);
  throw new UserError(`${given} declares a ${declared.kind}, and ${dir} trains a ${variant?.kind}.`);
}

/** @throws UserError unless the source is what the run was begun with */
function checkSame({ file, source }: VariantSource, given: string, run: RunFolder<TrainingConfig>): void {
  const { dir, config } = run;
  const { variant } = config;
  if (file === undefined)
    throw new UserError(`${dir} trains ${recordedText(config)}, not the stock variant ${given}.`);
  if (file.export !== variant?.export)
    throw new UserError(
      `${dir} trains ${recordedText(config)}, not "${file.export}"; leave out --export, or --force it.`,
    );
  const same = isSameSource([file.hash, ...(source === undefined ? [] : [source])], recordedHashes(run));
  if (same === undefined)
    throw new UserError(
      `Whether ${given} is what ${dir} was trained with cannot be told: esbuild, by which code is compared, is installed ` +
        `${file.hash.startsWith("bundle:") ? "now and was not then" : "no more"}. Use it with --force if it is.`,
    );
  if (!same)
    throw new UserError(
      `${given} is not the code that ${dir} was trained with (now ${file.hash}, then ${variant.hash}): ` +
        `restore it, or use it as it is with --force.`,
    );
}
