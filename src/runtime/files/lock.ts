/**
 * One process at a time: a lock on a folder, as a file in it that names its holder. The holder's end gives it back, by return, by
 * `process.exit` or by a signal; where it could not (SIGKILL, power), the next one sees that the holder is gone and takes it over.
 *
 * Consumed by the run folder and the training loop. Synchronous, so that between looking and taking nothing else of this process
 * runs, and so that it works while a process ends.
 */
import { closeSync, openSync, readFileSync, realpathSync, rmSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import type { Lock } from "../run/store.ts";
import { isAlive } from "./atomic.ts";
import { errorCode, fileError, UserError } from "./errors.ts";

/** The lock's name, and that of the file that says that a lock is being taken over. */
const LOCK = "run.lock";
const TAKEOVER = "run.lock.takeover";
/** Whether a name in a folder is that of a lock: no content of the folder. */
export const isLockName = (name: string): boolean => name === LOCK || name === TAKEOVER;

/** Who holds a lock. */
interface Holder {
  readonly pid: number;
  /** A process id means nothing on another machine, as that of a network folder. */
  readonly host: string;
  /** When the process began, where the system tells: a later one may have the same id. */
  readonly started: string | null;
}

/** The locks that this process holds, by their paths. */
const held = new Map<string, Lock>();
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** How long a lock without a readable holder may be one that is just being written. */
const WRITING_MS = 1000;
const RETRY_MS = 20;

/**
 * Takes the lock of a folder.
 * @param tell is given a line when the lock of a process that is gone was taken over
 * @throws UserError naming the process that holds it, or when the folder cannot be written
 */
export async function lockFolder(dir: string, tell: (line: string) => void = () => {}): Promise<Lock> {
  const path = join(realPath(dir), LOCK);
  for (let waited = 0; ; waited += RETRY_MS) {
    if (held.has(path)) throw new UserError(`${dir} is in use by this process already.`);
    if (create(path)) return keep(path);
    const text = read(path);
    if (text === undefined) continue; // given back in this moment
    const holder = holderOf(text);
    if (holder !== undefined && isThere(holder)) throw inUse(dir, holder, path);
    // Half-written, or cut off by a crash: time tells which.
    const ripe = holder !== undefined || waited >= WRITING_MS;
    if (ripe && takeOver(path, text)) {
      const who = holder === undefined ? "a process" : `process ${holder.pid}`;
      tell(`The lock of ${dir} was left behind by ${who}, which is gone; taking it over.`);
      return keep(path);
    }
    if (waited > 2 * WRITING_MS)
      throw new UserError(
        `Another process is about to take ${dir}, or was killed while it did; if there is none, delete ${join(dir, TAKEOVER)}.`,
      );
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** A folder's one name, by which a process knows its locks. */
function realPath(dir: string): string {
  try {
    return realpathSync(dir);
  } catch (error) {
    throw fileError(error, "lock", dir);
  }
}

const self = (): Holder => ({ pid: process.pid, host: hostname(), started: startOf(process.pid) ?? null });

function inUse(dir: string, { pid, host }: Holder, path: string): UserError {
  const where = host === hostname() ? "" : ` on ${host}`;
  const mistaken = where === "" ? "that is no run of fluxion" : "it runs no more";
  return new UserError(
    `${dir} is in use by process ${pid}${where}; wait for its end or stop it (if ${mistaken}, delete ${path}).`,
  );
}

/** Creates a lock's file, unless there is one. @returns whether it did */
function create(path: string): boolean {
  const text = `${JSON.stringify(self())}\n`;
  let file: number;
  try {
    file = openSync(path, "wx");
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw fileError(error, "write", path);
  }
  try {
    writeSync(file, text);
  } catch (error) {
    rmSync(path, { force: true });
    throw fileError(error, "write", path);
  } finally {
    closeSync(file);
  }
  // A process that was halted between the two calls may find that its empty file was taken for a dead one's.
  return read(path) === text;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw fileError(error, "read", path);
  }
}

/** The holder that a lock's text names; undefined where it names none. */
function holderOf(text: string): Holder | undefined {
  try {
    const { pid, host, started } = JSON.parse(text) as Partial<Record<keyof Holder, unknown>>; // checked here
    if (!Number.isSafeInteger(pid) || (pid as number) < 1 || typeof host !== "string") return undefined;
    return { pid: pid as number, host, started: typeof started === "string" ? started : null };
  } catch {
    return undefined;
  }
}

/** Whether a holder may still be at work. */
function isThere({ pid, host, started }: Holder): boolean {
  if (host !== hostname()) return true; // nobody can tell from here
  if (pid === process.pid) return false; // an earlier process of the same id: this one knows what it holds
  if (!isAlive(pid)) return false;
  const present = startOf(pid);
  return present === undefined || started === null || present === started;
}

/** When a process began, as the system counts; "never" if it has ended and only waits to be buried; undefined where nothing tells. */
function startOf(pid: number): string | undefined {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // After the name, which is in parentheses and may hold anything: state, …, and as the 20th the start.
  const fields = status.slice(status.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? "never" : fields[19];
}

/**
 * Replaces a lock whose text is `stale` by an own one. Only one process does so at a time: else one would remove the fresh lock that
 * another has just put in the old one's place.
 * @returns false when another was faster
 */
function takeOver(path: string, stale: string): boolean {
  const guard = join(dirname(path), TAKEOVER);
  if (!create(guard)) return false;
  try {
    if (read(path) !== stale) return false;
    rmSync(path, { force: true });
    return create(path);
  } finally {
    rmSync(guard, { force: true });
  }
}

/** Holds a lock that was created until it is released or the process ends. */
function keep(path: string): Lock {
  if (held.size === 0) {
    process.on("exit", releaseAll);
    for (const signal of SIGNALS) process.on(signal, onSignal);
  }
  const lock: Lock = {
    release: () => {
      if (held.get(path) === lock) letGo(path);
    },
  };
  held.set(path, lock);
  return lock;
}

function letGo(path: string): void {
  held.delete(path);
  if (held.size === 0) {
    process.off("exit", releaseAll);
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
  try {
    rmSync(path, { force: true });
  } catch {
    // The folder may be read-only by now; what is left behind will be found to be nobody's.
  }
}

function releaseAll(): void {
  for (const path of held.keys()) letGo(path);
}

/** Ends the process as the signal would have, unless somebody else listens: who decides when it ends, and then its end releases. */
function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  releaseAll();
  process.kill(process.pid, signal);
}
