/**
 * Standard output that goes away while a command writes to it. A reader that leaves (head) is no error: what is still written is lost, and
 * the command ends as it would have. A disk that is full is one, and ends it with a sentence. Whoever has something to save is told first.
 *
 * Consumed by main.ts, which watches, and by the commands that train, which save what they have and stop.
 */
import { errorCode, fileError } from "../runtime/files/errors.ts";

/** What the process ends with where a reader left before all was written, as if the system's signal had ended it. */
export const READER_LEFT = 141;
/** What it ends with where its output could not be written. */
const NOT_WRITTEN = 2;

/** A reader that left, or a terminal that was closed. */
const GONE: readonly unknown[] = ["EPIPE", "EIO", "ERR_STREAM_DESTROYED"];

let lost = false;
let failed = false;
const savers = new Set<() => void>();

/** Starts to watch, for the whole process. */
export function watchOutput(): void {
  process.stdout.on("error", (error: Error) => {
    if (lost) return;
    lost = true;
    failed = !GONE.includes(errorCode(error));
    if (failed) {
      const known = fileError(error, "write", "standard output");
      process.stderr.write(`fluxion: ${known instanceof Error ? known.message : String(known)}\n`);
      if (savers.size === 0) process.exit(NOT_WRITTEN);
    }
    for (const save of savers) save();
  });
  // Nothing is left to say it on.
  process.stderr.on("error", () => undefined);
}

/** Calls back where output is lost. @returns what ends that */
export function whenOutputIsLost(save: () => void): () => void {
  savers.add(save);
  if (lost) save();
  return () => void savers.delete(save);
}

/** The exit code of work that was stopped, whose own is `code`. */
export const stoppedCode = (code: number): number => (failed ? NOT_WRITTEN : lost ? READER_LEFT : code);
