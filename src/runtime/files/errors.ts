/**
 * Errors that a user, not a programmer, has to act on.
 *
 * Consumed by every layer that touches files and by the command line, which prints `message` alone (no stack)
 * and ends with `exitCode`. To add a file-system case, give `fileError` a sentence for its error code.
 */

/** A problem the user can fix. `message` is complete: what is wrong, with the numbers, and what to do. */
export class UserError extends Error {
  readonly exitCode: number;

  constructor(message: string, options: { readonly exitCode?: number; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "UserError";
    this.exitCode = options.exitCode ?? 2;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full; free some space or choose another folder",
  EDQUOT: "your disk quota is used up; free some space or choose another folder",
  EFBIG: "the file would be larger than the file system or the process limit allows",
  EACCES: "permission was denied; check who owns it or choose another place",
  EPERM: "the operation is not permitted; check who owns it or choose another place",
  EROFS: "the file system is read-only; choose another place",
  EISDIR: "it is a folder, and a file is needed; give the path of a file",
  ENOTDIR: "a part of the path is a file, and a folder is needed; check the path",
  ENOENT: "it does not exist; check the path",
  EMFILE: "too many files are open; close some or raise the limit (ulimit -n)",
  ENAMETOOLONG: "the name is too long; choose a shorter one",
  EIO: "the disk reported a failure while reading or writing; check the disk",
};

/** The operating system's code of an error ("ENOENT"), or undefined when it is not a system error. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/**
 * Turns a file-system error into a `UserError`: "Cannot write runs/a/config.json: the disk is full; ...". A
 * `UserError` comes back unchanged; so does anything that is not a system error (a bug must keep its stack).
 *
 * @param action what was tried, as a verb: "read", "write", "open".
 */
export function fileError(error: unknown, action: string, path: string): unknown {
  const code = errorCode(error);
  if (code === undefined || !/^E[A-Z0-9]+$/.test(code)) return error;
  const reason = reasons[code] ?? "the system refused it";
  return new UserError(`Cannot ${action} ${path}: ${reason} (${code}).`, { cause: error });
}

/** What a declaration, a sampler or a model refuses: its sentence is for the user. Everything else comes back unchanged. */
export const refusalError = (error: unknown): unknown =>
  error instanceof RangeError ? new UserError(error.message, { cause: error }) : error;
