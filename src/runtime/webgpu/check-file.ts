/**
 * Which adapters passed the self-check, as a file in the user's cache folder: an adapter with its driver, in a version of the package,
 * is checked once. The file is never needed: what is missing or damaged means that the check runs again, and it is replaced. Two
 * processes that save at once each leave a whole file, and what one of them forgets is checked once more.
 *
 * Consumed by `choose.ts`. Node only.
 */
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeFileAtomic } from "../files/atomic.ts";
import { cacheFolder } from "../files/cache.ts";
import { makeFolder } from "../files/folder.ts";
import { VERSION } from "../version.ts";

/** Of the file, and of what is checked: who passed before there was another check has not passed it. */
const SCHEMA = 3;
/** As many are remembered, the latest. */
const MOST = 64;
/** A file of that many is far smaller. */
const MOST_BYTES = 2 ** 20;

export interface CheckFileOptions {
  /** The folder it is in. Default: the user's cache folder. */
  readonly folder?: string | undefined;
  /** Version of the package. Default: this one's. */
  readonly version?: string | undefined;
}

export const checkFile = ({ folder = cacheFolder() }: CheckFileOptions = {}): string =>
  join(folder, `checked-adapters-${SCHEMA}.json`);

const entryOf = (adapter: string, { version = VERSION }: CheckFileOptions): string => `${version} ${adapter}`;

/** Those that passed, the latest last. */
async function read(path: string): Promise<readonly string[]> {
  try {
    const status = await stat(path);
    if (!status.isFile() || status.size > MOST_BYTES) return []; // reading a pipe would wait for its other end
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    const entries = Array.isArray(value) ? (value as readonly unknown[]) : [];
    return entries.filter((entry) => typeof entry === "string");
  } catch {
    return [];
  }
}

/** Whether the adapter, a key that names its driver too, passed in this version. */
export const hasPassed = async (adapter: string, options: CheckFileOptions = {}): Promise<boolean> =>
  (await read(checkFile(options))).includes(entryOf(adapter, options));

/** Remembers whether it passed; where that cannot be written, it is checked again the next time. */
export async function remember(
  adapter: string,
  passed: boolean,
  options: CheckFileOptions = {},
): Promise<void> {
  const path = checkFile(options);
  const entry = entryOf(adapter, options);
  const known = await read(path);
  const others = known.filter((other) => other !== entry);
  if (!passed && others.length === known.length) return;
  const entries = passed ? [...others, entry].slice(-MOST) : others;
  try {
    await makeFolder(dirname(path));
    await writeFileAtomic(path, `${JSON.stringify(entries, null, 2)}\n`);
  } catch {
    // A read-only home is no reason not to compute.
  }
}
