/**
 * Where the page keeps files: folders of whole files, which are written at once or not at all. Two kinds: the browser's own file system
 * for this page (opfs.ts), and memory, where the browser has none for it (memory.ts).
 *
 * Consumed by run.ts and runs.ts. Failures are a UserError with a sentence to show.
 */
import { UserError } from "../../../../src/runtime/files/errors.ts";

/** The files of one run. */
export interface Folder {
  /** What it holds, without what an interrupted write left behind. */
  names(): Promise<readonly string[]>;
  /**
   * A file as it is now; undefined when there is none. What is written later does not change it, but may make it impossible to read: a browser
   * looks into the file when it is read, and refuses when another one is in its place.
   */
  read(file: string): Promise<Blob | undefined>;
  /**
   * Creates or replaces a file with what the pieces are, one after the other.
   * @throws UserError when it cannot be written; whatever comes with the pieces. The old file is then as it was.
   */
  write(file: string, pieces: Pieces): Promise<void>;
  /** Cuts a file at `at` bytes and appends to it; makes it if need be. @throws UserError when it cannot be written */
  append(file: string, at: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Removes a file; one that is not there is fine. */
  remove(file: string): Promise<void>;
  /** Removes what interrupted writes left behind. Only for who has the run to itself. */
  removeLeftovers(): Promise<void>;
}

/** Bytes, one piece after the other. */
export type Pieces = Iterable<Uint8Array<ArrayBuffer>> | AsyncIterable<Uint8Array<ArrayBuffer>>;

/** All runs of the page. */
export interface Storage {
  /** Why runs are not kept when the page is closed, in a sentence; undefined where they are. */
  readonly fleeting?: string;
  /** The names of the folders. */
  names(): Promise<readonly string[]>;
  /** A folder; undefined when there is none of that name. */
  open(name: string): Promise<Folder | undefined>;
  make(name: string): Promise<Folder>;
  /** Removes a folder with all that it holds; one that is not there is fine. */
  remove(name: string): Promise<void>;
}

/** The end of a temporary file's name. */
export const PARTIAL = ".partial";

/** A failure of the browser's storage as a sentence. What is none comes back unchanged: a bug must keep its stack. */
export function storageError(error: unknown, action: string, path: string): unknown {
  if (!(error instanceof DOMException)) return error;
  const reasons: Readonly<Record<string, string>> = {
    QuotaExceededError:
      "the storage that the browser gives to this page is full; remove a run that is not needed, or free space on the disk. What was saved before is still there",
    NoModificationAllowedError: "it is in use by another tab of this page",
    InvalidStateError: "the browser took its storage away; reload the page",
    NotFoundError: "it is not there any more; reload the page",
    NotAllowedError: "the browser does not allow it",
    SecurityError: "the browser does not allow it",
    NotReadableError: "the browser cannot read it; it may have been changed or moved meanwhile",
  };
  const reason = reasons[error.name] ?? `the browser says: ${error.message}`;
  return new UserError(`Cannot ${action} ${path}: ${reason}.`, { cause: error });
}
