/**
 * Whether a file is the one that declares what a run trains. The command line hashes esbuild's bundle of it, in which comments and white
 * space do not count, and where the file is all of its code also the text as it is, which can be hashed anywhere. Pure, safe in a browser.
 *
 * Consumed by the command line (src/cli/variants.ts) and by the studio.
 */
import type { TrainingConfig } from "../training/config.ts";
import { fingerprintOf } from "./sha256.ts";
import type { RunConfig } from "./store.ts";

/** "file:" and the hash of a file's text, every byte of it. */
export const sourceHash = (bytes: Uint8Array): string => `file:${fingerprintOf([bytes])}`;

/** The hashes that a run keeps of its declaration's code. */
export const recordedHashes = ({
  source,
  config,
}: Pick<RunConfig<TrainingConfig>, "source" | "config">): readonly string[] =>
  [config.variant?.hash, source].filter((hash) => hash !== undefined);

const kindOf = (hash: string): string | undefined => hash.split(":")[0];

/**
 * Whether a file that has the hashes `mine` is the one that a run, which has the hashes `theirs`, was begun with; undefined where none of
 * the one kind meets one of its own kind.
 */
export function isSameSource(mine: readonly string[], theirs: readonly string[]): boolean | undefined {
  if (mine.some((hash) => theirs.includes(hash))) return true;
  return mine.some((hash) => theirs.some((other) => kindOf(other) === kindOf(hash))) ? false : undefined;
}
