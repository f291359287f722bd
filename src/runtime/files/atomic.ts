/**
 * Writing files so that a crash, a full disk or a Ctrl-C never leaves a half-written one under its real name:
 * write a temporary file beside it, flush it, rename it over the target, flush the folder. Also append-only
 * JSON-lines logs, whose last line may be torn by a crash and is then dropped by reader and writer alike.
 *
 * Consumed by the safetensors writer and the run folder. Everything here throws `UserError` for file-system
 * problems.
 */
import { open, readdir, rename, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorCode, fileError } from "./errors.ts";
import { jsonLinesText } from "./json-lines.ts";

/** Receives the content of a file piece by piece; each call returns when the bytes are with the system. */
export type Sink = (bytes: Uint8Array) => Promise<void>;

// One call writes at most this much: some systems refuse more than 2^31 bytes.
const maxChunk = 1 << 26;

/** Writes all of `bytes` at the handle's position: a single system call may write only a part. */
export async function writeAll(handle: Pick<FileHandle, "write">, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(maxChunk, bytes.length - done));
    done += bytesWritten;
  }
}

// Temporary files this process is writing at the moment; any other with our process id is a leftover of an
// earlier run.
const writing = new Set<string>();
let counter = 0;

const temporaryName = /\.(\d+)-\d+\.partial$/;

/**
 * Creates or replaces `path` with what `produce` writes. On any failure the old file is untouched and the
 * temporary one is removed. A symbolic link at `path` is replaced, not followed.
 *
 * @throws UserError for file-system problems; whatever `produce` throws comes out as it is.
 */
export async function writeAtomically(path: string, produce: (sink: Sink) => Promise<void>): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `${basename(path)}.${process.pid}-${counter++}.partial`);
  writing.add(temporary);
  try {
    // "wx": never write into a file that is already there.
    const handle = await open(temporary, "wx");
    try {
      await produce((bytes) => writeAll(handle, bytes));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncFolder(folder);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined); // the first error is the one to report
    throw fileError(error, "write", path);
  } finally {
    writing.delete(temporary);
  }
}

/** Creates or replaces `path` with `content` (text as UTF-8) in one step; see `writeAtomically`. */
export async function writeFileAtomic(path: string, content: string | Uint8Array): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await writeAtomically(path, (sink) => sink(bytes));
}

/**
 * Makes a rename durable. Some systems cannot flush a folder; there the rename is as safe as the system makes
 * it.
 */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!["EINVAL", "EPERM", "EISDIR", "EACCES", "ENOTSUP", "EBADF"].includes(errorCode(error) ?? ""))
      throw error;
  }
}

/**
 * Flushes what earlier appends left in the system's cache. A missing file is fine: there is nothing to flush.
 */
export async function syncFile(path: string): Promise<void> {
  try {
    const handle = await open(path, "r+");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw fileError(error, "write", path);
  }
}

/** Whether a name is that of a temporary file of `writeAtomically`. */
export const isTemporaryName = (name: string): boolean => temporaryName.test(name);

/**
 * Removes the temporary files in `folder` that a crashed process left behind; those of living processes stay.
 * A folder that cannot be read or changed is left alone, since leftovers do no harm. Returns the names
 * removed.
 */
export async function removeLeftovers(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  const removed: string[] = [];
  for (const name of names) {
    const pid = temporaryName.exec(name)?.[1];
    const path = join(folder, name);
    if (pid === undefined || writing.has(path) || (Number(pid) !== process.pid && isAlive(Number(pid))))
      continue;
    await rm(path).then(
      () => removed.push(name),
      () => undefined,
    );
  }
  return removed;
}

/** Whether a process of this id runs on this machine. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0); // signal 0 only asks
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}

/**
 * Appends one JSON text per value to a log, each ended by a newline, in a single write. A torn last line,
 * which the reader ignores, is cut off first: otherwise it would merge with the first new line into a bad
 * one. NaN and infinity become null, since JSON has neither.
 *
 * @throws UserError for file-system problems and for values that JSON cannot hold (undefined, functions).
 */
export async function appendLines(path: string, values: readonly unknown[]): Promise<void> {
  const lines = jsonLinesText(values, path);
  if (lines === "") return;
  try {
    const handle = await open(path, "a+");
    try {
      const { size } = await handle.stat();
      const whole = await lengthOfWholeLines(handle, size);
      if (whole < size) await handle.truncate(whole);
      await writeAll(handle, new TextEncoder().encode(lines));
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, "write", path);
  }
}

/** The position after the last newline among the first `size` bytes, searched from the end. */
async function lengthOfWholeLines(handle: FileHandle, size: number): Promise<number> {
  const block = new Uint8Array(4096);
  for (let end = size; end > 0;) {
    // The last byte is nearly always a newline, so look at that one before reading a block.
    const length = Math.min(end === size ? 1 : block.length, end);
    const { bytesRead } = await handle.read(block, 0, length, end - length);
    const newline = block.subarray(0, bytesRead).lastIndexOf(0x0a);
    if (newline >= 0) return end - length + newline + 1;
    end -= length;
  }
  return 0;
}
